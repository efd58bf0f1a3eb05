"""Collection against a real HTTP server that misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from controller_world import summary

from sidelight_contract.names import Reason
from sidelight_contract.summary import MAX_SUMMARY_BYTES, Summary, encode_summary
from sidelight_operator.controller.collect import Collector
from sidelight_operator.controller.evaluate import Answer
from sidelight_operator.controller.pods import Refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def sidecar(handler: Handler) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/summary", handler)
    app.router.add_put("/config", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def ask(handler: Handler, token: str | None = "t") -> Answer:
    async with sidecar(handler) as port, aiohttp.ClientSession(auto_decompress=False) as session:
        return await Collector(session, 4, port, timeout_seconds=0.5).collect("127.0.0.1", token)


async def good(request: web.Request) -> web.Response:
    if request.headers.get("Authorization") != "Bearer t":
        return web.Response(status=401)
    return web.Response(body=encode_summary(summary(7)))


async def garbage(_: web.Request) -> web.Response:
    return web.Response(text="<html>hello</html>")


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


async def huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(MAX_SUMMARY_BYTES // 65536 + 2):
        await response.write(b" " * 65536)
    return response


async def not_found(_: web.Request) -> web.Response:
    return web.Response(status=404)


async def no_token_yet(_: web.Request) -> web.Response:
    return web.Response(status=503)


async def elsewhere(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_a_good_answer_is_a_summary() -> None:
    """With the token it is given."""
    answer = await ask(good)
    assert isinstance(answer, Summary)
    assert answer.window[0].requests == 7


@pytest.mark.parametrize(
    ("handler", "token", "reason"),
    [
        (good, "wrong", Reason.SIDECAR_REFUSED_TOKEN),
        (good, None, Reason.SIDECAR_REFUSED_TOKEN),
        (no_token_yet, "t", Reason.SIDECAR_REFUSED_TOKEN),
        (garbage, "t", Reason.SUMMARY_NOT_UNDERSTOOD),
        (huge, "t", Reason.SUMMARY_NOT_UNDERSTOOD),
        (not_found, "t", Reason.SUMMARY_NOT_UNDERSTOOD),
        (elsewhere, "t", Reason.SUMMARY_NOT_UNDERSTOOD),
        (slow, "t", Reason.SIDECAR_UNREACHABLE),
        (cut, "t", Reason.SIDECAR_UNREACHABLE),
    ],
)
async def test_a_bad_answer_is_a_reason(
    handler: Handler, token: str | None, reason: Reason
) -> None:
    """Never an exception, and never the token in the sentence."""
    answer = await ask(handler, token)
    assert isinstance(answer, Refusal)
    assert answer.reason == reason
    assert "Bearer" not in answer.message


async def takes_it(request: web.Request) -> web.Response:
    right = request.headers["Authorization"] == "Bearer t" and await request.read() == b"{}"
    return web.Response(status=200 if right else 500)


async def refuses_it(_: web.Request) -> web.Response:
    return web.Response(status=400)


@pytest.mark.parametrize(
    ("handler", "taken"),
    [(takes_it, True), (refuses_it, False), (not_found, False)]
    + [(late, None) for late in (no_token_yet, slow, cut)],
)
async def test_a_tap_takes_a_configuration_or_refuses_it_or_has_not_heard(
    handler: Handler, taken: bool | None
) -> None:
    """Never an exception; only what a tap decided is an answer."""
    async with sidecar(handler) as port, aiohttp.ClientSession() as session:
        collector = Collector(session, 4, timeout_seconds=0.5)
        assert await collector.tell_config(("127.0.0.1", port), "t", b"{}") is taken


async def test_nobody_there_is_unreachable() -> None:
    """A closed port, and a token that could not even be a header."""
    async with aiohttp.ClientSession() as session:
        collector = Collector(session, 1, port=1)
        answer = await collector.collect("127.0.0.1", "t")
        assert await collector.tell_config(("127.0.0.1", 1), "t", b"{}") is None
    assert isinstance(answer, Refusal)
    assert answer.reason == Reason.SIDECAR_UNREACHABLE
