"""The tap's counters: the relay's, where they mean the same, and its own, named `tap_...`."""

from __future__ import annotations

from sidelight_sidecar.relay.counters import Counters

OWN = (
    "tap_bytes_lost",
    "tap_checksum_errors",
    "tap_flows_joined",
    "tap_flows_not_followed",
    "tap_flows_replaced",
    "tap_fragments_skipped",
    "tap_gaps_buffer_full",
    "tap_gaps_not_captured",
    "tap_gaps_timeout",
    "tap_packets",
    "tap_packets_dropped",
    "tap_packets_malformed",
    "tap_segments_out_of_order",
    "tap_segments_retransmitted",
)


class TapCounters(Counters):
    """Cumulative integers; the names are the JSON's.

    `tap_gaps_*` count holes in the byte streams by the reason for which they were given up, and
    `tap_bytes_lost` the bytes that were in them. `tap_packets` is what the filter let through,
    `tap_packets_dropped` of it what the ring had no room for. `tap_flows_joined` are connections
    that were open before; `tap_flows_replaced` ended unseen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tap_bytes_lost = 0
        self.tap_checksum_errors = 0
        self.tap_flows_joined = 0
        self.tap_flows_not_followed = 0
        self.tap_flows_replaced = 0
        self.tap_fragments_skipped = 0
        self.tap_gaps_buffer_full = 0
        self.tap_gaps_not_captured = 0
        self.tap_gaps_timeout = 0
        self.tap_packets = 0
        self.tap_packets_dropped = 0
        self.tap_packets_malformed = 0
        self.tap_segments_out_of_order = 0
        self.tap_segments_retransmitted = 0

    def to_json(self) -> str:
        """Return all counters as one JSON object."""
        own = ",".join([f'"{name}":{getattr(self, name)}' for name in OWN])
        return f"{super().to_json()[:-1]},{own}}}"
