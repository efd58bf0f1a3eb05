"""From the samples of all rounds to one figure for each case and way. Pure.

Machines drift, so nothing is compared over rounds: a ratio to nginx and a difference to direct are
taken in each round, and the median of those is the figure, with the lowest and highest beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from benchmarks.ways import OURS
from benchmarks.workloads import Case, Sample

ADDED = ("ttft", "delay", "gap", "latency")
"""Times of which the part that a proxy adds is of interest."""
COUNTS = ("broken", "not_observed", "sent", "events", "requests", "reads", "merged_reads")


@dataclass(frozen=True)
class Figure:
    """The median over the rounds, and between which values it lay."""

    median: float
    low: float
    high: float


@dataclass
class Row:
    """What is known of one case on one way."""

    workload: str
    label: str
    way: str
    counts: dict[str, int] = field(default_factory=dict)
    """Sums over the rounds."""
    figures: dict[str, Figure] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    """Why what is broken is broken."""

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return asdict(self)


Rounds = list[dict[str, Sample]]
"""For each round, the samples of one case by way."""


def row(case: Case, way: str, rounds: Rounds) -> Row:
    """Return the figures of one way."""
    mine = [samples[way] for samples in rounds]
    found = Row(case.workload, case.label, way)
    for name in COUNTS:
        if name in mine[0]:
            found.counts[name] = sum(int(_number(sample, name)) for sample in mine)
    found.reasons = sorted({str(r) for s in mine for r in s.get("reasons", ())})  # type: ignore[attr-defined]
    for name, value in mine[0].items():
        if isinstance(value, float):
            _put(found, name, rounds, lambda s, n=name: _number(s[way], n))
    for name in ("cpu_us", "first_cpu_us")[: 2 if way in OURS else 1]:
        _put(found, f"{name}_to_nginx", rounds, lambda s, n=name: _ratio(s[way], s["nginx"], n))
    for time in ADDED:
        for share in ("p50", "p99"):
            name = f"{time}_{share}_ms"
            _put(found, f"added_{name}", rounds, lambda s, n=name: _more(s[way], s["direct"], n))
    return found


def figure(values: list[float]) -> Figure:
    """Return the median of values with their extremes."""
    return Figure(statistics.median(values), min(values), max(values))


def _put(
    found: Row, name: str, rounds: Rounds, value: Callable[[dict[str, Sample]], float]
) -> None:
    """Add a figure over the rounds in which it can be told; none, if there is none."""
    values = []
    for samples in rounds:
        try:
            values.append(value(samples))
        except KeyError:  # a way that was not chosen, or a sample in which all was broken
            continue
    if values:
        found.figures[name] = figure(values)


def _number(sample: Sample, name: str) -> float:
    return float(str(sample[name]))


def _ratio(mine: Sample, nginx: Sample, name: str) -> float:
    """Return processor time as a multiple of that of all of nginx's processes."""
    return _number(mine, name) / _number(nginx, "cpu_us")


def _more(mine: Sample, direct: Sample, name: str) -> float:
    return _number(mine, name) - _number(direct, name)
