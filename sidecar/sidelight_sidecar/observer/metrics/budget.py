"""What the observer keeps of what passed, as metrics."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.token_counter import TokenCounter


class BudgetCollector(Collector):
    """The budget, and what waits for the engine's tokenizer."""

    def __init__(self, budget: Budget, counter: TokenCounter) -> None:
        self._budget = budget
        self._counter = counter

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Three families."""
        yield GaugeMetricFamily(
            "sidelight_observer_kept_bytes",
            "Bytes of bodies that are kept until they can be read.",
            self._budget.kept,
        )
        yield CounterMetricFamily(
            "sidelight_observer_keep_refusals",
            "How often something was not kept, and so not read, for want of room.",
            self._budget.refusals,
        )
        yield GaugeMetricFamily(
            "sidelight_tokenizer_waiting",
            "Exchanges that wait for the engine's tokenizer.",
            len(self._counter),
        )
