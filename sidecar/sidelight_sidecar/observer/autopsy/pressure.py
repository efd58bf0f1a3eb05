"""When the relay had to wait for a client that did not read what the engine had sent.

Rules:
1. A read of the engine that could not be written on at once begins a wait: the relay reads nothing
   more of the engine until the client has taken it. The engine's next read ends the wait.
2. An engine that pauses right then looks the same. So a wait counts only if the next read had to
   wait as well, or is much larger: bytes had piled up meanwhile.
3. A tap times no writes; for its frames there is no telling, and nothing is told.
4. Bounded: the newest `MAX_WAITS` of a connection, of connections that ever had one.
"""

from collections import deque

from sidelight_sidecar.frames.codec import NO_DELAY

MAX_WAITS = 64
PILED_UP_BYTES = 2048
FULL_BYTES = 32 << 10
"""The relay reads 64 KiB at most: so much is much, whatever came before."""

Span = tuple[int, int]


class _Waits:
    __slots__ = ("bytes", "since_ns", "spans")

    def __init__(self) -> None:
        self.since_ns = 0
        self.bytes = 0
        self.spans: deque[Span] = deque(maxlen=MAX_WAITS)


class ClientPressure:
    """Follows the frames of all connections, by number.

    Attributes:
        relayed: the frames are a relay's: it says how long it held what it passed on.
        waiting: connections whose wait has not ended; where there are none, and this read had not
            to wait, nobody need be told of it.
    """

    __slots__ = ("_flows", "relayed", "waiting")

    def __init__(self) -> None:
        self.relayed = False
        self.waiting = 0
        self._flows: dict[int, _Waits] = {}

    def engine_bytes(self, flow: int, at_ns: int, delay_ns: int, size: int) -> None:
        """A read of the engine."""
        waited = delay_ns == NO_DELAY
        waits = self._flows.get(flow)
        if waits is None:
            if not (waited and self.relayed):
                return
            waits = self._flows[flow] = _Waits()
        if waits.since_ns:
            if waited or size >= max(PILED_UP_BYTES, min(2 * waits.bytes, FULL_BYTES)):
                waits.spans.append((waits.since_ns, max(at_ns, waits.since_ns)))
            self.waiting -= 1
        waits.since_ns = at_ns if waited else 0
        waits.bytes = size
        self.waiting += waited

    def closed(self, flow: int) -> None:
        """The connection is over."""
        if self._flows and (waits := self._flows.pop(flow, None)) is not None:
            self.waiting -= waits.since_ns != 0

    def between(self, flow: int, since_ns: int, until_ns: int) -> list[Span]:
        """The waits from one time to another, cut to it."""
        waits = self._flows.get(flow)
        found = waits.spans if waits is not None else ()
        cut = [(max(begin, since_ns), min(end, until_ns)) for begin, end in found]
        return [(begin, end) for begin, end in cut if begin < end]
