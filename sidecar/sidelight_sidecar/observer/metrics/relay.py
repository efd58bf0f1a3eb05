"""What the relay says of itself, as metrics: what it did, what it cost, what was not observed."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidelight_sidecar.frames.stats import HELD_BOUNDS_NS
from sidelight_sidecar.observer.flows.table import FlowTable

PLAIN = {
    "flows_opened": "Connections that were accepted and led on.",
    "flows_closed": "Connections that have ended.",
    "gap_bytes": "Bytes that were relayed and not observed.",
    "connect_errors": "Connections that the engine did not take.",
    "resets_client": "Connections that the client reset.",
    "resets_engine": "Connections that the engine reset.",
    "accept_errors": "Times that accepting had to rest, out of descriptors or memory.",
    "bytes_to_engine": "Bytes from clients.",
    "bytes_to_client": "Bytes from the engine.",
}
QUEUE = {
    "queue_bytes": "Frames that wait for the observer, in bytes.",
    "queue_bytes_high_water": "The most bytes that ever waited.",
    "queue_frames": "Frames that wait for the observer.",
    "queue_frames_high_water": "The most frames that ever waited.",
}
BY_REASON = {
    "flows_gapped": (
        "Connections of which bytes were not observed; one can have both reasons.",
        {"queue_full": "flows_gapped_queue_full", "no_observer": "flows_gapped_no_observer"},
    ),
    "flows_refused": (
        "Connections that were reset at once.",
        {"exhausted": "refused_exhausted", "not_redirected": "refused_not_redirected"},
    ),
}


class RelayCollector(Collector):
    """The relay's own counters, as its newest frame about itself has them."""

    def __init__(self, flows: FlowTable) -> None:
        self._flows = flows

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        relay = self._flows.relay
        for name, text in PLAIN.items():
            yield CounterMetricFamily(f"sidelight_relay_{name}", text, getattr(relay, name))
        for name, (text, reasons) in BY_REASON.items():
            family = CounterMetricFamily(f"sidelight_relay_{name}", text, labels=["reason"])
            for reason, field in reasons.items():
                family.add_metric([reason], getattr(relay, field))
            yield family
        yield CounterMetricFamily(
            "sidelight_relay_observer_restarts",
            "Times that the observer was started again.",
            max(0, relay.observer_starts - 1),
        )
        for name, text in QUEUE.items():
            yield GaugeMetricFamily(f"sidelight_relay_{name}", text, getattr(relay, name))
        yield GaugeMetricFamily(
            "sidelight_relay_flows_open",
            "Connections that are open.",
            relay.flows_opened - relay.flows_closed,
        )
        if len(relay.held) == len(HELD_BOUNDS_NS) + 1:
            yield self._held(relay.held, relay.held_ns)
        yield CounterMetricFamily(
            "sidelight_flows_unparsed",
            "Connections that are not read, of whatever kind (sidelight_opaque_connections_total).",
            self._flows.unparsed,
        )

    def _held(self, counts: list[int], total_ns: int) -> HistogramMetricFamily:
        bounds = [str(bound / 1e9) for bound in HELD_BOUNDS_NS] + ["+Inf"]
        return HistogramMetricFamily(
            "sidelight_relay_held_seconds",
            "From the relay's read of bytes to its write of the last of them. Sampled: 1 in 17 of "
            "the reads that were written at once, counting for 17, and every one that waited.",
            buckets=list(zip(bounds, accumulate(counts), strict=True)),
            sum_value=total_ns / 1e9,
        )
