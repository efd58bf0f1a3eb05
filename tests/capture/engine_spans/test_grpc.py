"""The port that an engine sends its spans to, by gRPC's own client."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from engine_export import engine_span, export_of, status
from engine_intake import listening
from h2.config import H2Configuration
from h2.connection import H2Connection
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.capture.engine_spans import intake as module
from sidelight_sidecar.capture.engine_spans.grpc import GrpcConnection
from sidelight_sidecar.capture.engine_spans.intake import MAX_BODY_BYTES
from sidelight_sidecar.capture.engine_spans.spoken import PREFACE
from sidelight_sidecar.capture.sinks.otlp.grpc import METHOD

BODY = export_of(engine_span()).SerializeToString()
HEADERS = [
    (":method", "POST"), (":scheme", "http"), (":path", METHOD), (":authority", "a"),
    ("te", "trailers"), ("content-type", "application/grpc"),
]  # fmt: skip
Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


@asynccontextmanager
async def calling(url: str, method: str = METHOD) -> AsyncIterator[Call]:
    """A method of the server there; messages are bytes."""
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(url.removeprefix("http://"), options) as channel:
        yield channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)


def noise(size: int) -> bytes:
    """Bytes that nothing shrinks."""
    return b"".join(hashlib.sha512(b"%d" % n).digest() for n in range(size // 64))


async def test_an_export_over_grpc_is_answered_and_waits_beside_one_over_http():
    """Zipped or not, one after the other on one connection, larger than HTTP/2's windows."""
    large = noise(3 << 20)
    async with listening() as (made, url), calling(url) as export:
        assert await export(BODY) == b""
        assert await export(BODY, compression=grpc.Compression.Gzip) == b""
        assert await status(f"{url}/v1/traces", BODY) == 200
        assert await export(large) == b""
        assert await asyncio.gather(*[export(b"%d" % n) for n in range(4)]) == [b""] * 4
    waiting = [made.next() for _ in range(8)]
    assert waiting[:4] == [BODY, BODY, BODY, large]
    assert sorted(filter(None, waiting[4:])) == [b"0", b"1", b"2", b"3"]
    assert made.results == {"taken": 8}


@pytest.mark.parametrize(
    ("data", "compression"),
    [
        (noise(MAX_BODY_BYTES + 64), grpc.Compression.NoCompression),
        (bytes(64 << 20), grpc.Compression.Gzip),
    ],
    ids=["large", "bomb"],
)
async def test_what_is_too_large_is_refused_and_the_next_one_goes(
    data: bytes, compression: grpc.Compression
):
    """By a status that no exporter repeats."""
    async with listening() as (made, url), calling(url) as export:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await export(data, compression=compression)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert made.results == {"too_large": 1}
        assert await export(BODY) == b""
    assert made.next() == BODY


async def test_another_method_is_not_there():
    """Metrics, logs."""
    method = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    async with listening() as (made, url), calling(url, method) as export:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await export(BODY)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert made.results == {"no_export": 1}


class Raw:
    """HTTP/2 by hand, for what gRPC's client would never send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.h2 = H2Connection(H2Configuration(header_encoding=None))
        self.h2.initiate_connection()

    def send(self, stream: int, body: bytes, *, end: bool = True, **more: str) -> None:
        """A call."""
        headers = {**dict(HEADERS), **{name.replace("_", "-"): v for name, v in more.items()}}
        self.h2.send_headers(stream, list(headers.items()))
        self.h2.send_data(stream, body, end_stream=end)
        self.writer.write(self.h2.data_to_send())

    async def answer(self) -> dict[bytes, bytes]:
        """Headers and trailers of the next answer."""
        found: dict[bytes, bytes] = {}
        async with asyncio.timeout(20):
            while b"grpc-status" not in found:
                data = await self.reader.read(1 << 16)
                assert data, "the connection ended"
                for event in self.h2.receive_data(data):
                    found |= dict(getattr(event, "headers", None) or ())
        return found


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Raw]:
    """A connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def framed(message: bytes, flag: int = 0) -> bytes:
    return struct.pack(">BI", flag, len(message)) + message


@pytest.mark.parametrize(
    ("body", "headers", "expected", "why"),
    [
        (framed(BODY)[:-1], {}, b"3", "encoding"),
        (framed(BODY) + b"x", {}, b"3", "encoding"),
        (b"", {}, b"3", "encoding"),
        (framed(b"no gzip", 1), {"grpc_encoding": "gzip"}, b"3", "encoding"),
        (framed(BODY, 1), {"grpc_encoding": "lzma"}, b"3", "encoding"),
        (framed(gzip.compress(BODY), 2), {"grpc_encoding": "gzip"}, b"3", "encoding"),
        (framed(BODY), {"content_type": "application/json"}, b"3", "media_type"),
    ],
    ids=["short", "long", "none", "no gzip", "unknown coding", "flag", "json"],
)
async def test_what_is_no_message_is_refused_and_counted(
    body: bytes, headers: dict[str, str], expected: bytes, why: str
):
    """And the connection is used again."""
    async with listening() as (made, url), raw(url) as one:
        one.send(1, body, **headers)
        assert (await one.answer())[b"grpc-status"] == expected
        assert made.results == {why: 1}
        one.send(3, framed(BODY))
        assert (await one.answer())[b"grpc-status"] == b"0"
    assert made.next() == BODY
    assert made._reading == 0


