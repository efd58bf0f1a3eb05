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
from admission_world import GROUP_VERSION, ApiServer, model_object
from aiohttp import web

from sidelight_contract import names
from sidelight_operator.controller.watch import Changes, make_registry
from sidelight_operator.kube.following import (
    AGAIN_SECONDS,
    LAST_BACKOFF,
    Endless,
    follow,
    run_kopf,
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
async def following(server: ApiServer, changes: Changes, sleeps: Sleeps) -> AsyncIterator[None]:
    """Kopf as the controller has it."""
    stopping = asyncio.Event()
    login = kopf.ConnectionInfo(server=f"http://127.0.0.1:{server.port}")

    async def watch() -> None:
        await run_kopf(make_registry(changes, login=login), watch_settings(), stopping)

    async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(watch, stopping, sleep=sleeps.sleep))
        yield
        stopping.set()


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
    async with server.listen(), following(server, changes, sleeps):
        known = {model_object()["metadata"]["uid"]: 0}
        while server.left or changes.behind(known):  # noqa: ASYNC110 - kopf brings it about
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


@pytest.mark.usefixtures("sleeps")
async def test_what_is_not_kopfs_goes_on_when_kopf_fails() -> None:
    """A task that was created while it ran, such as a round's or a connection's."""
    server, changes = ApiServer(), Changes()
    async with server.listen(), asyncio.TaskGroup() as tasks:
        login = kopf.ConnectionInfo(server=f"http://127.0.0.1:{server.port}")
        registry = make_registry(changes, login=login)
        running = tasks.create_task(_failing(run_kopf(registry, watch_settings())))
        while changes.behind({model_object()["metadata"]["uid"]: 0}):  # noqa: ASYNC110 - kopf does
            await asyncio.sleep(0.01)
        done = asyncio.Event()
        bystander = tasks.create_task(done.wait())
        path = f"/apis/{GROUP_VERSION}/{names.PLURAL}"
        server.tell(path, "ERROR", {"kind": "Status", "code": 500})
        assert "Error in the watch-stream" in await running
        assert not bystander.done()
        done.set()


async def _failing(kopf_runs: Awaitable[None]) -> str:
    with pytest.raises(Exception) as error:  # noqa: PT011 - kopf's own, which is private
        await kopf_runs
    return str(error.value)
