"""What the comparisons with the engine's own figures came to, as metrics."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight_sidecar.observer.reconcile.reconciler import Reconciler


class ReconciliationCollector(Collector):
    """The newest comparison, and how many there were."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Gauges of the newest comparison: without values where none speaks of now."""
        last = self._reconciler.fresh
        agree = GaugeMetricFamily(
            "sidelight_reconciliation_agree",
            "1: all figures that could be compared with the engine's own agree; 0: they do not.",
        )
        difference = GaugeMetricFamily(
            "sidelight_reconciliation_difference_ratio",
            "The sidecar's figure less the engine's own, as a share of the engine's; by figure.",
            labels=("figure",),
        )
        admissible = GaugeMetricFamily(
            "sidelight_reconciliation_admissible_ratio",
            "How far apart the bounds of the engine's figure are, as a share of it; 0: exact.",
            labels=("figure",),
        )
        if last is not None:
            agree.add_metric((), float(last.agrees))
            for name, figure in last.figures.items():
                base = max(figure.engine, 1)
                difference.add_metric((name.value,), (figure.sidecar - figure.engine) / base)
                admissible.add_metric((name.value,), (figure.high - figure.low) / base)
        yield agree
        yield difference
        yield admissible
        spans = CounterMetricFamily(
            "sidelight_reconciliation_spans",
            "Spans of time over which sidecar and engine were compared.",
            labels=("result",),
        )
        for agrees, result in ((True, "agree"), (False, "differ")):
            spans.add_metric((result,), self._reconciler.spans[agrees])
        yield spans
        causes = CounterMetricFamily(
            "sidelight_reconciliation_causes",
            "Spans in which something was found that makes the figures differ (docs/agreement.md).",
            labels=("cause",),
        )
        for cause, count in sorted(self._reconciler.causes.items()):
            causes.add_metric((cause.value,), count)
        yield causes
        yield CounterMetricFamily(
            "sidelight_reconciliation_engine_restarts",
            "How often the engine was seen to have begun to count anew.",
            self._reconciler.restarts,
        )