async def test_a_slow_call_keeps_no_place_and_too_many_at_once_are_let_go(monkeypatch):
    """As over HTTP."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.3)
    monkeypatch.setattr(module, "MAX_READING", 1)
    async with listening() as (made, url), raw(url) as one, calling(url) as export:
        one.send(1, framed(BODY)[:9], end=False)
        async with asyncio.timeout(20):
            while not made._reading:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0.005)
        assert await export(BODY) == b""
        assert made.results == {"busy": 1}
        assert (await one.answer())[b"grpc-status"] == b"3"
        assert made.results == {"busy": 1, "slow": 1}
        assert await export(BODY) == b""
    assert made.results["taken"] == 1


async def test_a_connection_that_ends_within_a_call_leaves_nothing():
    """The engine was killed."""
    async with listening() as (made, url):
        async with raw(url) as one:
            one.send(1, framed(BODY)[:9], end=False)
            async with asyncio.timeout(20):
                while not made._reading:  # noqa: ASYNC110 - of another task
                    await asyncio.sleep(0.005)
        async with asyncio.timeout(20):
            while made._reading:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0.005)
    assert made.results == {}


@pytest.mark.parametrize(
    "said",
    [
        PREFACE + b"\xff\xff\xff\x00\x00" + bytes(100),
        PREFACE + bytes([0, 0, 4, 3, 0, 0, 0, 0, 9]) + bytes(4),
        PREFACE + bytes(9),
    ],
    ids=["a frame of 16 MB", "no settings", "no preface' settings"],
)
async def test_what_is_no_http2_is_hung_up_on(said: bytes):
    """Nothing of it is kept, and nothing waited for."""
    async with listening() as (made, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(said)
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()
        await writer.wait_closed()
    assert made.results == {}


async def test_who_says_nothing_is_hung_up_on(monkeypatch):
    """Nor one that says what both could begin with."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.1)
    async with listening() as (_, url):
        for said in (b"", b"PRI"):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(said)
            async with asyncio.timeout(20):
                assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()


async def test_a_preface_in_pieces_and_a_post_in_pieces_are_told_apart():
    """P is what both begin with."""
    post = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
    post += b"Content-Type: application/x-protobuf\r\nConnection: close\r\n\r\n"
    async with listening() as (made, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        for place in range(len(post)):
            writer.write(post[place : place + 1])
            await writer.drain()
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
        async with raw(url) as one:
            data = one.h2.data_to_send()
            for place in range(len(data)):
                one.writer.write(data[place : place + 1])
                await one.writer.drain()
            one.send(1, framed(BODY))
            assert (await one.answer())[b"grpc-status"] == b"0"
    assert (made.next(), made.next()) == (b"", BODY)


class Kept:
    """Takes all; never more than is allowed."""

    def __init__(self) -> None:
        self.reading, self.bodies, self.why = 0, 0, 0

    def begin(self) -> bool:
        self.reading += 1
        return True

    def end(self) -> None:
        self.reading -= 1

    def put(self, body: bytes) -> None:
        assert len(body) <= 4096
        self.bodies += 1

    def count(self, why: str) -> None:
        self.why += 1


class Wire(asyncio.Transport):
    """Where answers go."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.written = bytearray()

    def write(self, data: object) -> None:
        self.written += data  # type: ignore[arg-type]

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True

    abort = close


def spoken_well(bodies: list[bytes]) -> bytes:
    """What a client of HTTP/2 sends for calls with these bodies."""
    client = H2Connection(H2Configuration(header_encoding=None))
    client.initiate_connection()
    for number, body in enumerate(bodies):
        client.send_headers(2 * number + 1, HEADERS)
        client.send_data(2 * number + 1, body, end_stream=True)
    return client.data_to_send()


@given(
    bodies=st.lists(st.binary(max_size=60) | st.just(framed(BODY)), max_size=4),
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=12)), max_size=4),
    pieces=st.lists(st.integers(1, 50), min_size=1, max_size=8),
)
async def test_whatever_comes_nothing_is_raised_and_nothing_is_left(
    bodies: list[bytes], changes: list[tuple[int, bytes]], pieces: list[int]
):
    """Cut and changed anywhere; the connection is closed or goes on."""
    data = bytearray(spoken_well(bodies))
    for place, new in changes:
        data[place : place + len(new)] = new
    taker, wire = Kept(), Wire()
    one = GrpcConnection(taker, 4096, 60)
    one.connection_made(wire)
    at = 0
    while at < len(data) and not wire.closed:
        size = pieces[at % len(pieces)]
        one.data_received(bytes(data[at : at + size]))
        at += size
    one.connection_lost(None)
    assert taker.reading == 0
    assert taker.bodies + taker.why <= 4 + len(changes)
    if not changes:
        assert taker.bodies + taker.why == len(bodies)
