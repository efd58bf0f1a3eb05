"""When the engine is asked: never while it has a queue, one question at a time, a few a second.

Rules:
1. What the engine offers is found out once: it has a tokenizer of one form, or none. Only an
   engine that could not be reached, or that is busy, is asked again.
2. Nothing is counted unless a reading of the queue, at most `FRESH_SECONDS` old, says that nobody
   waits. An engine that tells nothing of its queue is left alone.
3. An exchange waits at most `PATIENCE_SECONDS`; then its tokens are an estimate.
"""

from collections.abc import Callable
from enum import StrEnum

from sidelight_sidecar.observer.abandonment import QueueReading
from sidelight_sidecar.observer.engine.client import EngineClient
from sidelight_sidecar.observer.engine.sampler import Sampler
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.engine.tokenizer import EngineUnavailableError, Tokenizer
from sidelight_sidecar.observer.engine.tokenizers import Form
from sidelight_sidecar.observer.token_counter import TokenCounter

STEP_SECONDS = 0.25
"""Between two steps, each of which counts one exchange at most: four a second."""
FRESH_SECONDS = 1.0
RETRY_SECONDS = 30.0
"""How long an engine that could not be asked is left alone."""
PATIENCE_SECONDS = 60.0


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
    """Settles what waits in a `TokenCounter`, and has the engine read when that is due.

    Args:
        client: asks the engine.
        counter: whose exchanges are to be counted.
        now_ns: the frames' clock.
        read: is told each reading of the queue.
        sampled: is told each sample of the engine's metrics.
    """

    def __init__(
        self,
        client: EngineClient,
        counter: TokenCounter,
        now_ns: Callable[[], int],
        read: Callable[[QueueReading], None],
        sampled: Callable[[EngineSample], None] = lambda _: None,
    ) -> None:
        self._counter = counter
        self._now_ns = now_ns
        self._not_before_ns = 0
        self.sampler = Sampler(client, now_ns, read, sampled)
        self.tokenizer = Tokenizer(client)
        self.state = TokenizerState.UNKNOWN

    @property
    def hopeless(self) -> bool:
        """Whether nothing will be counted here."""
        return self.state in _HOPELESS

    def allow(self, *, tokenizer: bool) -> None:
        """Say whether the tokenizer may be asked."""
        if not tokenizer:
            self.state = TokenizerState.OFF
        elif self.state is TokenizerState.OFF:
            known = self.tokenizer.form is not None
            self.state = TokenizerState.USED if known else TokenizerState.UNKNOWN

    async def step(self, address: str, *, in_flight: int) -> None:
        """Do what is due: read the queue, count one exchange.

        Args:
            address: `host:port` of the engine; empty while no connection was seen.
            in_flight: requests that are under way now.
        """
        now_ns = self._now_ns()
        self._give_up_on_old(now_ns)
        if address and now_ns >= self._not_before_ns:
            try:
                if self.sampler.due(in_flight=in_flight):
                    await self._read(address)
                if len(self._counter) and not self.hopeless:
                    await self._count_one(address)
            except EngineUnavailableError:
                self._not_before_ns = self._now_ns() + int(RETRY_SECONDS * 1e9)
        if self.hopeless:
            self._counter.settle_all()

    def _give_up_on_old(self, now_ns: int) -> None:
        oldest = self._counter.oldest()
        while oldest is not None and now_ns - oldest.stop_ns > PATIENCE_SECONDS * 1e9:
            self._counter.next()
            self._counter.settle(oldest)
            oldest = self._counter.oldest()

    async def _count_one(self, address: str) -> None:
        if not await self.nobody_waits(address) or await self.form(address) is None:
            return
        exchange = self._counter.next()
        if exchange is None:
            return
        prompt, output = None, None
        try:
            output = await self.tokenizer.output(address, exchange)
            prompt = await self.tokenizer.prompt(address, exchange)
        finally:
            self._counter.settle(exchange, prompt=prompt, output=output)

    async def form(self, address: str) -> Form | None:
        """How the engine's tokenizer wants to be asked; None: there is none, or it may not be.

        Raises:
            EngineUnavailableError: the engine could not be asked now.
        """
        if self.tokenizer.form is None and not self.hopeless:
            found = await self.tokenizer.find(address)
            self.state = TokenizerState.USED if found else TokenizerState.NONE
        return None if self.hopeless else self.tokenizer.form

    async def nobody_waits(self, address: str) -> bool:
        """Whether a reading of the queue, made now if there is no fresh one, says so.

        Raises:
            EngineUnavailableError: the engine could not be asked now.
        """
        reading = self.sampler.reading
        if reading is None or self._now_ns() - reading.at_ns > FRESH_SECONDS * 1e9:
            reading = await self._read(address)
        return reading is not None and reading.waiting == 0

    async def _read(self, address: str) -> QueueReading | None:
        """Read the engine; whether its tokenizer may be asked depends on what it tells."""
        reading = await self.sampler.read(address)
        if self.sampler.silent and self.state is not TokenizerState.OFF:
            self.state = TokenizerState.NO_QUEUE_READING
        elif self.state is TokenizerState.NO_QUEUE_READING:
            known = self.tokenizer.form is not None
            self.state = TokenizerState.USED if known else TokenizerState.UNKNOWN
        return reading
