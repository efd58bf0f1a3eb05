"""What was promised of the operator, and whether it is kept."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.scale.size import EVERYTHING
from benchmarks.summary import Row
from benchmarks.targets import Rows, Target

ONE = "one controller"
LIMITS = (
    ("first complete status", "complete_s", " s", 30),
    ("a change is in every status", "behind_s", " s", 30),
    ("memory (RSS)", "rss_mb", " MB", 400),
    ("cores on average", "cores", "", 0.5),
)


def targets(rows: Sequence[Row]) -> list[Target]:
    """Return the lines of the table."""
    by, least, most = Rows(rows), f"{EVERYTHING.pods[0]} pods", f"{EVERYTHING.pods[-1]} pods"
    lines = [
        Target(f"{most}, {ONE}: {name}", unit, limit, by.median("operator", most, ONE, which))
        for name, which, unit, limit in LIMITS
    ]
    mine = [row for row in rows if row.workload == "operator"]
    writes = sum(row.counts["status_writes"] for row in mine) if mine else None
    lines.append(Target("status writes when nothing changed", "", 0, writes))
    linear = EVERYTHING.pods[-1] / EVERYTHING.pods[0]
    for name, which in (("processor time", "cores"), ("memory", "rss_mb")):
        few, many = (by.median("operator", label, ONE, which) for label in (least, most))
        growth = many / few if many is not None and few else None
        lines.append(Target(f"{name}, {most} to {least}", " times", linear, growth))
    label = f"{EVERYTHING.created} pods in {EVERYTHING.created_seconds:g} s"
    reviews = [row for row in rows if row.workload == "admission" and row.way == "webhook"]
    missed = sum(row.counts["broken"] for row in reviews) if reviews else None
    lines.append(Target("pods created and not injected", "", 0, missed))
    p99 = by.median("admission", label, "webhook", "review_p99_ms")
    lines.append(Target(f"webhook p99, {label}", " ms", 15, p99))
    return lines
