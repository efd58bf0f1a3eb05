"""What the kernel says of a process and its children: processor time and memory."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
SETTLE_SECONDS, SETTLE_TIMES = 0.1, 30
IDLE_SHARE = 0.03
"""Of a core; a proxy at rest uses less."""


def tree(pid: int) -> list[int]:
    """Return a process and everything below it, itself first."""
    found = [pid]
    with suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the time one process, with all its threads, has run (scheduler's count, ns exact)."""
    total = 0
    with suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def settled_cpu_seconds(pids: list[int]) -> float:
    """Return what the processes have used once they have done all that is left to do."""
    used = sum(map(cpu_seconds, pids))
    for _ in range(SETTLE_TIMES):
        time.sleep(SETTLE_SECONDS)
        before, used = used, sum(map(cpu_seconds, pids))
        if used - before < IDLE_SHARE * SETTLE_SECONDS:
            break
    return used


@dataclass(frozen=True)
class Memory:
    """What processes hold, in MB of 10^6 bytes."""

    rss: float
    """Resident pages."""
    pss: float
    """The same, with a page that n processes share counted as 1/n of a page for each."""


def memory(pids: list[int]) -> Memory:
    """Return the sums over these processes."""
    rss = pss = 0
    for pid in pids:
        with suppress(OSError):
            rss += int((PROC / str(pid) / "statm").read_text().split()[1])
            for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    pss += int(line.split()[1])
    return Memory(rss * os.sysconf("SC_PAGESIZE") / 1e6, pss * 1024 / 1e6)
