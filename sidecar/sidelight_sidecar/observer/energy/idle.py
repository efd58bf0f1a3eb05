"""What the devices take without work: measured while nothing was in flight.

Rules:
1. The middle of the last seconds of rest, not their mean: some of it is work that was not seen.
2. What comes within `CALM_SECONDS` of work is no rest: clocks are still high.
"""

from collections import deque

from sidelight_sidecar.observer.energy.told import Estimate

QUANTILE = 0.5
BLOCK_SECONDS = 1.0
"""Counters move in lumps: a tenth of a second may hold none or two of them."""
_HAIR = 1e-6
CALM_SECONDS = 1.0
"""Default 1: an H100 takes about as long to lower its clocks."""
MOST_BLOCKS = 128
LEAST_BLOCKS = 3


class IdlePower:
    """See the module."""

    def __init__(self) -> None:
        self._blocks: deque[float] = deque(maxlen=MOST_BLOCKS)
        self._millijoules = 0
        self._seconds = 0.0
        self._calm_seconds = 0.0
        self.estimate: Estimate | None = None
        """With half of how far the middle half of blocks is apart."""

    def add(self, millijoules: int, seconds: float) -> None:
        """Nothing was in flight for so long."""
        if 0 < seconds <= self._calm_seconds + _HAIR:
            self._calm_seconds -= seconds
            return
        self._calm_seconds = 0.0
        self._millijoules += millijoules
        self._seconds += seconds
        if self._seconds > BLOCK_SECONDS - _HAIR:
            self._blocks.append(self._millijoules / 1000 / self._seconds)
            self._millijoules, self._seconds = 0, 0.0
            if len(self._blocks) >= LEAST_BLOCKS:
                ordered = sorted(self._blocks)
                low, middle, high = (ordered[int(q * len(ordered))] for q in (0.25, QUANTILE, 0.75))
                self.estimate = Estimate(middle, (high - low) / 2)

    def broken(self) -> None:
        """Something is in flight: a block is of one piece."""
        self._millijoules, self._seconds = 0, 0.0
        self._calm_seconds = CALM_SECONDS

    @property
    def watts(self) -> float | None:
        """None: there was not enough of such time yet."""
        return self.estimate.value if self.estimate is not None else None
