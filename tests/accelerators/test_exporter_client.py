"""Asking an exporter over a real connection, whatever it does."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sidelight_contract.names import Reason
from sidelight_sidecar.observer.accelerators.exporter_client import (
    PIECE_BYTES,
    ExporterError,
    HttpExporterClient,
    http_exporter_client,
)

TEXT = b'DCGM_A{pod="llama-0"} 1\n' * 1000
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Exporter:
    """A server that answers every request in the same way."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ended = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.suppress(*ended):
            while not writer.is_closing():
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                await self._answer(writer)
                await writer.drain()
        writer.transport.abort()
        self._tasks.discard(task)

    async def end(self) -> None:
        """Whatever it is about to say."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


@contextlib.asynccontextmanager
async def exporter(answer: Answer) -> AsyncIterator[tuple[Exporter, str]]:
    one = Exporter(answer)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield one, f"{host}:{port}"
    finally:
        server.close()
        await one.end()


def whole(body: bytes, *headers: str, status: str = "200 OK") -> Answer:
    """An answer as it should be."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)

    return answer


async def read(client: HttpExporterClient, address: str) -> list[bytes]:
    return [piece async for piece in client.read(address)]


async def failure(answer: Answer, seconds: float = 30.0) -> ExporterError:
    async with exporter(answer) as (_, address), http_exporter_client(seconds) as client:
        with pytest.raises(ExporterError) as caught:
            await read(client, address)
        return caught.value


async def test_an_answer_is_given_on_in_small_pieces() -> None:
    """20 MB come whole, and none of it all at once."""
    body = TEXT * 850
    async with exporter(whole(body)) as (one, address), http_exporter_client(60) as client:
        pieces = await read(client, address)
        assert b"".join(pieces) == body
        assert max(map(len, pieces)) <= PIECE_BYTES
        assert one.requests[0].startswith(b"GET /metrics HTTP/1.1\r\n")
        assert b"Accept-Encoding: identity\r\n" in one.requests[0]


async def test_a_connection_is_used_again() -> None:
    """One is enough, for years."""
    async with exporter(whole(TEXT)) as (one, address), http_exporter_client() as client:
        for _ in range(3):
            assert b"".join(await read(client, address)) == TEXT
        assert (one.connections, len(one.requests)) == (1, 3)


async def test_nothing_there_is_told_as_such() -> None:
    """The port is closed."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        async with http_exporter_client() as client:
            with pytest.raises(ExporterError, match="cannot be connected to") as caught:
                await read(client, address)
    assert caught.value.reason is Reason.EXPORTER_UNREACHABLE


async def test_an_exporter_that_takes_too_long_is_left() -> None:
    """It accepts, and says nothing."""

    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    error = await failure(silent, seconds=0.05)
    assert (error.reason, error.what) == (Reason.EXPORTER_UNREACHABLE, "does not answer in time")


async def test_an_exporter_that_drips_is_left() -> None:
    """The time is for the whole answer, not for a byte of it."""

    async def drips(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)

    error = await failure(drips, seconds=0.2)
    assert error.what == "does not answer in time"


async def test_an_answer_that_breaks_off_is_none() -> None:
    """Its length was told, and did not come."""

    async def breaks(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + TEXT)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    error = await failure(breaks)
    assert (error.reason, error.what) == (Reason.EXPORTER_UNREACHABLE, "breaks off its answer")


async def test_a_connection_that_is_reset_is_no_answer() -> None:
    """In the middle of the headers."""

    async def resets(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-")
        await writer.drain()
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    assert (await failure(resets)).reason is Reason.EXPORTER_UNREACHABLE


async def test_what_is_not_http_is_no_answer() -> None:
    """And nothing of it is in the message."""

    async def other(writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 secret.example ESMTP\r\n\r\n")

    error = await failure(other)
    assert error.reason is Reason.EXPORTER_UNREACHABLE
    assert "secret" not in error.what


@pytest.mark.parametrize(("status", "reason", "what"), [
    ("500 Internal Server Error", Reason.EXPORTER_UNREACHABLE, "answers 500"),
    ("503 Service Unavailable", Reason.EXPORTER_UNREACHABLE, "answers 503"),
    ("401 Unauthorized", Reason.EXPORTER_UNREACHABLE, "answers 401: it wants a password"),
    ("404 Not Found", Reason.EXPORTER_NOT_UNDERSTOOD, "answers 404 where its metrics should be"),
    ("204 No Content", Reason.EXPORTER_NOT_UNDERSTOOD, "answers 204 where"),
])  # fmt: skip
async def test_a_status_that_is_none_of_metrics_is_told(
    status: str, reason: Reason, what: str
) -> None:
    """What the exporter has against it."""
    error = await failure(whole(b"", status=status))
    assert error.reason is reason
    assert error.what.startswith(what)


async def test_a_redirect_is_not_followed() -> None:
    """The sidecar asks the address that it was told, and no other."""
    async with exporter(whole(TEXT)) as (target, address):
        location = f"Location: http://{address}/metrics"
        error = await failure(whole(b"", location, status="302 Found"))
    assert error.reason is Reason.EXPORTER_NOT_UNDERSTOOD
    assert "a redirect" in error.what
    assert target.requests == []


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
async def test_a_packed_answer_is_unpacked_although_it_was_not_asked_for(coding: str) -> None:
    """Some proxies do that."""
    answer = whole(gzip.compress(TEXT), f"Content-Encoding: {coding}")
    async with exporter(answer) as (_, address), http_exporter_client() as client:
        assert b"".join(await read(client, address)) == TEXT


async def test_a_bomb_is_unpacked_a_piece_at_a_time() -> None:
    """64 MB of zeros in 64 kB: whoever reads can stop at any piece."""
    answer = whole(gzip.compress(bytes(64 << 20)), "Content-Encoding: gzip")
    async with exporter(answer) as (_, address), http_exporter_client(60) as client:
        async with contextlib.aclosing(client.read(address)) as pieces:
            for _ in range(100):
                assert len(await anext(pieces)) <= PIECE_BYTES
        async with contextlib.aclosing(client.read(address)) as pieces:
            assert await anext(pieces)  # the connection that was left is no trouble


@pytest.mark.parametrize(("body", "coding", "reason"), [
    (b"not packed at all", "gzip", Reason.EXPORTER_NOT_UNDERSTOOD),
    (gzip.compress(TEXT)[:-9], "gzip", Reason.EXPORTER_UNREACHABLE),
    (zlib.compress(TEXT), "br", Reason.EXPORTER_NOT_UNDERSTOOD),
])  # fmt: skip
async def test_what_cannot_be_unpacked_is_no_answer(
    body: bytes, coding: str, reason: Reason
) -> None:
    """Broken, cut off, or packed in a way that nobody asked for."""
    assert (await failure(whole(body, f"Content-Encoding: {coding}"))).reason is reason


@pytest.mark.parametrize("address", ["", "no port", "[::1", "127.0.0.1:99999"])
async def test_an_address_that_is_none_is_told(address: str) -> None:
    """It raises nothing else."""
    async with http_exporter_client() as client:
        with pytest.raises(ExporterError):
            await read(client, address)
