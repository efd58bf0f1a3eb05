"""Metrics of service level objectives: at most ten series for each model and operation."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight_sidecar.observer.slo import SloCounter


class SloCollector(Collector):
    """Good and bad requests, and what they were judged by; nothing where nothing is judged.

    Both results are there from the first on: of a series that comes into being with its first bad
    request, `rate` would not see that request.
    """

    def __init__(self, slo: SloCounter) -> None:
        self._slo = slo

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """One family for each figure."""
        requests = CounterMetricFamily(
            "sidelight_slo_requests",
            "Requests that kept to an objective of spec.slo (good) and that did not (bad).",
            labels=("model", "operation", "slo", "result"),
        )
        for key, counts in self._slo.by_labels.items():
            for name, count in counts.items():
                requests.add_metric((*key, name, "good"), count.good)
                requests.add_metric((*key, name, "bad"), count.bad)
        threshold = GaugeMetricFamily(
            "sidelight_slo_threshold_seconds",
            "Thresholds of spec.slo in force.",
            labels=("slo",),
        )
        objective = GaugeMetricFamily(
            "sidelight_slo_objective_ratio", "Share of requests that spec.slo wants to be good."
        )
        if (settings := self._slo.settings) is not None:
            for name, seconds in settings.thresholds.items():
                threshold.add_metric((name,), seconds)
            objective.add_metric((), settings.objective)
        yield from (requests, threshold, objective)
