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
        self._family = (name, documentation)
        self._labelnames = tuple(labels)
        self._bounds = tuple(buckets)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, labels: tuple[str, ...], values: Sequence[float]) -> None:
        """Count each of `values`."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
            self._sums[labels] = 0.0
        bounds = self._bounds
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self._sums[labels] += sum(values)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family, with cumulative buckets."""
        family = HistogramMetricFamily(*self._family, labels=self._labelnames)
        names = [*map(str, map(float, self._bounds)), "+Inf"]
        for labels, counts in self._counts.items():
            seen, buckets = 0, []
            for name, count in zip(names, counts, strict=True):
                seen += count
                buckets.append((name, float(seen)))
            family.add_metric(labels, buckets, self._sums[labels])
        yield family
