"""Flows: which connection a frame belongs to, and whether it can still be followed.

After a gap nothing that came before is trusted: exchanges in the middle are dropped (the relay has
counted the gap), and the flow is picked up at the next read from the client that begins with an
HTTP/1.1 request line. Clients of LLM servers do not pipeline, so a request line means that the
response before it is complete.
"""

import re
from contextlib import suppress

import msgspec

from sidelight_contract.summary import RelayCounters
from sidelight_sidecar.frames.codec import (
    CLIENT_BYTES,
    CLIENT_EOF,
    CLOSED,
    ENGINE_BYTES,
    ENGINE_EOF,
    GAP,
    NO_DELAY,
    OPEN,
    RESET,
    STATS,
    Frame,
)
from sidelight_sidecar.observer.http1 import Http1Connection, NotFollowedError
from sidelight_sidecar.observer.transaction import Context

_decode_counters = msgspec.json.Decoder(RelayCounters).decode
_REQUEST_LINE = re.compile(rb"[A-Z]{3,20} [!-~]{1,2048} HTTP/1\.[01]\r?\n")


class _Flow:
    __slots__ = ("client_left", "connection", "lost", "opaque")

    def __init__(self, connection: Http1Connection) -> None:
        self.connection = connection
        self.lost = False
        """A gap: wait for a request line."""
        self.opaque = False
        """Not HTTP/1.1: nothing more is read of it."""
        self.client_left = False


class FlowTable:
    """Feeds each flow's bytes to its HTTP connection."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._flows: dict[int, _Flow] = {}
        self.unparsed = 0
        """Flows that could not be followed."""
        self.relay = RelayCounters()
        """The relay's newest counters; zeros before it has spoken."""
        self.last_ns = 0
        """Time of the newest frame."""
        self.opened = b""
        """What the newest `O` frame says: the addresses of a connection, as JSON."""

    @property
    def engine_address(self) -> str:
        """`host:port` of the engine, as the newest connection had it; empty before the first."""
        try:
            return str(msgspec.json.decode(self.opened)["engine"])
        except (msgspec.DecodeError, KeyError, TypeError):
            return ""

    def feed(self, frames: list[Frame]) -> None:
        """Take frames in their order."""
        flows = self._flows
        for number, kind, at_ns, delay_ns, payload in frames:
            if kind == STATS:
                with suppress(msgspec.DecodeError):  # a damaged file: the counters before it stay
                    self.relay = _decode_counters(payload)
                self.last_ns = max(self.last_ns, at_ns)
                continue
            flow = flows.get(number)
            if kind == OPEN:
                if flow is not None:
                    flow.connection.lose()
                self.opened = payload
                flows[number] = _Flow(Http1Connection(number, self._context))
            elif flow is None or flow.opaque:
                if kind == CLOSED:
                    flows.pop(number, None)
            elif kind in (ENGINE_BYTES, CLIENT_BYTES):
                try:
                    self._bytes(flow, number, (kind, at_ns, delay_ns), payload)
                except NotFollowedError:
                    self._give_up(flow)
            else:
                self._event(number, kind, at_ns, payload)
        if frames:
            self.last_ns = max(self.last_ns, frames[-1][2])

    def _bytes(self, flow: _Flow, number: int, head: tuple[int, int, int], payload: bytes) -> None:
        kind, at_ns, delay_ns = head
        if flow.lost:
            if kind != CLIENT_BYTES or not _REQUEST_LINE.match(payload):
                return
            flow.lost = False
            flow.connection = Http1Connection(number, self._context)
        if kind == ENGINE_BYTES:
            flow.connection.from_engine(payload, at_ns)
        else:
            delay = delay_ns if delay_ns != NO_DELAY else -1
            flow.connection.from_client(payload, at_ns, delay)

    def _event(self, number: int, kind: int, at_ns: int, payload: bytes) -> None:
        flow = self._flows[number]
        connection = flow.connection
        if kind == GAP:
            connection.lose()
            flow.lost = True
        elif kind == CLIENT_EOF:
            flow.client_left = True
            connection.client_ended(at_ns)
        elif kind == ENGINE_EOF:
            connection.engine_ended(at_ns, client_left=flow.client_left)
        elif kind == RESET:
            by = {b"client": "client_disconnect", b"connect": "upstream_connect"}
            error = by.get(bytes(payload), "upstream_reset")
            connection.broke(at_ns, "client_disconnect" if flow.client_left else error)
        elif kind == CLOSED:
            connection.broke(at_ns, "client_disconnect")
            del self._flows[number]

    def _give_up(self, flow: _Flow) -> None:
        flow.connection.lose()
        flow.opaque = True
        self.unparsed += 1
