"""When the engine's metrics are read, what is kept of them, and engines that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sidelight_sidecar.observer.abandonment import QueueReading
from sidelight_sidecar.observer.engine.client import MAX_ANSWER_BYTES, Answer, http_engine_client
from sidelight_sidecar.observer.engine.history import HISTORY_SECONDS, MAX_SAMPLES, EngineHistory
from sidelight_sidecar.observer.engine.metrics import EngineCollector
from sidelight_sidecar.observer.engine.sampler import (
    ANEW_SECONDS,
    READ_SECONDS,
    SCRAPED_SECONDS,
    SCRAPES_SECONDS,
    STALE_SECONDS,
    Sampler,
)
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.engine.tokenizer import EngineUnavailableError
from sidelight_sidecar.observer.engine.worker import EngineWorker
from sidelight_sidecar.observer.token_counter import TokenCounter

SECOND = 1_000_000_000
PAGE = b"vllm:num_requests_running 2\nvllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc 0.5\n"


class Engine:
    """Answers GETs from a table of paths; what is not in it is not there."""

    def __init__(self, **pages: Answer) -> None:
        self.pages = {f"/{name}": answer for name, answer in pages.items()}
        self.asked: list[str] = []

    async def get(self, address: str, path: str) -> Answer:
        """The page."""
        self.asked.append(path)
        return self.pages.get(path, Answer(404))

    async def post(self, address: str, path: str, body: bytes) -> Answer:
        """No tokenizer."""
        raise NotImplementedError(address + path + str(body))


class World:
    """A sampler, its engine and its clock."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now_ns = 100 * SECOND
        self.readings: list[QueueReading] = []
        self.samples: list[EngineSample] = []
        self.sampler = Sampler(
            engine, lambda: self.now_ns, self.readings.append, self.samples.append
        )

    async def seconds(self, seconds: float, *, in_flight: int = 0) -> int:
        """Let time pass in steps of a quarter of a second; how often it was read meanwhile."""
        before = len(self.engine.asked)
        for _ in range(int(seconds * 4)):
            self.now_ns += SECOND // 4
            if self.sampler.due(in_flight=in_flight):
                await self.sampler.read("x:1")
        return len(self.engine.asked) - before


async def test_an_engine_is_read_while_it_has_requests_and_twice_after() -> None:
    """Every five seconds; without requests and scrapes once, to have something to begin with."""
    world = World(Engine(metrics=Answer(200, PAGE)))
    assert await world.seconds(60) == 1
    assert await world.seconds(10 * READ_SECONDS, in_flight=1) in (10, 11)
    assert await world.seconds(60) in (2, 3)
    assert world.samples[-1].running == 2
    assert world.readings[-1].waiting == 1


async def test_an_idle_engine_is_read_for_whoever_scrapes() -> None:
    """So that a gauge is never stale in front of a Prometheus; without scrapes that ends."""
    world = World(Engine(metrics=Answer(200, PAGE)))
    world.sampler.scraped()
    reads = await world.seconds(SCRAPES_SECONDS)
    assert reads == SCRAPES_SECONDS // SCRAPED_SECONDS
    assert SCRAPED_SECONDS * 2 <= STALE_SECONDS
    assert await world.seconds(60) <= 1


async def test_an_engine_without_metrics_is_left_alone_and_asked_again_seldom() -> None:
    """It may have been loading when it said so."""
    world = World(Engine())
    assert await world.seconds(60, in_flight=1) == 3  # metrics, slots, load
    assert world.sampler.silent
    assert await world.seconds(ANEW_SECONDS - 120, in_flight=1) == 0
    world.engine.pages["/metrics"] = Answer(200, PAGE)
    await world.seconds(120, in_flight=1)
    assert not world.sampler.silent
    assert world.samples


async def test_slots_tell_of_the_queue_where_metrics_are_off() -> None:
    """Then they alone are asked."""
    world = World(Engine(slots=Answer(200, b'[{"is_processing":true}]'), metrics=Answer(501)))
    assert await world.seconds(60, in_flight=1) == 13
    assert world.engine.asked[:2] == ["/metrics", "/slots"]
    assert set(world.engine.asked[2:]) == {"/slots"}
    assert not world.samples


async def test_a_page_that_is_garbage_once_changes_nothing() -> None:
    """The next one is read; meanwhile nothing is said of the queue."""
    world = World(Engine(metrics=Answer(200, PAGE)))
    await world.seconds(READ_SECONDS, in_flight=1)
    world.engine.pages["/metrics"] = Answer(200, b"\x00<html>")
    await world.seconds(READ_SECONDS, in_flight=1)
    assert world.sampler.reading is None
    world.engine.pages["/metrics"] = Answer(200, PAGE)
    await world.seconds(READ_SECONDS, in_flight=1)
    assert len(world.samples) == 2


