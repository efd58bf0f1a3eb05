"""Takes the engine's exports over gRPC: unary calls in plain text, on the port that HTTP has, too.

Rules:
1. As `intake.py`: a call whose message was read is answered OK at once. What is no export gets a
   status that exporters do not repeat: UNIMPLEMENTED, INVALID_ARGUMENT.
2. Of a call's message so much is kept and no more; what comes behind it is let go of, so that a
   connection can be used again.
This module is imported with the first connection that speaks HTTP/2.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Protocol

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from sidelight_sidecar.capture.engine_spans.spoken import PREFACE
from sidelight_sidecar.capture.sinks.otlp.grpc import METHOD
from sidelight_sidecar.coding import CodingError, decoder_for

HEAD_BYTES = 9
"""Of a frame."""
MAX_FRAME_BYTES = 1 << 14
"""HTTP/2's own, which we do not raise."""
MAX_UNREAD_BYTES = 1 << 16
PREFIX_BYTES = 5
logging.getLogger("hpack").setLevel(logging.CRITICAL + 1)  # it would log each header's value
MAX_CALLS = 8
"""At once on one connection. Default 8: an exporter makes one after the other."""
_OK, _INVALID_ARGUMENT, _UNIMPLEMENTED = 0, 3, 12
_EMPTY = bytes(PREFIX_BYTES)
"""The answer: a message with nothing in it."""


class Taker(Protocol):
    """Who has what was read; see `Intake`."""

    def begin(self) -> bool:
        """A body is going to be read; False: too many are."""

    def end(self) -> None:
        """It is no longer read."""

    def put(self, body: bytes) -> None:
        """It was read whole."""

    def count(self, why: str) -> None:
        """It was not taken."""


@dataclass(slots=True)
class _Call:
    """One that is under way."""

    coding: bytes
    timer: asyncio.TimerHandle
    kept: bool
    """Whether its message is kept; else it is only waited for."""
    why: str = ""
    """Why it is refused."""
    body: bytearray = field(default_factory=bytearray)


class _Frames:
    """Sees that no frame is longer than we said that we take: h2 would read it whole first."""

    def __init__(self, skip: int) -> None:
        self._left = skip
        self._head = bytearray()

    def fit(self, data: bytes) -> bool:
        """Whether those that begin in `data` do."""
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            step = HEAD_BYTES - len(self._head)
            self._head += data[at : at + step]
            at += step
            if len(self._head) == HEAD_BYTES:
                self._left = int.from_bytes(self._head[:3], "big")
                self._head.clear()
                if self._left > MAX_FRAME_BYTES:
                    return False
        return True


class GrpcConnection(asyncio.Protocol):
    """One connection.

    Args:
        taker: gets the messages.
        most_bytes: of a message, with and without its coding.
        read_seconds: how long one may take to come.
    """

    def __init__(self, taker: Taker, most_bytes: int, read_seconds: float) -> None:
        self._taker = taker
        self._most = most_bytes
        self._seconds = read_seconds
        self._calls: dict[int, _Call] = {}
        self._frames = _Frames(len(PREFACE))
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self._h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MAX_CALLS},
        )
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say how we speak."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Let go of what was under way."""
        self._transport = None
        for stream in list(self._calls):
            self._done(stream)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if not self._frames.fit(data):
            self.close()
            return
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except h2.exceptions.ProtocolError:
            self._flush()
            self.close()
            return
        self._flush()

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.close()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event.stream_id, {bytes(k): bytes(v) for k, v in event.headers})
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            call = self._calls.get(event.stream_id)
            if call is not None and call.kept and not call.why:
                call.body += event.data
                if len(call.body) > self._most + PREFIX_BYTES:
                    call.why = "too_large"
                    call.body.clear()
        elif isinstance(event, h2.events.StreamEnded):
            self._end(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._done(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.close()

    def _begin(self, stream: int, headers: dict[bytes, bytes]) -> None:
        if headers.get(b":path") != METHOD.encode() or headers.get(b":method") != b"POST":
            self._refuse(stream, _UNIMPLEMENTED, "no_export")
            return
        kind = headers.get(b"content-type", b"").partition(b";")[0]
        if kind not in (b"application/grpc", b"application/grpc+proto"):
            self._refuse(stream, _INVALID_ARGUMENT, "media_type")
            return
        timer = asyncio.get_running_loop().call_later(self._seconds, self._slow, stream)
        kept = self._taker.begin()
        if not kept:
            self._taker.count("busy")
        self._calls[stream] = _Call(headers.get(b"grpc-encoding", b""), timer, kept)

    def _end(self, stream: int) -> None:
        call = self._done(stream)
        if call is None:
            return
        if call.kept:
            try:
                self._taker.put(self._message(call))
            except CodingError as error:
                self._refuse(stream, _INVALID_ARGUMENT, error.why)
                return
        self._answer(stream, _OK)

    def _message(self, call: _Call) -> bytes:
        """The one message of a call, without its coding.

        Raises:
            CodingError: it is too large, not whole, or not what its coding says.
        """
        if call.why:
            raise CodingError(call.why)
        size = int.from_bytes(call.body[1:PREFIX_BYTES], "big")
        if len(call.body) != PREFIX_BYTES + size or call.body[0] > 1:
            raise CodingError("encoding")
        data = bytes(call.body[PREFIX_BYTES:])
        decoder = decoder_for(call.coding) if call.body[0] else None
        if decoder is None:
            return data
        found = bytearray()
        for piece in decoder.feed(data):
            found += piece
            if len(found) > self._most:
                raise CodingError("too_large")
        return bytes(found)

    def _slow(self, stream: int) -> None:
        if self._done(stream) is not None:
            self._refuse(stream, _INVALID_ARGUMENT, "slow")
            self._flush()

    def _done(self, stream: int) -> _Call | None:
        call = self._calls.pop(stream, None)
        if call is not None:
            call.timer.cancel()
            if call.kept:
                self._taker.end()
        return call

    def _refuse(self, stream: int, status: int, why: str) -> None:
        self._taker.count(why)
        self._answer(stream, status)

    def _answer(self, stream: int, status: int) -> None:
        head = [(":status", "200"), ("content-type", "application/grpc")]
        trailer = ("grpc-status", str(status))
        if status == _OK:
            self._h2.send_headers(stream, head)
            self._h2.send_data(stream, _EMPTY)
            self._h2.send_headers(stream, [trailer], end_stream=True)
        else:
            self._h2.send_headers(stream, [*head, trailer], end_stream=True)

    def _flush(self) -> None:
        if self._transport is None:
            return
        self._transport.write(self._h2.data_to_send())
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._transport.abort()  # who asks and never reads
