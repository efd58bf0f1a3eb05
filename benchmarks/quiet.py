"""How much the machine did besides: the first thing to look at when figures differ between runs."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

IDLE_FIELDS = (3, 4)
"""Of the first line of /proc/stat: idle, and idle with a disk at work."""
GUEST_FIELDS = 8
"""From here on the line repeats what `user` and `nice` hold already."""
NOISY = 0.1
"""Share of one core; more than this is worth a warning."""


class Others:
    """Processor time of everything that is neither this process nor one that it waited for."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._busy = _busy_seconds()
        self._ours = _our_seconds()

    def share_of_a_core(self) -> float:
        """Return how much of one core went to others since the start, 1.0 being all of it."""
        busy = _busy_seconds() - self._busy
        ours = _our_seconds() - self._ours
        return max(0.0, busy - ours) / (time.monotonic() - self._begun)


def _busy_seconds() -> float:
    fields = [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    ticks = sum(fields[:GUEST_FIELDS]) - sum(fields[field] for field in IDLE_FIELDS)
    return ticks / os.sysconf("SC_CLK_TCK")


def _our_seconds() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))
