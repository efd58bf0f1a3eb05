"""The port that an engine sends its spans to."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from engine_export import PROTOBUF, engine_span, export_of, status
from engine_intake import listening, until_open

from sidelight_sidecar.capture.engine_spans import intake as module
from sidelight_sidecar.capture.engine_spans.intake import MAX_BODY_BYTES, MAX_INBOX_BYTES, Intake

BODY = export_of(engine_span()).SerializeToString()
ZIPPED = {**PROTOBUF, "Content-Encoding": "gzip"}


async def test_an_export_is_answered_at_once_and_waits_here():
    """Zipped or not, and though it is empty."""
    async with listening() as (made, url):
        assert await status(f"{url}/v1/traces", BODY) == 200
        assert await status(f"{url}/v1/traces", gzip.compress(BODY), ZIPPED) == 200
        assert await status(f"{url}/v1/traces", b"") == 200
    assert [made.next(), made.next(), made.next(), made.next()] == [BODY, BODY, b"", None]
    assert made.results == {"taken": 3}


@pytest.mark.parametrize(
    ("path", "data", "headers", "expected", "why"),
    [
        ("/", BODY, PROTOBUF, 404, "no_export"),
        ("/v1/metrics", BODY, PROTOBUF, 404, "no_export"),
        ("/v1/traces", b"{}", {"Content-Type": "application/json"}, 415, "media_type"),
        ("/v1/traces", bytes(MAX_BODY_BYTES + 1), PROTOBUF, 413, "too_large"),
        ("/v1/traces", b"no gzip", ZIPPED, 400, "encoding"),
        ("/v1/traces", gzip.compress(bytes(64 << 20)), ZIPPED, 400, "ratio"),
        ("/v1/traces", BODY, {**PROTOBUF, "Content-Encoding": "gzip, gzip"}, 400, "encoding"),
    ],
    ids=["path", "metrics", "json", "large", "broken", "bomb", "twice"],
)
async def test_what_is_no_export_is_told_so_and_counted(
    path: str, data: bytes, headers: dict[str, str], expected: int, why: str
):
    """None of these answers makes an exporter try again."""
    async with listening() as (made, url):
        with suppress(aiohttp.ClientOSError):  # it may be told before all of it is sent
            assert await status(url + path, data, headers) == expected
        assert made.results == {why: 1}
        assert await status(f"{url}/v1/traces", BODY) == 200
    assert made.next() == BODY


async def test_a_body_without_a_length_is_bounded_too():
    """In chunks, for ever; and one that grows slowly enough for the ratio."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(1 << 17)

    varied = gzip.compress(b"".join(b"%d" % number for number in range(1_500_000)))
    async with listening() as (made, url):
        for data, headers in ((endless(), PROTOBUF), (varied, ZIPPED)):
            with suppress(aiohttp.ClientOSError):
                assert await status(f"{url}/v1/traces", data, headers) == 413
    assert made.results == {"too_large": 2}
    assert made.next() is None


async def test_what_waits_is_bounded_and_the_oldest_gives_way():
    """The engine hears 200 of each: it is not to send any again."""
    async with listening() as (made, url):
        for number in range(6):
            assert await status(f"{url}/v1/traces", bytes([number]) * (1 << 20)) == 200
    waiting = []
    while (body := made.next()) is not None:
        waiting.append(body)
    assert sum(map(len, waiting)) <= MAX_INBOX_BYTES
    assert [body[0] for body in waiting] == [2, 3, 4, 5]
    assert made.results == {"taken": 6, "no_room": 2}


async def test_one_that_sends_slowly_keeps_no_place_and_too_many_at_once_are_let_go(monkeypatch):
    """Nobody of the engine's processes waits for another."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.3)
    monkeypatch.setattr(module, "MAX_READING", 1)
    head = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"
    async with listening() as (made, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(head + b"Content-Length: 10\r\n\r\n1")
        async with asyncio.timeout(20):
            while not made._reading:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0.005)
        assert await status(f"{url}/v1/traces", BODY) == 200
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await writer.wait_closed()
        assert made.results == {"busy": 1, "slow": 1}
        assert await status(f"{url}/v1/traces", BODY) == 200
    assert made.results["taken"] == 1


async def test_a_port_that_is_anothers_is_tried_again(monkeypatch):
    """The process before this one may still have it."""
    monkeypatch.setattr(module, "TRY_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as other:
        made = Intake(other.getsockname()[1])
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.serve())
            await asyncio.sleep(0.05)
            assert not made.listening
            other.close()
            await until_open(made)
            task.cancel()
    assert not made.listening


async def test_a_port_that_is_the_pods_is_never_opened():
    """And that is told: it is what was tried."""
    made = Intake(0)
    assert made.listening is None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.serve())
        async with asyncio.timeout(20):
            while made.listening is None:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0)
        assert not made.listening
        task.cancel()


async def test_what_is_no_http_is_not_logged(caplog):
    """An exporter of gRPC: its bytes are in the library's errors."""
    async with listening() as (made, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + BODY)
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()
        await writer.wait_closed()
    assert "PRI" not in caplog.text
    assert made.next() is None
