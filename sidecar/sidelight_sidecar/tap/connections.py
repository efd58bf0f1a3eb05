"""Every connection to the port: from segments to the flows that the observer is told of. Sans I/O.

Rules:
1. A flow begins when its handshake is over. One that was open before begins with its first payload,
   with `O` and `G` at once, so that the observer picks it up at its next request.
2. An acknowledgment counts before the payload that comes with it: what the other side has and we
   have not is a gap *before* the answer to it, so no answer is put to a wrong request. A gap in one
   direction ends the waiting in the other.
3. A flow ends when both directions have ended, or by a reset. One that ends unseen (its addresses
   are used anew, or nothing was heard of it for long) ends with a gap: how it ended is not known.
4. Time never goes back within a flow.
5. Everything is bounded: connections, handshakes, and the bytes that wait for a hole, for each
   direction and in all.
"""

from __future__ import annotations

from typing import Protocol

from sidelight_sidecar.frames.codec import (
    CLIENT_BYTES,
    CLIENT_EOF,
    ENGINE_BYTES,
    ENGINE_EOF,
    GAP,
    NO_DELAY,
)
from sidelight_sidecar.relay.tee import TeeState
from sidelight_sidecar.tap.counters import TapCounters
from sidelight_sidecar.tap.handshake import Handshake, Handshakes
from sidelight_sidecar.tap.limits import Limits
from sidelight_sidecar.tap.packet import ACK, FIN, RST, SYN, Segment, client_of, engine_of
from sidelight_sidecar.tap.stream import AHEAD, END, LOST, MASK, OLD, RESET, Event, Stream

NOT_CAPTURED = "tap_gaps_not_captured"
BUFFER_FULL = "tap_gaps_buffer_full"
TIMEOUT = "tap_gaps_timeout"


class Frames(Protocol):
    """Where flows go: the relay's tee, or what a test puts in its place."""

    def open(self, flow: int, at_ns: int, opened: bytes) -> TeeState:
        """Begin a flow."""

    def traffic(self, state: TeeState, kind: int, at_ns: int, delay_ns: int, data: bytes) -> None:
        """Bytes of one direction, their end, or a gap."""

    def reset(self, state: TeeState, at_ns: int, by: bytes) -> None:
        """One side reset the flow."""

    def close(self, state: TeeState, at_ns: int) -> None:
        """End a flow."""


class Connection:
    """Both directions of one connection that is being followed.

    Attributes:
        told_ns: time of the newest frame.
        buffered_bytes: what of both streams counts in the sum over all connections.
        engine_first: sequence number of the engine's first byte, as far as it is known.
    """

    __slots__ = ("buffered_bytes", "client", "engine", "engine_first", "key", "state", "told_ns")

    def __init__(self, key: bytes, state: TeeState, client: int, engine: int, at_ns: int) -> None:
        self.key = key
        self.state = state
        self.client = Stream(client)
        self.engine = Stream(engine)
        self.engine_first = engine
        self.buffered_bytes = 0
        self.told_ns = at_ns


