"""Metrics of connections that are not read."""

from collections.abc import Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from sidelight_sidecar.observer.flows.opaque import OpaqueFlows

_Family = CounterMetricFamily | GaugeMetricFamily | SummaryMetricFamily


class OpaqueCollector(Collector):
    """How many, of which kind, why, with how many bytes, and for how long."""

    def __init__(self, flows: OpaqueFlows) -> None:
        self._flows = flows

    def collect(self) -> Iterator[_Family]:
        """One family for each figure."""
        total = CounterMetricFamily(
            "sidelight_opaque_connections",
            "Connections that are not read, by what they are and why.",
            labels=("kind", "reason"),
        )
        for labels, count in self._flows.counts.items():
            total.add_metric(labels, count)
        still = GaugeMetricFamily(
            "sidelight_opaque_connections_open",
            "Connections that are not read and open.",
            labels=("kind",),
        )
        size = CounterMetricFamily(
            "sidelight_opaque_bytes",
            "Bytes on connections that are not read, from the read on that made them so.",
            labels=("kind", "direction"),
        )
        duration = SummaryMetricFamily(
            "sidelight_opaque_connection_duration_seconds",
            "How long connections that are not read lasted, from the read on that made them so.",
            labels=("kind",),
        )
        for kind, figures in self._flows.kinds.items():
            still.add_metric((kind,), figures.open)
            size.add_metric((kind, "to_engine"), figures.client_bytes)
            size.add_metric((kind, "to_client"), figures.engine_bytes)
            duration.add_metric((kind,), figures.ended, figures.total_ns / 1e9)
        yield from (total, still, size, duration)
