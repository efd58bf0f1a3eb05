"""What a tap in the relay's place says of itself. docs/tap.md explains each counter."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidelight_sidecar.observer.flows.table import FlowTable

TAP = {
    "tap_packets": "Packets of the port that passed the kernel's filter.",
    "tap_packets_dropped": "Of them, those that the kernel had no room for.",
    "tap_packets_malformed": "Packets that are no TCP segment.",
    "tap_checksum_errors": "Segments that TCP throws away.",
    "tap_fragments_skipped": "Fragmented IP packets, which are not followed.",
    "tap_segments_retransmitted": "Segments with bytes that were known already.",
    "tap_segments_out_of_order": "Segments that came before those in front of them.",
    "tap_bytes_lost": "Bytes of connections that were not captured.",
    "tap_gaps_not_captured": "Holes in what the receiver has.",
    "tap_gaps_buffer_full": "Holes that were given up because too much waited behind them.",
    "tap_gaps_timeout": "Holes that were given up because of their age.",
    "tap_flows_joined": "Connections that were open before the tap saw them.",
    "tap_flows_replaced": "Connections whose end was not seen.",
    "tap_flows_not_followed": "Connections beyond the number that is followed at once.",
}


class TapCollector(Collector):
    """The tap's counters; nothing where a relay is in the path."""

    def __init__(self, flows: FlowTable) -> None:
        self._flows = flows

    def collect(self) -> Iterator[Metric]:
        """All of them, once there was a packet."""
        counts = {name: getattr(self._flows.relay, name) for name in TAP}
        if any(counts.values()):
            for name, text in TAP.items():
                yield CounterMetricFamily(f"sidelight_relay_{name}", text, counts[name])
