"""Engine's spans to one sink: bounded, tried again, counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from engine_export import engine_span, export_of
from receiver import Posted, receiver

from sidelight_contract.export import OtlpSinkSettings
from sidelight_sidecar.capture.engine_spans import passing
from sidelight_sidecar.capture.engine_spans.passing import MAX_BYTES, Passing, Waiting, make_passing
from sidelight_sidecar.capture.ship.time_left import WallClock
from sidelight_sidecar.records.handover import SpansState
from sidelight_sidecar.records.record import Origin

Answer = Callable[[web.BaseRequest], Awaitable[web.Response]]
ORIGIN = Origin(namespace="ml", pod="chat-0", observed_model="chat")


class Impatient(WallClock):
    """A hundred seconds of it are one."""

    def now(self) -> float:
        return super().now() * 100

    async def sleep(self, seconds: float, wake: asyncio.Event) -> None:
        await super().sleep(seconds / 100, wake)


def export(*numbers: int, pad: int = 0) -> Waiting:
    spans = [engine_span(number, {"pad": "x" * pad}) for number in numbers]
    return Waiting(export_of(*spans).SerializeToString(), len(spans))


def made(url: str, **more: object) -> Passing:
    settings = OtlpSinkSettings(name="traces", endpoint=url, engine_spans=True, **more)  # type: ignore[arg-type]
    return make_passing(settings, ORIGIN, Path("/nowhere"), Impatient())


@asynccontextmanager
async def running(one: Passing) -> AsyncIterator[Passing]:
    """It has sent what it could when the block has ended."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(one.run())
        yield one
        one.end(1000)
        await task
        await one.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.005)


async def test_spans_go_with_the_sinks_headers_to_its_address_and_say_where_they_are_from():
    """As its own do."""
    async with receiver() as server:
        async with running(made(server.url, headers={"x-project": "a"})) as one:
            one.put(export(1, 2))
        (posted,) = server.posted
    assert posted.path == "/v1/traces"
    assert posted.headers["x-project"] == "a"
    assert len(posted.spans) == 2
    assert one.state == SpansState(delivered=2)
    assert one.waiting_bytes == 0


async def test_what_is_not_taken_now_comes_again_and_nothing_twice():
    """A collector that restarts."""
    async with receiver() as server:
        server.answers += [web.Response(status=503), web.Response(status=429)]
        async with running(made(server.url)) as one:
            one.put(export(1))
            one.put(export(2))
        ids = [span.span_id[-1] for span in server.spans]
    assert ids == [1, 1, 1, 2]
    assert one.state == SpansState(delivered=2)


def without(number: int, status: int = 400) -> Answer:
    """A backend that will not have one span, and a request that it is in."""

    async def answer(request: web.BaseRequest) -> web.Response:
        posted = Posted("", request.headers, await request.content.read())
        bad = any(span.span_id[-1] == number for span in posted.spans)
        return web.Response(status=status if bad else 200)

    return answer


async def test_what_is_refused_goes_in_halves_and_the_span_that_is_refused_is_alone():
    """The six others of its export arrive; so does what comes behind."""
    async with receiver(without(3)) as server, running(made(server.url)) as one:
        one.put(export(*range(1, 8)))
        one.put(export(9))
    assert one.state == SpansState(delivered=7, refused=1)
    assert one.waiting_bytes == 0


async def test_a_span_that_a_sink_falls_over_holds_nobody_up_and_is_given_up_where_others_pass():
    """Always 500. What is rejected of a request that was taken is counted, too."""
    async with receiver(without(3, 500)) as server, running(made(server.url)) as one:
        one.put(export(*range(1, 8)))
        await until(lambda: one.state.delivered == 6)
        number = 10
        while not one.state.refused:
            one.put(export(number % 200 + 10))
            number += 1
            await asyncio.sleep(0.01)
    assert one.state.refused == 1
    assert (one.state.delivered, one.state.lost) == (6 + number - 10, 0)
    assert one.waiting_bytes == 0


async def test_a_sink_that_refuses_all_is_not_asked_span_by_span():
    """A thousand requests for each export would be no good to anybody."""
    refusing = Refusing()
    async with receiver(refusing.answer) as server, running(made(server.url)) as one:
        one.put(export(*range(1, 65)))
        await until(lambda: one.state.refused == 64)
        before = refusing.asked
        assert before < 40
        one.put(export(*range(1, 65)))
        await until(lambda: one.state.refused == 128)
        assert refusing.asked == before + 1
        refusing.status = 200
        one.put(export(1))
        await until(lambda: one.state.delivered == 1)
    assert one.state == SpansState(delivered=1, refused=128)


class Refusing:
    """A backend that refuses all, until it is told otherwise."""

    def __init__(self) -> None:
        self.asked, self.status = 0, 400

    async def answer(self, request: web.BaseRequest) -> web.Response:
        await request.content.read()
        self.asked += 1
        return web.Response(status=self.status)


async def test_a_sink_that_is_down_costs_the_limit_and_the_oldest_go_first():
    """However long it is down; those that are left go when it is back."""
    async with receiver() as server:
        url = server.url
    one = made(url)
    number = 0
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run())
        for number in range(1, 200):
            one.put(export(number, pad=100_000))
            assert one.waiting_bytes <= MAX_BYTES
            await asyncio.sleep(0)
        await until(lambda: one._ready)
        assert sum(len(ready.body) for ready in one._ready) <= MAX_BYTES
        one.end(0)
    await one.close()
    kept = len(one._queue) + len(one._ready)
    assert one.state.lost == number - kept
    assert kept * 100_000 > MAX_BYTES - 200_000
    assert one._queue[-1].body == export(number, pad=100_000).body


async def test_an_export_larger_than_all_room_is_lost_and_counted(monkeypatch):
    """It does not push out what it does not fit in for."""
    monkeypatch.setattr(passing, "MAX_BYTES", 1000)
    async with receiver() as server, running(made(server.url)) as one:
        one.put(export(1, pad=2000))
        one.put(export(2))
    assert one.state == SpansState(delivered=1, lost=1)


async def test_what_cannot_be_made_a_request_of_does_not_stop_the_others():
    """It would be the same the next time."""
    async with receiver() as server, running(made(server.url)) as one:
        one.put(Waiting(b"\xff", 5))
        one.put(export(2))
    assert one.state == SpansState(delivered=1, refused=5)
