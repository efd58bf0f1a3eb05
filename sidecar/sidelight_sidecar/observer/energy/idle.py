"""What the devices take without work: a low quantile of the time in which nothing was in flight.

Low, for some of that time is not idle: work that was not seen, or clocks that are still high.
"""

from collections import deque

from sidelight_sidecar.observer.energy.told import Estimate

QUANTILE = 0.25
BLOCK_SECONDS = 1.0
"""Counters move in lumps: a tenth of a second may hold none or two of them."""
_HAIR = 1e-6
MOST_BLOCKS = 128
LEAST_BLOCKS = 3


class IdlePower:
    """See the module."""

    def __init__(self) -> None:
        self._blocks: deque[float] = deque(maxlen=MOST_BLOCKS)
        self._millijoules = 0
        self._seconds = 0.0
        self._watts: float | None = None

    def add(self, millijoules: int, seconds: float) -> None:
        """Nothing was in flight for so long."""
        self._millijoules += millijoules
        self._seconds += seconds
        if self._seconds > BLOCK_SECONDS - _HAIR:
            self._blocks.append(self._millijoules / 1000 / self._seconds)
            self.broken()
            if len(self._blocks) >= LEAST_BLOCKS:
                self._watts = sorted(self._blocks)[int(QUANTILE * len(self._blocks))]

    def broken(self) -> None:
        """Something is in flight: a block is of one piece."""
        self._millijoules, self._seconds = 0, 0.0

    @property
    def watts(self) -> float | None:
        """None: there was not enough of such time yet."""
        return self._watts

    @property
    def estimate(self) -> Estimate | None:
        """The same, and half of how far the middle half of blocks is apart."""
        if self._watts is None:
            return None
        ordered = sorted(self._blocks)
        spread = ordered[len(ordered) * 3 // 4] - ordered[len(ordered) // 4]
        return Estimate(self._watts, spread / 2)
