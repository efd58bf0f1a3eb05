"""On which cores each process runs: set once, before anything is started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class Placement:
    """The proxies' cores and the others' (engine and clients).

    Pinned, all proxies have the same one core, with all their processes and threads, and engine
    and clients have the rest. Free, everything may run anywhere, as on a busy machine it should:
    what is pinned cannot step aside when another program takes its core.
    """

    def __init__(self) -> None:
        self._all = set(os.sched_getaffinity(0))
        first, *rest = sorted(self._all)
        self.proxies = {first}
        self.others = set(rest) or {first}

    def free(self) -> None:
        """Pin nothing."""
        self.proxies = self.others = self._all


PLACEMENT = Placement()


@contextmanager
def on_cores(chosen: set[int]) -> Iterator[None]:
    """Start what is started in the block on these cores: a child inherits its parent's."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
