"""One gRPC call after the other over HTTP/2, with bounds of its own: all of gRPC that OTLP needs.

grpcio would be 19 MB of compiled code on disk and 21 MB in memory beside what the process has, with
threads of its own; this is h2, which is 0.6 MB of Python.

Rules:
1. One call at a time; one that was cancelled costs the connection.
2. A call that finds the kept connection ended, before any answer, is made once more on a new one.
3. Of an answer so much is read and no more.
"""

import asyncio
import base64
import binascii
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from sidelight_sidecar.capture.sinks.posting import MAX_ANSWER_BYTES, PostError

logging.getLogger("hpack").setLevel(logging.CRITICAL + 1)  # it would log each header's value
READ_BYTES = 1 << 16
_PREFIX_BYTES = 5
_HTTP1 = b"HTTP/1."


@dataclass(slots=True)
class Reply:
    """What came back."""

    headers: dict[str, str] = field(default_factory=dict)
    """Trailers among them."""
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False

    @property
    def status(self) -> int | None:
        """gRPC's; None: there was none."""
        value = self.headers.get("grpc-status", "")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else None

    @property
    def message(self) -> bytes:
        """The one message of the answer, if it is whole and not compressed."""
        size = int.from_bytes(self.body[1:_PREFIX_BYTES], "big")
        whole = len(self.body) == _PREFIX_BYTES + size and self.body[0] == 0
        return bytes(self.body[_PREFIX_BYTES:]) if whole else b""

    @property
    def details(self) -> bytes:
        """`grpc-status-details-bin`: a google.rpc.Status."""
        value = self.headers.get("grpc-status-details-bin", "")
        try:
            return base64.b64decode(value + "=" * (-len(value) % 4))
        except (binascii.Error, ValueError):
            return b""


class _EndedError(Exception):
    """The connection ended before anything of an answer came."""


class _Connection:
    """One, with the call that is under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None)
        )
        self._h2.initiate_connection()
        self._reply = Reply()
        self._stream = 0
        self.leaving = False
        """The server wants no more calls on it."""

    async def call(self, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        self._reply = Reply()
        self._stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(self._stream, headers)
        at = 0
        while at < len(body) and not self._reply.ended:
            size = min(
                self._h2.local_flow_control_window(self._stream), self._h2.max_outbound_frame_size
            )
            if size <= 0:
                await self._receive()
                continue
            piece = body[at : at + size]
            at += len(piece)
            self._h2.send_data(self._stream, piece, end_stream=at == len(body))
            await self._flush()
        while not self._reply.ended:
            await self._receive()
        return self._reply

    async def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
        await self._writer.drain()

    async def _receive(self) -> None:
        await self._flush()
        data = await self._reader.read(READ_BYTES)
        if not data:
            raise _EndedError
        if data.startswith(_HTTP1):  # no frame begins so: it would be 4.7 MB
            raise PostError("no gRPC")
        for event in self._h2.receive_data(data):
            self._take(event)
        await self._flush()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.leaving = True
            if not self._reply.ended:
                raise _EndedError  # what it had begun comes again
        if getattr(event, "stream_id", None) != self._stream:
            return
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            self._reply.headers |= {_text(name): _text(value) for name, value in event.headers}
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, self._stream)
            self._reply.body += event.data
            if len(self._reply.body) > MAX_ANSWER_BYTES:
                raise PostError("answer too long")
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            self._reply.ended = True

    def close(self) -> None:
        self._writer.close()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


class Channel:
    """To one server.

    Args:
        host: its name.
        port: its port.
        tls: how to speak TLS; None: plain.
    """

    def __init__(self, host: str, port: int, tls: Callable[[], ssl.SSLContext] | None) -> None:
        self._host = host
        self._port = port
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._tls = tls
        self._kept: _Connection | None = None

    async def unary(self, path: str, metadata: Mapping[str, str], message: bytes) -> Reply:
        """Call a method with a message that is compressed if the metadata say so.

        Raises:
            PostError: nothing came back.
            SecretError: the Secret cannot be used.
        """
        headers = [
            (":method", "POST"),
            (":scheme", "http" if self._tls is None else "https"),
            (":path", path),
            (":authority", self._authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *metadata.items(),
        ]
        flag = b"\x01" if "grpc-encoding" in metadata else b"\x00"
        body = flag + len(message).to_bytes(4, "big") + message
        if self._kept is not None:
            try:
                return await self._call(self._kept, headers, body)
            except (_EndedError, ConnectionError, h2.exceptions.ProtocolError):
                pass  # it may have ended long ago
        try:
            return await self._call(await self._open(), headers, body)
        except h2.exceptions.ProtocolError as error:
            raise PostError("no gRPC") from error
        except ssl.SSLError as error:
            raise PostError("TLS failed") from error
        except (_EndedError, OSError) as error:
            raise PostError("no connection") from error

    async def _call(
        self, connection: _Connection, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Reply:
        self._kept = None
        try:
            reply = await connection.call(headers, body)
            self._kept = None if connection.leaving else connection
        finally:
            if self._kept is None:
                connection.close()
        return reply

    async def _open(self) -> _Connection:
        tls = None if self._tls is None else self._tls()
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=tls)
        return _Connection(reader, writer)

    async def close(self) -> None:
        """Close the connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
