"""kopf, as both roles run it, against an API server that is away in every way."""

import asyncio
import gc
import os
import signal
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import kopf
import pytest
from admission_world import ApiServer, model_object
from aiohttp import web

from sidelight_operator.controller.watch import Changes, make_registry
from sidelight_operator.kube.following import (
    AGAIN_SECONDS,
    LAST_BACKOFF,
    Endless,
    follow,
    watch_settings,
)

TRIES = 20
"""kopf itself gives up after nine."""


class Faulty(ApiServer):
    """Answers some requests in its own way, and then as it should."""

    def __init__(self, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        super().__init__()
        self.answer = answer
        self.left = 0
        """Further requests that are not answered as they should be."""
        self.only_watches = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.left and ("watch" in request.query or not self.only_watches):
            self.left -= 1
            return await self.answer(request)
        return await super().handle(request)


async def refused(request: web.Request) -> web.StreamResponse:
    """The connection breaks."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def status(code: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "code": code, "message": "m"}, status=code)

    return answer


async def broken_watch(request: web.Request) -> web.StreamResponse:
    """A watch that begins well and tells of an error, as when etcd has no leader."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"type":"ERROR","object":{"kind":"Status","code":500}}\n')
    return response


class Sleeps:
    """How long kopf and `follow` wanted to wait; they do not. In the place of `asyncio` in kopf's
    module of requests.
    """

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sleeps]:
    made = Sleeps()
    monkeypatch.setattr(kopf._cogs.clients.api, "asyncio", made)
    yield made
    with warnings.catch_warnings():  # kopf that fails leaves a session to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@asynccontextmanager
async def elsewhere(server: ApiServer) -> AsyncIterator[None]:
    """The server in an event loop of its own: kopf takes along what it finds in its own."""
    up, down = asyncio.Event(), asyncio.Event()
    here = asyncio.get_running_loop()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with server.listen():
            here.call_soon_threadsafe(up.set)
            await down.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.to_thread(asyncio.run, serve()))
        await up.wait()
        try:
            yield
        finally:
            loops[0].call_soon_threadsafe(down.set)


@asynccontextmanager
async def following(server: ApiServer, changes: Changes, sleeps: Sleeps) -> AsyncIterator[None]:
    """Kopf as the controller has it, but for the stop flag: kopf waits five seconds for a task of
    its own that waits for that.
    """
    login = kopf.ConnectionInfo(server=f"http://127.0.0.1:{server.port}")

    async def watch() -> None:
        await kopf.operator(
            registry=make_registry(changes, login=login), settings=watch_settings(),
            standalone=True, clusterwide=True,
        )  # fmt: skip

    async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(follow(watch, asyncio.Event(), sleep=sleeps.sleep))
        yield
        task.cancel()


@pytest.mark.parametrize(
    ("answer", "only_watches"),
    [
        (refused, False), (status(503), False), (status(429), False), (status(403), False),
        (status(401), False), (status(503), True), (status(401), True), (status(410), True),
        (broken_watch, True),
    ],
    ids=(
        "refused", "503", "429", "403", "401", "503 to watches", "401 to watches",
        "410 to watches", "error in watches",
    ),
)  # fmt: skip
async def test_however_the_api_server_is_away_the_watch_is_back_with_it(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    only_watches: bool,
    sleeps: Sleeps,
) -> None:
    """At start or later, by refused connections or by answers; never in a hot loop."""
    server, changes = Faulty(answer), Changes()
    server.left, server.only_watches = TRIES, only_watches
    async with elsewhere(server), following(server, changes, sleeps):
        known = {model_object()["metadata"]["uid"]: 0}
        while server.left or changes.behind(known):  # noqa: ASYNC110 - a server in a thread
            await asyncio.sleep(0.01)
    # aiohttp asks a second time by itself where a connection broke.
    assert len(sleeps.asked) >= TRIES // 2 - 1, "each try waits for a second or more"
    assert max(sleeps.asked) <= LAST_BACKOFF


def test_tries_are_endless_and_soon_ten_seconds_apart() -> None:
    """Half an hour is nothing; every request begins anew."""
    tries = Endless()
    first, again = (list(islice(tries, 300)) for _ in range(2))
    assert first == again
    assert set(first[10:]) == {LAST_BACKOFF}
    assert sum(first[:10]) <= 60


async def test_told_to_end_between_two_beginnings_it_ends() -> None:
    """A signal then is nobody else's."""
    begun = 0
    stopping = asyncio.Event()

    async def watch() -> None:
        nonlocal begun
        begun += 1
        raise kopf.LoginError("no")

    async def sleep(seconds: float) -> None:
        assert seconds == AGAIN_SECONDS
        if begun == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            await stopping.wait()

    try:
        await follow(watch, stopping, sleep=sleep)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)
    assert begun == 3


async def test_kopf_that_ends_by_itself_is_not_begun_again() -> None:
    """It was told to."""
    begun: list[int] = []

    async def watch() -> None:
        begun.append(1)

    await follow(watch, asyncio.Event())
    assert begun == [1]


def test_a_failure_of_kopf_does_not_kill_the_process_later() -> None:
    """Its default is SIGKILL after ten minutes, for it expects the process to end."""
    assert watch_settings().process.ultimate_exiting_timeout is None
