"""How much the tap keeps, so that nothing is unbounded."""

from __future__ import annotations

SECOND_NS = 1_000_000_000


class Limits:
    """How much is kept.

    Args:
        connections: followed at once. Each costs about 1 KB. A busy server has some thousand,
            most of them idle.
        stream_bytes: bytes of one direction that may wait for a hole: some reads of GRO's 64 KiB,
            more than a window in a data centre's network.
        total_bytes: of all together.
        hole_seconds: how long a hole may last without an acknowledgment; a sender repeats a lost
            segment after 0.2, 0.6, 1.4, 3 and 6.2 s.
        idle_seconds: without a byte for so long a connection is forgotten. If it is but idle, its
            next request is picked up again.
        linger_seconds: late packets of a connection that has ended begin no new one for so long.
    """

    __slots__ = (
        "connections",
        "hole_ns",
        "idle_ns",
        "linger_ns",
        "stream_bytes",
        "total_bytes",
    )

    def __init__(
        self,
        *,
        connections: int = 20_000,
        stream_bytes: int = 1 << 20,
        total_bytes: int = 16 << 20,
        hole_seconds: float = 10.0,
        idle_seconds: float = 3600.0,
        linger_seconds: float = 5.0,
    ) -> None:
        self.connections = connections
        self.stream_bytes = stream_bytes
        self.total_bytes = total_bytes
        self.hole_ns = int(hole_seconds * SECOND_NS)
        self.idle_ns = int(idle_seconds * SECOND_NS)
        self.linger_ns = int(linger_seconds * SECOND_NS)
