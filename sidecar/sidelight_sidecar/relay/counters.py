"""The relay's counters: cumulative since its start, sent in every `T` frame.

Written as JSON by hand: they are integers and lists of them, and the `json` module costs memory.
"""

from __future__ import annotations

from bisect import bisect_left

from sidelight_sidecar.frames.stats import HELD_BOUNDS_NS


class Counters:
    """Cumulative but for what is queued now; the names are the JSON's.

    `flows_gapped` counts flows of which anything was not observed, each once;
    `flows_gapped_no_observer` and `flows_gapped_queue_full` count the same flows by reason (a flow
    can have both). `gap_bytes` are traffic bytes that never reached an observer's socket: what an
    observer that dies had in its socket and did not read shows only as gapped flows. `held` and
    `held_ns` (the sum) are explained in frames/stats.py.
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
        "held",
        "held_ns",
        "observer_starts",
        "queue_bytes",
        "queue_bytes_high_water",
        "queue_frames",
        "queue_frames_high_water",
        "refused_exhausted",
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
        self.held = [0] * (len(HELD_BOUNDS_NS) + 1)
        self.held_ns = 0
        self.observer_starts = 0
        self.queue_bytes = 0
        self.queue_bytes_high_water = 0
        self.queue_frames = 0
        self.queue_frames_high_water = 0
        self.refused_exhausted = 0
        self.refused_not_redirected = 0
        self.resets_client = 0
        self.resets_engine = 0

    def hold(self, for_ns: int, reads: int) -> None:
        """Count so many reads that were held so long."""
        self.held[bisect_left(HELD_BOUNDS_NS, for_ns)] += reads
        self.held_ns += for_ns * reads

    def to_json(self) -> str:
        """Return all counters as one JSON object."""
        return "{" + ",".join([f'"{name}":{getattr(self, name)}' for name in self.__slots__]) + "}"
