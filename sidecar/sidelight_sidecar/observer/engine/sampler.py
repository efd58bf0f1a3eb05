"""Reads what the engine says of itself: its metrics, or else what tells of its queue alone.

Rules:
1. One reader: whoever wants to know of the queue or of a signal has it from the newest reading.
2. Off the path and seldom: once at first, so that there is something to compare with; every
   `READ_SECONDS` while requests are under way and a little longer; every `SCRAPED_SECONDS` while
   somebody scrapes the sidecar; else never.
3. An engine that says that it has no metrics is left alone, and asked again every
   `ANEW_SECONDS`: one that was still loading may have said so too early.
"""

from collections.abc import Callable

from sidelight_sidecar.observer.abandonment import QueueReading
from sidelight_sidecar.observer.engine.client import EngineClient
from sidelight_sidecar.observer.engine.queue import METRICS_PATH, OTHER_SOURCES, Source
from sidelight_sidecar.observer.engine.signals import EngineSample, sample_of, signals_in
from sidelight_sidecar.observer.engine.tokenizer import NOT_HERE, EngineUnavailableError

READ_SECONDS = 5.0
LINGER_SECONDS = 12.0
"""How long after the last request the engine is still read: twice, once all that is its is counted.
"""
STALE_SECONDS = 30.0
SCRAPED_SECONDS = 15.0
"""Half the time after which a reading is stale."""
SCRAPES_SECONDS = 150.0
"""How long after a scrape another is expected."""
ANEW_SECONDS = 600.0


class Sampler:
    """Keeps the newest reading of the queue, and the newest sample of the engine's metrics.

    Attributes:
        newest: that sample, however old; None: there was none yet.
        reading: the newest reading of the queue; None: the last question brought none.
        questions: how often the engine was asked.
        silent: nothing of it tells of a queue.
    """

    def __init__(
        self,
        client: EngineClient,
        now_ns: Callable[[], int],
        read: Callable[[QueueReading], None],
        sampled: Callable[[EngineSample], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._now_ns = now_ns
        self._read = read
        self._sampled = sampled
        self._metrics = True
        self._others: tuple[Source, ...] = OTHER_SOURCES
        self._next_ns = 0
        self._answered = False
        self._anew_ns = 0
        self._busy_ns = -(1 << 62)
        self._scraped_ns = -(1 << 62)
        self.newest: EngineSample | None = None
        self.reading: QueueReading | None = None
        self.questions = 0
        self.silent = False

    def scraped(self) -> None:
        """Somebody reads the sidecar's metrics."""
        self._scraped_ns = self._now_ns()

    def fresh(self) -> EngineSample | None:
        """The newest sample, if it is young enough to speak of now."""
        sample = self.newest
        if sample is None or self._now_ns() - sample.at_ns > STALE_SECONDS * 1e9:
            return None
        return sample

    def due(self, *, in_flight: int) -> bool:
        """Whether it is time to read."""
        now_ns = self._now_ns()
        if in_flight:
            self._busy_ns = now_ns
        if now_ns < self._next_ns:
            return False
        if not self._answered or now_ns - self._busy_ns <= LINGER_SECONDS * 1e9:
            return True
        late_ns = now_ns - self._next_ns
        scraped = now_ns - self._scraped_ns <= SCRAPES_SECONDS * 1e9
        return scraped and late_ns >= (SCRAPED_SECONDS - READ_SECONDS) * 1e9

    async def read(self, address: str) -> QueueReading | None:
        """Ask for the metrics, else each other source; None: nothing tells of a queue.

        Raises:
            EngineUnavailableError: the engine could not be asked now.
        """
        asked_ns = self._now_ns()
        self._next_ns = asked_ns + int(READ_SECONDS * 1e9)
        self.reading = None
        if self.silent and not self._metrics and asked_ns < self._anew_ns:
            return None
        waiting = await self._from_metrics(address, asked_ns)
        if waiting is None:
            waiting = await self._from_others(address)
        self.silent = waiting is None
        if waiting is not None:
            self.reading = QueueReading(self._now_ns(), waiting)
            self._read(self.reading)
        return self.reading

    async def _from_metrics(self, address: str, asked_ns: int) -> float | None:
        if not self._metrics and asked_ns < self._anew_ns:
            return None
        body = await self._get(address, METRICS_PATH)
        signals = signals_in(body) if body is not None else None
        if signals is None:
            if self.newest is not None:  # a page that went wrong once
                return None
            self._metrics = False
            self._anew_ns = asked_ns + int(ANEW_SECONDS * 1e9)
            self._others = OTHER_SOURCES
            return None
        self._metrics = True
        sample = sample_of(signals, asked_ns, self._now_ns())
        self.newest = sample
        self._sampled(sample)
        return signals.waiting

    async def _from_others(self, address: str) -> float | None:
        """What tells is the only one that is asked from then on."""
        for source in self._others:
            body = await self._get(address, source.path)
            waiting = source.waiting(body) if body is not None else None
            if waiting is not None:
                self._others = (source,)
                return waiting
        self._others = ()
        return None

    async def _get(self, address: str, path: str) -> bytes | None:
        """The answer's body; None: there is nothing at this path."""
        self.questions += 1
        answer = await self._client.get(address, path)
        if answer.status != 200 and answer.status not in NOT_HERE:
            raise EngineUnavailableError
        self._answered = True
        return answer.body if answer.status == 200 else None
