"""What was promised, and whether it is kept: figure, target, measured, by how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.summary import Row


@dataclass(frozen=True)
class Target:
    """One line of the table."""

    figure: str
    unit: str
    limit: float | None
    measured: float | None
    at_least: bool = False

    def verdict(self) -> str:
        """Return `met`, or by how much it is missed."""
        if self.measured is None or self.limit is None:
            return "not measured"
        miss = self.limit - self.measured if self.at_least else self.measured - self.limit
        if miss <= 0:
            return "met"
        if not self.limit:
            return f"**missed** by {miss:.4g}"
        return f"**missed** by {miss:.2g}{self.unit} ({miss / abs(self.limit):.0%})"


class Rows:
    """Rows by what they are of."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = {(row.workload, row.label, row.way): row for row in rows}

    def median(self, workload: str, label: str, way: str, name: str) -> float | None:
        """Return a figure; None: it was not measured."""
        row = self._rows.get((workload, label, way))
        found = row.figures.get(name) if row else None
        return found.median if found else None

    def merged(self, ways: tuple[str, ...]) -> float | None:
        """Return the merged reads of these ways in all streams."""
        mine = [r for r in self._rows.values() if r.workload == "streams" and r.way in ways]
        return sum(row.counts["merged_reads"] for row in mine) if mine else None


def targets(rows: Iterable[Row]) -> list[Target]:
    """Return the lines of the table."""
    by = Rows(rows)
    lines = []
    for mode in ("batch", "spread"):
        for count in (64, 256):
            label = f"{count} {mode}"
            for way, limit in (("relay", 0.95), ("sidecar", 1.4)):
                measured = by.median("streams", label, way, "cpu_us_to_nginx")
                name = "relay with tee" if way == "relay" else "relay and observer"
                lines.append(Target(f"{name}, CPU per chunk, {label}", "x nginx", limit, measured))
    for way in ("relay", "sidecar"):
        added = by.median("streams", "256 spread", way, "added_ttft_p99_ms")
        nginx = by.median("streams", "256 spread", "nginx", "added_ttft_p99_ms")
        name = f"{way}, TTFT p99 over direct, 256 spread"
        lines.append(Target(name, " ms", 0.3, added))
        lines.append(Target(f"{name}, against nginx's", " ms", nginx, added))
    lines.append(Target("chunks that we merged", "", 0, by.merged(("relay", "sidecar"))))
    for way in ("relay", "sidecar"):
        added = by.median("prompts", "1 MB prompt", way, "added_latency_p50_ms")
        lines.append(Target(f"{way}, 1 MB prompt, median over direct", " ms", 2, added))
    for name, way, which, limit in (
        ("relay alone, 256 streams", "relay", "first_busy_rss_mb", 15),
        ("sidecar idle", "sidecar", "tree_idle_rss_mb", 70),
        ("sidecar, 256 streams", "sidecar", "tree_busy_rss_mb", 120),
    ):
        measured = by.median("memory", "256 streams", way, which)
        lines.append(Target(f"memory (RSS): {name}", " MB", limit, measured))
    speed = by.median("observer", "replay", "sidecar", "events_per_second")
    lines.append(Target("observer, chunks a second on one core", "", 100_000, speed, at_least=True))
    return lines
