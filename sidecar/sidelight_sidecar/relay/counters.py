"""The relay's counters: cumulative since its start, sent in every `T` frame.

Written as JSON by hand: they are all integers, and the `json` module costs memory.
"""

from __future__ import annotations


class Counters:
    """Cumulative integers; the names are the JSON's.

    `flows_gapped` counts flows of which anything was not observed, each once;
    `flows_gapped_no_observer` and `flows_gapped_queue_full` count the same flows by reason (a flow
    can have both). `gap_bytes` are traffic bytes that never reached an observer's socket: what an
    observer that dies had in its socket and did not read shows only as gapped flows.
    """

    __slots__ = (
        "accept_errors",
        "bytes_to_client",
        "bytes_to_engine",
        "connect_errors",
        "flows_closed",
        "flows_gapped",
        "flows_gapped_no_observer",
        "flows_gapped_queue_full",
        "flows_opened",
        "gap_bytes",
        "observer_starts",
        "queue_bytes_high_water",
        "refused_not_redirected",
        "resets_client",
        "resets_engine",
    )

    def __init__(self) -> None:
        self.accept_errors = 0
        self.bytes_to_client = 0
        self.bytes_to_engine = 0
        self.connect_errors = 0
        self.flows_closed = 0
        self.flows_gapped = 0
        self.flows_gapped_no_observer = 0
        self.flows_gapped_queue_full = 0
        self.flows_opened = 0
        self.gap_bytes = 0
        self.observer_starts = 0
        self.queue_bytes_high_water = 0
        self.refused_not_redirected = 0
        self.resets_client = 0
        self.resets_engine = 0

    def to_json(self) -> str:
        """Return all counters as one JSON object."""
        return "{" + ",".join([f'"{name}":{getattr(self, name)}' for name in self.__slots__]) + "}"
