"""When a batch is sent to a sink, how large it is, and what follows from how that went. Pure: no
clock and no chance of its own.

Rules:
1. A batch goes when it is full, or when its oldest record has waited `linger_seconds`.
2. After a failure it is tried again, later and later, at a moment drawn at random from the whole
   wait (full jitter), so that many pods do not come back to a sink at once. A sink that says when
   to come back is obeyed, within `most_seconds`.
3. A batch that failed `TRIES_WHOLE` times is halved with each failure, and doubled with each that
   goes through. After `TRIES_TO_OPEN` failures in a row the circuit is open, and single records are
   tried. What becomes of one that fails alone while others pass: `aside.py`.
4. What a sink refuses for good is halved until the record that it will not have is alone; that one
   is given up, and counted. So one bad record does not hold up or take along the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

TRIES_TO_OPEN = 5
TRIES_WHOLE = 3
"""Default 3: a restart of the sink is over by then, and what it had of the batch comes in the same
batch again."""


class Outcome(StrEnum):
    """How sending went."""

    DELIVERED = "delivered"
    LATER = "later"
    """It may go another time: no connection, a time-out, 429, 5xx."""
    REFUSED = "refused"
    """It will never go as it is: too large, not understood."""


class Delivery(NamedTuple):
    """What came of sending a batch."""

    outcome: Outcome
    why: str = ""
    """A word or two of ours, such as `status 503`; never what the sink said."""
    after_seconds: float | None = None
    """When to come back, if the sink said so."""
    refused: int = 0
    """Of a batch that was delivered, records that the sink would not have; they are not resent."""


@dataclass(frozen=True, slots=True)
class ShipSettings:
    """How one sink is sent to."""

    most: int = 500
    """Records in a batch. Default 500: some 1 to 5 MB with payloads, below every sink's limit."""
    most_bytes: int = 4 << 20
    """Bytes in a batch. Default 4 MiB: OTLP collectors take 4 MiB in a gRPC message at most."""
    linger_seconds: float = 5.0
    """How long a record may wait for others. Default 5: a request is looked for sooner than that by
    nobody, and objects and files stay few."""
    timeout_seconds: float = 30.0
    """For one batch. Default 30: twice what S3 takes for a slow 4 MiB."""
    first_seconds: float = 1.0
    """The longest wait after a first failure; doubled after each. Default 1."""
    most_seconds: float = 60.0
    """The longest wait of all. Default 60: a sink that is back gets its records within a minute."""
    most_aside: int = 256
    """Records that failed alone and wait while others go on (`aside.py`). Default 256: with more of
    them, those behind wait until one is settled. 0: of a sink to which a record is bytes."""


class Plan(NamedTuple):
    """What to do now: read so much and send it, or wait."""

    most: int
    most_bytes: int
    wait_seconds: float = 0.0


class ShipPolicy:
    """For one sink.

    Args:
        settings: its own.
        chance: draws from [0, 1).
    """

    def __init__(self, settings: ShipSettings, chance: Callable[[], float]) -> None:
        self._settings = settings
        self._chance = chance
        self._failures = 0
        self._not_before = 0.0
        self._most = settings.most
        self.why = ""
        """Why the last try failed, or a part of it; empty: it did not."""

    @property
    def open(self) -> bool:
        """Whether the sink is taken to be down."""
        return self._failures >= TRIES_TO_OPEN

    def plan(self, now: float, *, waiting: int, size: int, waited: float, draining: bool) -> Plan:
        """What to do.

        Args:
            now: seconds of a monotonic clock, as in `failed`.
            waiting: records that this sink has not had.
            size: bytes of those that came since the last batch.
            waited: seconds that the oldest of them has waited.
            draining: whether the process is about to end, so that nothing is worth waiting for.
        """
        most = 1 if self.open else self._most
        if not waiting:
            return Plan(0, 0, self._settings.linger_seconds)
        wait = self._not_before - now
        full = waiting >= most or size >= self._settings.most_bytes
        if not full and not draining:
            wait = max(wait, self._settings.linger_seconds - waited)
        if wait > 0:
            return Plan(0, 0, wait)
        return Plan(most, self._settings.most_bytes)

    def delivered(self, why: str = "") -> None:
        """A batch went through; `why`: not all of it."""
        self._failures, self._not_before, self.why = 0, 0.0, why
        self._most = min(self._most * 2, self._settings.most)

    def wait_seconds(self, now: float) -> float:
        """How long nothing is tried at all."""
        return max(0.0, self._not_before - now)

    def hurry(self) -> None:
        """Try at once: there is little time left."""
        self._not_before = 0.0

    def failed(self, now: float, delivery: Delivery, sent: int = 1) -> None:
        """A batch of `sent` records did not, this time."""
        self._failures += 1
        if self._failures >= TRIES_WHOLE:
            self._most = 1 if self.open else max(1, sent // 2)
        self.why = delivery.why
        ceiling = self._settings.first_seconds * 2 ** min(self._failures - 1, 30)
        wait = min(ceiling, self._settings.most_seconds) * self._chance()
        if delivery.after_seconds is not None:
            wait = max(wait, min(max(delivery.after_seconds, 0), self._settings.most_seconds))
        self._not_before = now + wait

    def refused(self, sent: int, delivery: Delivery) -> bool:
        """A batch of `sent` records will never go as it is: whether it is to be given up, because
        it is a single one.
        """
        self.why = delivery.why
        self._failures, self._not_before = 0, 0.0  # a sink that refuses is there
        if sent > 1:
            self._most = sent // 2
        return sent <= 1
