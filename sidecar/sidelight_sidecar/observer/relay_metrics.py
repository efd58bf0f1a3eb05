"""What the sidecar says of itself: the relay's counters as metrics."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight_contract.summary import RelayCounters
from sidelight_sidecar.observer.flows import FlowTable


class RelayCollector(Collector):
    """The relay's own counters, as its newest frame about itself has them."""

    def __init__(self, flows: FlowTable) -> None:
        self._flows = flows

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """One family for each counter."""
        counters = self._flows.relay
        for name in RelayCounters.__struct_fields__:
            text, value = f"The relay's {name.replace('_', ' ')}.", getattr(counters, name)
            if name == "queue_bytes_high_water":
                yield GaugeMetricFamily(f"sidelight_relay_{name}", text, value)
            else:
                yield CounterMetricFamily(f"sidelight_relay_{name}", text, value)
        yield CounterMetricFamily(
            "sidelight_flows_unparsed",
            "Connections that are not read, of whatever kind (sidelight_opaque_connections_total).",
            self._flows.unparsed,
        )
