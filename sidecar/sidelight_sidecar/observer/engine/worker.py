"""When the engine is asked: never while it has a queue, one question at a time, a few a second.

Rules:
1. What the engine offers is found out once: it has a tokenizer of one form, or none. Only an
   engine that could not be reached, or that is busy, is asked again.
2. No text is counted unless a reading of the queue, at most `FRESH_SECONDS` old, says that nobody
   waits. An engine that tells nothing of its queue is left alone.
3. An exchange waits at most `PATIENCE_SECONDS`; then its tokens are an estimate.
"""

from collections.abc import Callable
from enum import StrEnum

from sidelight_sidecar.observer.abandonment import QueueReading
from sidelight_sidecar.observer.engine.client import Answer, EngineClient
from sidelight_sidecar.observer.engine.queue import SOURCES, Source
from sidelight_sidecar.observer.engine.tokenizers import (
    FORMS,
    PATH,
    PROBE,
    Form,
    question,
    tokens_in,
)
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.token_counter import TokenCounter

STEP_SECONDS = 0.2
"""Between two steps, each of which asks to count one text at most: five a second."""
FRESH_SECONDS = 1.0
READ_SECONDS = 5.0
"""How often the queue is read while requests are under way and nothing is to be counted."""
RETRY_SECONDS = 30.0
"""How long an engine that could not be asked is left alone."""
PATIENCE_SECONDS = 60.0
_GONE = frozenset({400, 401, 403, 404, 405, 422, 501})
"""Statuses that say: not here, not so, or not for you."""


class TokenizerState(StrEnum):
    """What is known of the engine's tokenizer."""

    UNKNOWN = "unknown"
    """Nothing had to be counted yet, or the engine could not be asked."""
    USED = "used"
    NONE = "none"
    """The engine has none that is known."""
    NO_QUEUE_READING = "no_queue_reading"
    """The engine does not say whether anybody waits, so it is not asked."""
    OFF = "off"
    """By configuration."""


_HOPELESS = frozenset({TokenizerState.NONE, TokenizerState.NO_QUEUE_READING, TokenizerState.OFF})


class EngineWorker:
    """Settles what waits in a `TokenCounter`, and keeps the newest reading of the queue.

    Args:
        client: asks the engine.
        counter: whose exchanges are to be counted.
        now_ns: the frames' clock.
        read: is told each reading of the queue.
    """

    def __init__(
        self,
        client: EngineClient,
        counter: TokenCounter,
        now_ns: Callable[[], int],
        read: Callable[[QueueReading], None],
    ) -> None:
        self._client = client
        self._counter = counter
        self._now_ns = now_ns
        self._read = read
        self._form: Form | None = None
        self._source: Source | None = None
        self._source_known = False
        self._reading: QueueReading | None = None
        self._not_before_ns = 0
        self._next_read_ns = 0
        self.state = TokenizerState.UNKNOWN
        self.questions = {"queue": 0, "tokenize": 0}
        """How often the engine was asked, by what."""

    @property
    def hopeless(self) -> bool:
        """Whether nothing will be counted here."""
        return self.state in _HOPELESS

    def allow(self, *, tokenizer: bool) -> None:
        """Say whether the tokenizer may be asked."""
        if not tokenizer:
            self.state = TokenizerState.OFF
        elif self.state is TokenizerState.OFF:
            self.state = TokenizerState.UNKNOWN if self._form is None else TokenizerState.USED

    async def step(self, address: str, *, in_flight: int) -> None:
        """Do what is due: read the queue, count one text.

        Args:
            address: `host:port` of the engine; empty while no connection was seen.
            in_flight: requests that are under way now.
        """
        now_ns = self._now_ns()
        self._give_up_on_old(now_ns)
        if not address or now_ns < self._not_before_ns:
            return
        if in_flight and now_ns >= self._next_read_ns:
            await self._read_queue(address)
        if len(self._counter) and not self.hopeless:
            await self._count_one(address)
        if self.hopeless:
            self._counter.settle_all()

    def _give_up_on_old(self, now_ns: int) -> None:
        oldest = self._counter.oldest()
        while oldest is not None and now_ns - oldest.stop_ns > PATIENCE_SECONDS * 1e9:
            self._counter.next()
            self._counter.settle(oldest, None)
            oldest = self._counter.oldest()

    async def _count_one(self, address: str) -> None:
        if not await self._nobody_waits(address):
            return
        if self._form is None and not await self._find_form(address):
            return
        exchange = self._counter.next()
        if exchange is not None:
            tokens: int | None = None
            try:
                tokens = await self._count(address, exchange)
            finally:
                self._counter.settle(exchange, tokens)

    async def _count(self, address: str, exchange: Exchange) -> int | None:
        assert self._form is not None
        text = exchange.text.text() if exchange.text is not None else ""
        answer = await self._ask(address, question(self._form, text, exchange.model))
        if answer.status != 200:
            self._rest()
            return None
        return tokens_in(answer.body)

    async def _ask(self, address: str, body: bytes) -> Answer:
        self.questions["tokenize"] += 1
        return await self._client.post(address, PATH, body)

    async def _find_form(self, address: str) -> bool:
        """Find out how this engine wants to be asked; False: not now, or never."""
        for form in FORMS:
            answer = await self._ask(address, question(form, PROBE, ""))
            if answer.status == 200 and tokens_in(answer.body):
                self._form = form
                self.state = TokenizerState.USED
                return True
            if answer.status != 200 and answer.status not in _GONE:
                self._rest()
                return False
        self.state = TokenizerState.NONE
        return False

    async def _nobody_waits(self, address: str) -> bool:
        reading = self._reading
        if reading is None or self._now_ns() - reading.at_ns > FRESH_SECONDS * 1e9:
            reading = await self._read_queue(address)
        return reading is not None and reading.waiting == 0

    async def _read_queue(self, address: str) -> QueueReading | None:
        sources = SOURCES if self._source is None else (self._source,)
        self._next_read_ns = self._now_ns() + int(READ_SECONDS * 1e9)
        self._reading = None
        if self._source is None and self._source_known:
            return None
        for source in sources:
            self.questions["queue"] += 1
            answer = await self._client.get(address, source.path)
            if answer.status != 200 and answer.status not in _GONE:
                self._rest()
                return None
            waiting = source.waiting(answer.body) if answer.status == 200 else None
            if waiting is not None:
                self._source = source
                self._reading = QueueReading(self._now_ns(), waiting)
                self._read(self._reading)
                return self._reading
        if self._source is None:
            self._source_known = True
            if self.state is not TokenizerState.OFF:
                self.state = TokenizerState.NO_QUEUE_READING
        return None

    def _rest(self) -> None:
        self._not_before_ns = self._now_ns() + int(RETRY_SECONDS * 1e9)
