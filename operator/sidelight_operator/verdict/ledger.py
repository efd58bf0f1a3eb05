"""From sums since each observer's start to what came within a minute, by version.

Rules:
1. Only observers that were read at both ends of a block count in it: one that was restarted starts
   from zero, one that did not answer would bring other minutes' requests into this one.
2. It is kept in memory alone. A controller that comes after this one begins a new block and loses
   a minute at most.
3. An observer tells of its pod's version and of each adapter (LoRA) apart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidelight_contract.strata import Key, Stratum, add_since

BLOCK = timedelta(seconds=60)
"""Short enough that load and mix are the same for both versions, long enough to hold requests of
both; a status is written once for each."""
LONGEST = timedelta(seconds=300)
"""A block in which the controller stood still for longer is not used: traffic within it is not
simultaneous."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one observer told of one version."""

    pod: str
    """The pod's uid."""
    boot: str
    version: str
    rows: Sequence[Stratum]


class Ledger:
    """Of one ObservedModel."""

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._before: dict[tuple[str, str, str], Sequence[Stratum]] = {}

    def due(self, now: datetime) -> bool:
        """Whether a block is to be closed, or the first to be begun; a clock that was set back must
        not hold it open until then.
        """
        return self._began is None or not timedelta(0) <= now - self._began < BLOCK

    def close(self, readings: Iterable[Reading], now: datetime) -> dict[str, list[Stratum]] | None:
        """What came in the block that ends now, by version; None for none. The next begins."""
        began, before = self._began, self._before
        versions: dict[str, dict[Key, Stratum]] = {}
        self._began, self._before = now, {}
        for reading in readings:
            known = (reading.pod, reading.boot, reading.version)
            self._before[known] = reading.rows
            if known in before:
                add_since(versions.setdefault(reading.version, {}), before[known], reading.rows)
        if began is None or not timedelta(0) <= now - began <= LONGEST:
            return None
        return {version: list(rows.values()) for version, rows in versions.items()}
