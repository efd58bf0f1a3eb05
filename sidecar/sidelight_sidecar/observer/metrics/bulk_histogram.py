"""A Prometheus histogram for what happens for every chunk of every stream.

prometheus_client's takes a lock and walks over its buckets for each value, a microsecond in all;
here many values are counted at once, by one thread.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BulkHistogram(Collector):
    """A histogram with labels; `buckets` are upper bounds, ascending, without the infinite one."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> None:
        self.name = name
        self.documentation = documentation
        self.labelnames = tuple(labels)
        self.bounds = tuple(float(bound) for bound in buckets)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, labels: tuple[str, ...], values: Sequence[float]) -> None:
        """Count each of `values`."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self.bounds) + 1)
            self._sums[labels] = 0.0
        bounds = self.bounds
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self._sums[labels] += sum(values)

    def series(self) -> Iterator[tuple[tuple[str, ...], list[int], float]]:
        """Of each its labels, how many values each bucket has, and their sum."""
        for labels, counts in self._counts.items():
            yield labels, counts, self._sums[labels]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family, with cumulative buckets."""
        family = HistogramMetricFamily(self.name, self.documentation, labels=self.labelnames)
        names = [*map(str, self.bounds), "+Inf"]
        for labels, counts, total in self.series():
            seen, buckets = 0, []
            for name, count in zip(names, counts, strict=True):
                seen += count
                buckets.append((name, float(seen)))
            family.add_metric(labels, buckets, total)
        yield family
