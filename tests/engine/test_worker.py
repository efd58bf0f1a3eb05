"""When the engine is asked: in its idle moments, seldom, and never in vain twice."""

from __future__ import annotations

import json

import pytest
from observed import Kept

from sidelight_sidecar.observer.abandonment import QueueReading
from sidelight_sidecar.observer.budget import KEPT_BLOCK, Budget, KeptText
from sidelight_sidecar.observer.budget import Kept as KeptPart
from sidelight_sidecar.observer.engine.client import Answer
from sidelight_sidecar.observer.engine.sampler import READ_SECONDS
from sidelight_sidecar.observer.engine.worker import (
    PATIENCE_SECONDS,
    RETRY_SECONDS,
    EngineWorker,
    TokenizerState,
)
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.token_counter import MAX_WAITING, TokenCounter

ENGINE = "127.0.0.1:8000"
SECOND = 1_000_000_000


class Engine:
    """A vLLM or llama.cpp that answers from a table."""

    def __init__(self, field: str = "prompt", waiting: float | None = 0.0) -> None:
        self.field = field
        self.waiting = waiting
        self.broken = False
        self.asked: list[str] = []
        self.texts: list[str] = []
        self.chat = Answer(200, b'{"count":42}')

    async def get(self, address: str, path: str) -> Answer:
        """Its metrics."""
        assert address == ENGINE
        self.asked.append(path)
        if self.broken:
            return Answer(0)
        if path != "/metrics" or self.waiting is None:
            return Answer(404)
        return Answer(200, b"vllm:num_requests_waiting %f\n" % self.waiting)

    async def post(self, address: str, path: str, body: bytes) -> Answer:
        """Its tokenizer: a token a word; without the field that it knows, llama.cpp's nothing."""
        assert address == ENGINE
        self.asked.append(path)
        if self.broken:
            return Answer(0)
        request = json.loads(body)
        if path == "/apply-template":
            said = " ".join(message["content"] for message in request["messages"])
            return Answer(200, json.dumps({"prompt": f"<user> {said}"}).encode())
        if "messages" in request:
            return self.chat
        text = request.get(self.field, "")
        self.texts.append(text)
        return Answer(200, json.dumps({"tokens": text.split()}).encode())


class World:
    """A worker with its engine, its clock and what came of it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now_ns = 100 * SECOND
        self.kept = Kept()
        self.counter = TokenCounter(self.kept)
        self.readings: list[QueueReading] = []
        self.budget = Budget()
        self.worker = EngineWorker(engine, self.counter, lambda: self.now_ns, self.readings.append)

    def ended(
        self,
        text: str | None = "a b c",
        asked: bytes = b'{"prompt":"p q"}',
        path: str = "/v1/completions",
    ) -> Exchange:
        """A stream has ended whose engine said nothing of usage."""
        exchange = Exchange(1, 0)
        exchange.generating, exchange.events = True, 5
        exchange.stop_ns = self.now_ns
        if text is not None:
            exchange.text, exchange.asked = KeptText(self.budget), KeptPart(self.budget)
            exchange.text.add(text.encode())
            exchange.asked.add(asked)
            exchange.request_end_ns = self.now_ns
            exchange.path = path
        self.counter.finished(exchange)
        return exchange

    async def step(self, seconds: float = 0.2, in_flight: int = 0) -> None:
        """Some time later, one step."""
        self.now_ns += int(seconds * SECOND)
        await self.worker.step(ENGINE, in_flight=in_flight)


async def test_an_idle_engine_counts_the_output_in_the_form_it_knows() -> None:
    """llama.cpp makes nothing of `prompt`; it is asked with `content`, from then on only so."""
    world = World(Engine(field="content"))
    first, second = world.ended(), world.ended("one two")
    await world.step()
    await world.step()
    assert (first.tokenized_output, second.tokenized_output) == (3, 2)
    assert (first.tokenized_prompt, second.tokenized_prompt) == (2, 2)
    assert world.worker.state is TokenizerState.USED
    assert world.kept.counted_exchanges == [first, second]
    assert world.engine.texts == ["", "hello world", "a b c", "p q", "one two", "p q"]
    assert world.budget.kept == 0


async def test_nobody_is_asked_to_count_while_a_request_waits() -> None:
    """The engine's queue is read anew until it is empty."""
    world = World(Engine(waiting=2))
    exchange = world.ended()
    for _ in range(10):
        await world.step(0.5)
    assert "/tokenize" not in world.engine.asked
    world.engine.waiting = 0
    await world.step(1.5)
    assert exchange.tokenized_output == 3


async def test_an_engine_that_tells_nothing_of_its_queue_is_left_alone() -> None:
    """Every source is tried once; after that nothing is asked and everything is estimated."""
    world = World(Engine(waiting=None))
    exchange = world.ended()
    await world.step()
    assert world.worker.state is TokenizerState.NO_QUEUE_READING
    assert world.worker.hopeless
    assert world.kept.counted_exchanges == [exchange]
    assert (exchange.tokenized_output, exchange.estimated_tokens) == (None, 5)
    asked = len(world.engine.asked)
    world.ended(None)
    await world.step(100, in_flight=1)
    assert len(world.engine.asked) == asked


