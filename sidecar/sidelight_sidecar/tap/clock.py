"""The kernel stamps packets with the time of day; frames carry the monotonic clock.

The difference is taken anew for every batch of packets, so that a step of the time of day (NTP, an
administrator) moves only the packets that were read late. A frame's time is never in the future.
"""

from __future__ import annotations

import time
from collections.abc import Callable

CLOSE_NS = 20_000
"""Both clocks read within this time count as read at once; a busy machine interrupts in between."""
TRIES = 4


class Clock:
    """Turns times of day into monotonic times. `read` first, then `monotonic` for its packets."""

    __slots__ = ("_day_ns", "_monotonic_ns", "_offset_ns", "now_ns")

    def __init__(
        self,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        day_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._day_ns = day_ns
        self.read()

    def read(self) -> int:
        """Take both clocks; return the monotonic one."""
        best = 1 << 62
        for _ in range(TRIES):
            before = self._monotonic_ns()
            day = self._day_ns()
            after = self._monotonic_ns()
            if after - before < best:
                best = after - before
                self._offset_ns = day - (before + after) // 2
            if best <= CLOSE_NS:
                break
        self.now_ns = after
        return after

    def monotonic(self, day_ns: int) -> int:
        """Return the monotonic time of a time of day, at the latest that of the last `read`."""
        return min(day_ns - self._offset_ns, self.now_ns)
