"""What the sidecar's two processes cost: processor time and memory, read at each scrape.

Only for the live observer: a replay's metrics must be the same wherever it runs.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGESIZE")
PROC = Path("/proc")


def account_for_processes(registry: CollectorRegistry, *, relay_pid: int | None = None) -> None:
    """Have `registry` say what this process costs, and the relay when there is one."""
    pids = {"observer": os.getpid()}
    if relay_pid is not None:
        pids["relay"] = relay_pid
    registry.register(ProcessCollector(pids))


class ProcessCollector(Collector):
    """Processor time and memory of processes, by the name each has as a label's value."""

    def __init__(self, pids: dict[str, int], proc: Path = PROC) -> None:
        self._folders = {name: proc / str(pid) for name, pid in pids.items()}

    def collect(self) -> Iterator[Metric]:
        """Both families; a process that is gone, or may not be looked at, is left out."""
        cpu = CounterMetricFamily(
            "sidelight_process_cpu_seconds", "Processor time used.", labels=["process"]
        )
        memory = GaugeMetricFamily(
            "sidelight_process_resident_memory_bytes", "Memory in use.", labels=["process"]
        )
        for name, folder in self._folders.items():
            with suppress(OSError, ValueError, IndexError):
                # proc(5): the name in parentheses may hold anything; utime and stime are the 12th
                # and 13th field after it.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                cpu.add_metric([name], (int(fields[11]) + int(fields[12])) / TICKS)
                pages = int((folder / "statm").read_text().split()[1])
                memory.add_metric([name], pages * PAGE_BYTES)
        yield cpu
        yield memory
