"""What becomes of records, as metrics."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.capture.child import CaptureChild
from sidelight_sidecar.observer.capture.offers import Offers

Family = CounterMetricFamily | GaugeMetricFamily


class CaptureCollector(Collector):
    """Of the observer's part, and of the capture process by its own last word."""

    def __init__(self, offers: Offers, bodies: Budget, child: CaptureChild) -> None:
        self._offers = offers
        self._bodies = bodies
        self._child = child

    def collect(self) -> Iterator[Family]:
        """All families; those of sinks have a sample for each sink."""
        yield from self._deciding()
        yield from self._recording()
        yield from self._shipping()

    def _deciding(self) -> Iterator[Family]:
        offers = self._offers
        decided = CounterMetricFamily(
            "sidelight_capture_exchanges",
            "Exchanges by what was decided: kept, passed (not kept), no_quota (of those passed, "
            "those that no quota had room for).",
            labels=["decision"],
        )
        decided.add_metric(["kept"], offers.kept)
        decided.add_metric(["passed"], offers.passed - offers.beyond)
        decided.add_metric(["no_quota"], offers.beyond)
        yield decided
        yield GaugeMetricFamily(
            "sidelight_capture_held_bytes",
            "Bytes of bodies that are kept until it is decided.",
            self._bodies.kept,
        )
        yield GaugeMetricFamily(
            "sidelight_capture_running",
            "Whether the capture process takes exchanges (1) or not (0).",
            int(self._child.running),
        )
        yield CounterMetricFamily(
            "sidelight_capture_restarts",
            "How often the capture process had to be started again.",
            self._child.restarts,
        )

    def _recording(self) -> Iterator[Family]:
        state = self._child.state
        yield CounterMetricFamily(
            "sidelight_capture_records",
            "Records made, since the capture process began.",
            state.records,
        )
        dropped = CounterMetricFamily(
            "sidelight_capture_dropped",
            "Records that were not made or not spooled, by reason.",
            labels=["reason"],
        )
        dropped.add_metric(["no_room"], self._offers.no_room)
        for reason, count in state.dropped.items():
            dropped.add_metric([reason], count)
        yield dropped
        for name, what, label, counts in (
            ("left_out", "Bodies without content, by reason.", "reason", state.left_out),
            ("findings", "What was masked, by detector.", "detector", state.findings),
        ):
            family = CounterMetricFamily(f"sidelight_capture_{name}", what, labels=[label])
            for value, count in counts.items():
                family.add_metric([value], count)
            yield family
        yield GaugeMetricFamily(
            "sidelight_capture_spool_bytes", "Bytes of records that wait.", state.spool_bytes
        )
        yield CounterMetricFamily(
            "sidelight_capture_spool_damaged",
            "Parts of the spool that could not be read.",
            state.spool_damaged,
        )
        yield from self._engine_spans()

    def _engine_spans(self) -> Iterator[Family]:
        state = self._child.state
        listening = GaugeMetricFamily(
            "sidelight_capture_engine_spans_taken",
            "Whether the engine can send its own spans (1), or the port is another's (0).",
        )
        if state.engine_spans_taken is not None:
            listening.add_metric([], int(state.engine_spans_taken))
        yield listening
        exports = CounterMetricFamily(
            "sidelight_capture_engine_exports",
            "The engine's exports of spans: taken, or why not; a taken one may still be malformed, "
            "too_many or a fault, or give way (no_room).",
            labels=["result"],
        )
        for result, count in state.engine_exports.items():
            exports.add_metric([result], count)
        yield exports

    def _shipping(self) -> Iterator[Family]:
        counted = CounterMetricFamily(
            "sidelight_sink_records",
            "Records by what became of them at a sink: delivered, refused (by the sink, for "
            "good, or each time while it took others), lost (gone for the spool's limit or age).",
            labels=["sink", "kind", "result"],
        )
        waiting = GaugeMetricFamily(
            "sidelight_sink_waiting_records", "Records that a sink has not had.",
            labels=["sink", "kind"],
        )  # fmt: skip
        lag = GaugeMetricFamily(
            "sidelight_sink_lag_seconds", "How long the oldest of them has waited.",
            labels=["sink", "kind"],
        )  # fmt: skip
        up = GaugeMetricFamily(
            "sidelight_sink_up", "Whether a sink takes records (1), or failed time and again (0).",
            labels=["sink", "kind"],
        )  # fmt: skip
        snapshots = CounterMetricFamily(
            "sidelight_sink_metrics",
            "Snapshots of metrics by what became of them at a sink: delivered, partial (it would "
            "not have all of it), failed; the next one says all that they said.",
            labels=["sink", "kind", "result"],
        )
        spans = CounterMetricFamily(
            "sidelight_sink_engine_spans",
            "The engine's own spans by what became of them at a sink: delivered, refused, lost.",
            labels=["sink", "kind", "result"],
        )
        for name, sink in self._child.state.sinks.items():
            for result in ("delivered", "refused", "lost"):
                counted.add_metric([name, sink.kind, result], getattr(sink, result))
            waiting.add_metric([name, sink.kind], sink.waiting)
            lag.add_metric([name, sink.kind], sink.lag_seconds)
            up.add_metric([name, sink.kind], int(not sink.down))
            if sink.metrics is not None:
                for result in ("delivered", "partial", "failed"):
                    count = getattr(sink.metrics, result)
                    snapshots.add_metric([name, sink.kind, result], count)
            if sink.engine_spans is not None:
                for result in ("delivered", "refused", "lost"):
                    count = getattr(sink.engine_spans, result)
                    spans.add_metric([name, sink.kind, result], count)
        yield from (counted, waiting, lag, up, snapshots, spans)
