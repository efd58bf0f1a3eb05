"""What each way holds in memory: fresh, and while 256 streams run."""

from __future__ import annotations

import threading
import time

from benchmarks.measure import Memory, memory, tree
from benchmarks.ways import way
from benchmarks.workloads import Case, Sample, measure

SETTLE_SECONDS = 2.0
EVERY_SECONDS = 0.1


class Watch(threading.Thread):
    """Looks again and again, and keeps the most."""

    def __init__(self, pids: list[int]) -> None:
        super().__init__(daemon=True)
        self.pids = pids
        self.most = memory(pids)
        self.over = threading.Event()

    def run(self) -> None:
        """Look until it is over."""
        while not self.over.wait(EVERY_SECONDS):
            now = memory(self.pids)
            self.most = Memory(max(self.most.rss, now.rss), max(self.most.pss, now.pss))


def memory_of(name: str, engine: int, streams: int, tokens: int) -> Sample:
    """Start one way afresh and measure it, the whole tree and its first process alone."""
    with way(name, engine) as fresh:
        time.sleep(SETTLE_SECONDS)
        pids = tree(fresh.pid)
        idle = {"tree": memory(pids), "first": memory(pids[:1])}
        watches = {"tree": Watch(pids), "first": Watch(pids[:1])}
        for watch in watches.values():
            watch.start()
        load = measure(Case("memory", name, "streams", (streams, "spread", tokens)), fresh)
        for watch in watches.values():
            watch.over.set()
            watch.join()
    sample: Sample = {"streams": streams, "broken": load["broken"], "reasons": load["reasons"]}
    for which in ("tree", "first"):
        for when, held in (("idle", idle[which]), ("busy", watches[which].most)):
            sample[f"{which}_{when}_rss_mb"] = held.rss
            sample[f"{which}_{when}_pss_mb"] = held.pss
    return sample