async def test_a_stale_reading_is_not_exported() -> None:
    """Gauges that stand still look like a quiet engine; `up` says that nothing is known."""
    engine = Engine(metrics=Answer(200, PAGE))
    now = [100 * SECOND]
    worker = EngineWorker(engine, TokenCounter(None), lambda: now[0], lambda _: None)  # type: ignore[arg-type]
    registry = CollectorRegistry()
    registry.register(EngineCollector(worker))
    assert b"sidelight_engine_up 0.0" in generate_latest(registry)
    await worker.step("x:1", in_flight=1)
    text = generate_latest(registry)
    assert b"sidelight_engine_up 1.0" in text
    assert b"sidelight_engine_requests_running 2.0" in text
    assert b"sidelight_engine_kv_cache_usage_ratio 0.5" in text
    assert b"\nsidelight_engine_prompt_tokens_total " not in text
    now[0] += int(STALE_SECONDS * SECOND) + 1
    text = generate_latest(registry)
    assert b"sidelight_engine_up 0.0" in text
    assert b"sidelight_engine_requests_running 2.0" not in text


@asynccontextmanager
async def server(*writes: bytes, hang: bool = False) -> AsyncIterator[str]:
    """An HTTP server that answers whatever it is asked with these bytes."""
    ended = asyncio.Event()
    handled = asyncio.Semaphore(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for data in writes:
                writer.write(data)
                await writer.drain()
            if hang:
                await ended.wait()
        writer.transport.abort() if hang else writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        handled.release()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        try:
            yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            ended.set()
            await handled.acquire()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


async def read_from(*writes: bytes, hang: bool = False) -> list[EngineSample]:
    """What one reading of such a server brings."""
    samples: list[EngineSample] = []
    clock = iter(range(1, 1000))
    async with server(*writes, hang=hang) as address, http_engine_client() as client:
        sampler = Sampler(client, lambda: next(clock), lambda _: None, samples.append)
        await sampler.read(address)
    return samples


async def test_an_endpoint_that_hangs_is_given_up() -> None:
    """After two seconds; the engine is then left alone for a while by who asked."""
    with pytest.raises(EngineUnavailableError):
        await read_from(HEAD + PAGE, hang=True)


async def test_an_endpoint_that_sends_ten_megabytes_is_not_read_to_the_end() -> None:
    """More than an exposition can need."""
    many = b'vllm:num_requests_running{a="b"} 1\n' * (1 << 15)
    with pytest.raises(EngineUnavailableError):
        await read_from(HEAD, *[many] * (10 * (1 << 20) // len(many) + 1))


async def test_an_endpoint_that_sends_garbage_tells_nothing() -> None:
    """No sample, and no error."""
    assert await read_from(HEAD, bytes(range(256)) * 100) == []


async def test_an_endpoint_that_sends_much_is_read() -> None:
    """As much as an answer may have."""
    line = b'vllm:num_requests_running{a="%06d"} 1\n'
    lines = [line % number for number in range(MAX_ANSWER_BYTES // 2 // len(line))]
    (sample,) = await read_from(HEAD, b"".join(lines))
    assert sample.running == 4096  # of so many series only the first count


def sample(at_seconds: float, running: float = 0) -> EngineSample:
    """One sample."""
    at_ns = int(at_seconds * SECOND)
    return EngineSample(asked_ns=at_ns - 1, at_ns=at_ns, running=running)


def test_history_gives_the_last_sample_by_then() -> None:
    """None from before the first; the newest from after the last."""
    history = EngineHistory()
    for at in (10, 15, 20):
        history.add(sample(at, running=at))
    history.add(sample(20, running=99))  # no later than the last
    assert history.at(9 * SECOND) is None
    assert [found.running for at in (10, 14, 15, 99) if (found := history.at(at * SECOND))] == [
        10, 10, 15, 20,
    ]  # fmt: skip
    assert [found.running for found in history.between(11 * SECOND, 20 * SECOND)] == [15, 20]
    assert history.between(21 * SECOND, 30 * SECOND) == []


def test_history_is_a_quarter_of_an_hour_and_bounded() -> None:
    """By time and by number."""
    history = EngineHistory()
    for at in range(3000):
        history.add(sample(at + 1))
    assert len(history) == HISTORY_SECONDS + 1 <= MAX_SAMPLES
    assert history.newest is not None
    assert history.newest.at_ns == 3000 * SECOND