async def test_an_engine_without_tokenizer_is_asked_once() -> None:
    """Neither form makes tokens of the probe."""
    world = World(Engine(field="something else"))
    first = world.ended()
    await world.step()
    assert world.worker.state is TokenizerState.NONE
    assert first.estimated_tokens == 5
    questions = world.worker.tokenizer.questions
    world.ended()
    await world.step(100)
    assert world.worker.tokenizer.questions == questions == 2


async def test_an_engine_that_cannot_be_reached_is_left_alone_for_a_while() -> None:
    """Then it is asked again; what waited too long by then is an estimate."""
    world = World(Engine())
    world.engine.broken = True
    first = world.ended()
    await world.step()
    asked = len(world.engine.asked)
    await world.step(RETRY_SECONDS / 2)
    assert len(world.engine.asked) == asked
    world.engine.broken = False
    second = world.ended()
    await world.step(PATIENCE_SECONDS - RETRY_SECONDS / 2)
    assert (first.tokenized_output, first.estimated_tokens) == (None, 5)
    assert second.tokenized_output == 3


async def test_the_queue_is_read_while_requests_are_under_way_and_not_otherwise() -> None:
    """For the phase of those that clients leave; once at first, to have something to begin with."""
    world = World(Engine(waiting=1))
    await world.step()
    await world.step(READ_SECONDS * 5)
    assert [reading.waiting for reading in world.readings] == [1]
    for _ in range(10):
        await world.step(READ_SECONDS / 5, in_flight=1)
    assert [reading.waiting for reading in world.readings] == [1, 1, 1]


async def test_switched_off_nothing_waits_and_nothing_is_counted() -> None:
    """`spec.engine.tokenizer: Never`; Auto again, the engine is asked."""
    world = World(Engine())
    world.worker.allow(tokenizer=False)
    exchange = world.ended()
    await world.step()
    assert exchange.estimated_tokens == 5
    assert "/tokenize" not in world.engine.asked
    world.worker.allow(tokenizer=True)
    exchange = world.ended()
    await world.step()
    assert exchange.tokenized_output == 3


async def test_more_than_may_wait_is_an_estimate_at_once() -> None:
    """A burst costs bounded memory."""
    world = World(Engine(waiting=1))
    exchanges = [world.ended() for _ in range(MAX_WAITING + 2)]
    assert len(world.counter) == MAX_WAITING
    assert world.kept.counted_exchanges == exchanges[-2:]
    assert world.budget.kept <= MAX_WAITING * (2 * KEPT_BLOCK + 4096)


CHAT = b'{"messages":[{"role":"user","content":"x y z"}],"stream":true}'


@pytest.mark.parametrize(("field", "prompt"), [("prompt", 42), ("content", 4)])
async def test_a_chats_prompt_is_what_the_engines_template_makes_of_it(
    field: str, prompt: int
) -> None:
    """VLLM counts messages itself; llama.cpp says the text, which is then counted."""
    world = World(Engine(field))
    exchange = world.ended(asked=CHAT, path="/v1/chat/completions")
    await world.step()
    assert (exchange.tokenized_prompt, exchange.tokenized_output) == (prompt, 3)


async def test_an_engine_that_counts_no_chats_is_not_asked_to_again() -> None:
    """SGLang's tokenizer takes text alone."""
    world = World(Engine())
    world.engine.chat = Answer(422)
    exchanges = [world.ended(asked=CHAT, path="/v1/chat/completions") for _ in range(2)]
    for _ in exchanges:
        await world.step()
    assert [e.tokenized_prompt for e in exchanges] == [None, None]
    assert [e.tokenized_output for e in exchanges] == [3, 3]
    assert world.worker.tokenizer.questions == 1 + 2 + 1  # found out, counted twice, refused once


async def test_what_usage_said_is_not_counted_again() -> None:
    """Anthropic's first event says the prompt's tokens, and no more comes after a hang-up."""
    world = World(Engine())
    exchange = world.ended()
    exchange_with_usage = Exchange(1, 0)
    exchange_with_usage.generating, exchange_with_usage.events = True, 1
    exchange_with_usage.prompt_tokens = 7
    exchange_with_usage.stop_ns = exchange_with_usage.request_end_ns = world.now_ns
    exchange_with_usage.text = KeptText(world.budget)
    exchange_with_usage.asked = KeptPart(world.budget)
    exchange_with_usage.text.add(b"a")
    world.counter.finished(exchange_with_usage)
    await world.step()
    await world.step()
    assert exchange.tokenized_prompt == 2
    assert exchange_with_usage.tokenized_prompt is None
    assert exchange_with_usage.tokenized_output == 1


def test_without_a_tokenizer_for_good_nothing_waits() -> None:
    """What waited is estimated, and so is what ends later."""
    world = World(Engine())
    first = world.ended()
    world.counter.stop_waiting()
    second = world.ended()
    assert world.kept.counted_exchanges == [first, second]
    assert (len(world.counter), world.budget.kept) == (0, 0)