class Connections:
    """Follows every connection to one port."""

    def __init__(
        self, port: int, frames: Frames, counters: TapCounters, limits: Limits | None = None
    ) -> None:
        self._port = port
        self._frames = frames
        self._counters = counters
        self._limits = limits or Limits()
        self._open: dict[bytes, Connection] = {}
        self._handshakes = Handshakes()
        self._waiting: dict[bytes, Connection] = {}  # those with a hole
        self._ended: dict[bytes, int] = {}  # until when they linger, oldest first
        self._buffered_bytes = 0
        self._next_flow = 0

    def __len__(self) -> int:
        return len(self._open)

    def segment(self, at_ns: int, segment: Segment) -> None:
        """Take one segment, with the monotonic time at which the kernel saw it."""
        key, from_client, seq, ack, flags, payload, length = segment
        connection = self._open.get(key)
        if connection is None or flags & SYN:
            connection = self._begin(at_ns, segment)
            if connection is None:
                return
        at_ns = max(at_ns, connection.told_ns)
        if from_client:
            own, peer = connection.client, connection.engine
        else:
            own, peer = connection.engine, connection.client
        ahead = (seq - own.next) & MASK
        if ahead and self._handshakes.restarts(key, from_client=from_client, seq=seq):
            self._replace(connection, at_ns)
            self.segment(at_ns, segment)
            return
        if flags & ACK and (ack - peer.acked) & MASK:
            lost = peer.acknowledge(ack, at_ns)
            if lost and not self._lose(connection, peer, lost, NOT_CAPTURED):
                return
        if not (ahead or own.waiting or own.ended or flags & (FIN | RST)):
            if payload:
                own.next += len(payload)
                self._bytes(connection, own, at_ns, payload)
        elif length or flags & (FIN | RST):
            self._take(connection, own, at_ns, segment)

    def tick(self, now_ns: int) -> None:
        """Give up what has lasted too long. Call it about once a second."""
        for connection in list(self._waiting.values()):
            for stream in (connection.client, connection.engine):
                late = stream.waiting and now_ns - stream.hole_since_ns > self._limits.hole_ns
                if late and not self._lose(connection, stream, stream.give_up(now_ns), TIMEOUT):
                    break
        while self._ended:
            key = next(iter(self._ended))
            if self._ended[key] > now_ns and len(self._ended) <= self._limits.connections:
                break
            del self._ended[key]
        for connection in list(self._open.values()):
            if now_ns - connection.told_ns > self._limits.idle_ns:
                self._replace(connection, now_ns)

    # --- the beginning ----------------------------------------------------------------------
    def _begin(self, at_ns: int, segment: Segment) -> Connection | None:
        """Return the connection that this segment begins, if it does, to go on with it."""
        key, from_client, seq, ack, flags, payload, _ = segment
        handshakes = self._handshakes
        if flags & SYN:
            self._shake_hands(at_ns, segment)
            return None
        if flags & RST:
            if handshakes.refuses(key, from_client=from_client, flags=flags, ack=ack):
                self._refused(key, at_ns)
            handshakes.end(key)
            return None
        if handshakes.continues(key, from_client=from_client, seq=seq):
            handshake = handshakes.end(key)
            assert handshake is not None
            return self._made(at_ns, key, ack, handshake)
        if not payload or not flags & ACK or key in self._ended:
            return None
        handshakes.end(key)
        client, engine = (seq, ack) if from_client else (ack, seq)
        return self._open_flow(key, at_ns, client, engine, joined=True)

    def _shake_hands(self, at_ns: int, segment: Segment) -> None:
        """Take SYN or SYN-ACK. What used these addresses before has ended when both were seen."""
        key, from_client, seq, ack, flags, payload, _ = segment
        known = self._open.get(key)
        if from_client and not flags & ACK:
            self._handshakes.syn(key, seq, payload)
        elif not from_client and flags & ACK:
            if known is not None and not (seq + 1 - known.engine_first) & MASK:
                return  # said again: the first one, or the answer to it, did not get through
            if self._handshakes.syn_ack(key, seq, ack, payload) and known is not None:
                self._replace(known, at_ns)

    def _made(self, at_ns: int, key: bytes, ack: int, handshake: Handshake) -> Connection | None:
        engine = handshake.engine_next
        joined = not handshake.complete or engine is None
        if engine is None:
            engine = ack  # the answer was not captured, but the client has it
        connection = self._open_flow(key, at_ns, handshake.client_next, engine, joined=joined)
        for from_client, seq, payload in handshake.early:
            if connection is not None:
                stream = connection.client if from_client else connection.engine
                early = (key, from_client, seq, 0, 0, payload, len(payload))
                self._take(connection, stream, at_ns, early)
        return connection

    def _refused(self, key: bytes, at_ns: int) -> None:
        """The engine's port is closed: what the relay says when it cannot connect."""
        self._counters.connect_errors += 1
        connection = self._open_flow(key, at_ns, 0, 0, joined=False)
        if connection is not None:
            self._frames.reset(connection.state, at_ns, b"connect")
            self._close(connection)

    def _open_flow(
        self, key: bytes, at_ns: int, client: int, engine: int, *, joined: bool
    ) -> Connection | None:
        if len(self._open) >= self._limits.connections:
            self._counters.tap_flows_not_followed += 1
            return None
        self._ended.pop(key, None)
        self._next_flow = (self._next_flow + 1) & MASK or 1  # 0 is the stats'
        opened = f'{{"client":"{client_of(key)}","engine":"{engine_of(key, self._port)}"}}'
        state = self._frames.open(self._next_flow, at_ns, opened.encode())
        connection = self._open[key] = Connection(key, state, client, engine, at_ns)
        self._counters.flows_opened += 1
        if joined:
            self._counters.tap_flows_joined += 1
            self._frames.traffic(state, GAP, at_ns, NO_DELAY, b"")
        return connection

    # --- what comes -------------------------------------------------------------------------
    def _bytes(self, connection: Connection, stream: Stream, at_ns: int, payload: bytes) -> None:
        connection.told_ns = at_ns
        if stream is connection.client:
            kind = CLIENT_BYTES
            self._counters.bytes_to_engine += len(payload)
        else:
            kind = ENGINE_BYTES
            self._counters.bytes_to_client += len(payload)
        self._frames.traffic(connection.state, kind, at_ns, NO_DELAY, payload)

    def _take(self, connection: Connection, stream: Stream, at_ns: int, segment: Segment) -> None:
        """Take a segment that is not simply the next one."""
        _, _, seq, _, flags, payload, length = segment
        was, events = stream.take(at_ns, seq, flags, payload, length)
        if was == OLD:
            self._counters.tap_segments_retransmitted += 1
        elif was == AHEAD:
            self._counters.tap_segments_out_of_order += 1
        lost = bool(events) and events[0][0] == LOST
        tell = self._lose if lost else self._tell
        if not tell(connection, stream, events, NOT_CAPTURED) or not stream.waiting:
            return
        full = stream.buffered_bytes > self._limits.stream_bytes
        if full or self._buffered_bytes > self._limits.total_bytes:
            self._lose(connection, stream, stream.give_up(at_ns), BUFFER_FULL)

    def _lose(
        self, connection: Connection, stream: Stream, events: list[Event], reason: str
    ) -> bool:
        """As `_tell`, where a gap is first. What waits in the other direction came before it, and
        must not seem to come after: a request of which the answer is lost would look unanswered.
        """
        other = connection.engine if stream is connection.client else connection.client
        if other.waiting:
            known = other.give_up(connection.told_ns)
            if not self._tell(connection, other, known, reason):
                return False
        return self._tell(connection, stream, events, reason)

    def _tell(
        self, connection: Connection, stream: Stream, events: list[Event], reason: str
    ) -> bool:
        """Pass on what came of a segment, `reason` being the counter of what was lost; return
        whether the connection is still open after it.
        """
        for what, event_ns, value in events:
            at_ns = connection.told_ns = max(event_ns, connection.told_ns)
            if isinstance(value, bytes):
                self._bytes(connection, stream, at_ns, value)
            elif what == LOST:
                self._gap(connection, reason, value)
            elif what == END:
                kind = CLIENT_EOF if stream is connection.client else ENGINE_EOF
                self._frames.traffic(connection.state, kind, at_ns, NO_DELAY, b"")
            elif what == RESET:
                self._reset(connection, stream)
                return False
        if connection.client.ended and connection.engine.ended:
            self._close(connection)
            return False
        self._settle(connection)
        return True

    def _gap(self, connection: Connection, reason: str, lost_bytes: int) -> None:
        counters = self._counters
        setattr(counters, reason, getattr(counters, reason) + 1)
        counters.tap_bytes_lost += lost_bytes
        self._frames.traffic(connection.state, GAP, connection.told_ns, NO_DELAY, b"")

    def _reset(self, connection: Connection, stream: Stream) -> None:
        if connection.client.waiting or connection.engine.waiting:
            self._gap(connection, NOT_CAPTURED, 0)  # whether those bytes came, is not known
        by_client = stream is connection.client
        if by_client:
            self._counters.resets_client += 1
        else:
            self._counters.resets_engine += 1
        by = b"client" if by_client else b"engine"
        self._frames.reset(connection.state, connection.told_ns, by)
        self._close(connection)

    def _settle(self, connection: Connection) -> None:
        """Keep the books of what waits for a hole."""
        client, engine = connection.client, connection.engine
        buffered_bytes = client.buffered_bytes + engine.buffered_bytes
        self._buffered_bytes += buffered_bytes - connection.buffered_bytes
        connection.buffered_bytes = buffered_bytes
        if client.waiting or engine.waiting:
            self._waiting[connection.key] = connection
        else:
            self._waiting.pop(connection.key, None)

    # --- the end ----------------------------------------------------------------------------
    def _replace(self, connection: Connection, at_ns: int) -> None:
        """It has ended, we have not seen how."""
        connection.told_ns = max(at_ns, connection.told_ns)
        self._counters.tap_flows_replaced += 1
        self._frames.traffic(connection.state, GAP, connection.told_ns, NO_DELAY, b"")
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        del self._open[connection.key]
        self._waiting.pop(connection.key, None)
        self._buffered_bytes -= connection.buffered_bytes
        self._ended.pop(connection.key, None)
        self._ended[connection.key] = connection.told_ns + self._limits.linger_ns
        self._counters.flows_closed += 1
        self._frames.close(connection.state, connection.told_ns)
