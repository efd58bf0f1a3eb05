"""From the observer's registry to what is handed over. Pure but for reading the registry.

Rules:
1. Each sample is as `/metrics` has it at that moment, but that a histogram's buckets are counted
   each by itself here.
2. Exemplars are left out.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from prometheus_client.metrics_core import Metric

from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.records.metrics import Family, Kind, Point, Snapshot

_LE = "le"


def snapshot_of(pipeline: Pipeline, unix_ns: int) -> Snapshot:
    """All metrics now, which is `unix_ns`."""
    return Snapshot(
        start_unix_ns=pipeline.start_unix_ns,
        unix_ns=unix_ns,
        own=list(families_of(pipeline.metrics.registry.collect())),
        gen_ai=pipeline.gen_ai.families(),
    )


def families_of(metrics: Iterable[Metric]) -> Iterator[Family]:
    """Those that have a series, and are of a kind that OTLP has."""
    for metric in metrics:
        family = _family(metric)
        if family is not None and family.points:
            yield family


def _family(metric: Metric) -> Family | None:
    if metric.type == "counter":
        return _plain(metric, f"{metric.name}_total", "counter")
    if metric.type == "gauge":
        return _plain(metric, metric.name, "gauge")
    if metric.type == "histogram":
        return _summed(metric, "histogram")
    if metric.type == "summary":
        return _summed(metric, "summary")
    return None


def _plain(metric: Metric, name: str, kind: Kind) -> Family:
    """A family with one sample for each series."""
    samples = [sample for sample in metric.samples if sample.name == name]
    names = list(samples[0].labels) if samples else []
    points = [Point([one.labels[label] for label in names], one.value) for one in samples]
    return Family(name, kind, metric.documentation, names, [], points)


def _summed(metric: Metric, kind: Kind) -> Family:
    """A family with several samples for each series."""
    names: list[str] = []
    bounds: list[float] = []
    found: dict[tuple[str, ...], _Series] = {}
    for sample in metric.samples:
        names = [label for label in sample.labels if label != _LE]
        key = tuple(sample.labels[label] for label in names)
        series = found.setdefault(key, _Series())
        if sample.name.endswith("_bucket"):
            series.below.append((float(sample.labels[_LE]), int(sample.value)))
        elif sample.name.endswith("_sum"):
            series.sum = sample.value
        elif sample.name.endswith("_count"):
            series.count = int(sample.value)
    points = []
    for key, series in found.items():
        bounds = [bound for bound, _ in series.below[:-1]]
        points.append(series.point(key))
    return Family(metric.name, kind, metric.documentation, names, bounds, points)


class _Series:
    __slots__ = ("below", "count", "sum")

    def __init__(self) -> None:
        self.below: list[tuple[float, int]] = []
        """Upper bounds, with how many values are not above; the last is infinite."""
        self.sum = 0.0
        self.count = 0

    def point(self, labels: tuple[str, ...]) -> Point:
        cumulative = [0, *(count for _, count in self.below)]
        buckets = [after - before for before, after in pairwise(cumulative)]
        count = cumulative[-1] if self.below else self.count
        return Point(list(labels), self.sum, count, buckets)
