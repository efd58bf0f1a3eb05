"""What the summary is made of: traffic by model and operation, since the start and lately.

The window is a ring of slices; a slice that is older than the window no longer counts. Time is that
of the frames, so a replay gives the same summary.
"""

from sidelight_contract.summary import Abandoned, TokenCounts, Traffic
from sidelight_sidecar.observer.abandonment import Abandonment, QueueReading, abandonment_of
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.dialects.finish import reasons_of
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, OTHER, Exchange
from sidelight_sidecar.observer.metrics.labels import Labels

SLICES = 30
"""Parts of the window: the newest figures are at most a thirtieth of it late."""

Key = tuple[str, str]


class Tally(Consumer):
    """Counts finished exchanges."""

    def __init__(self, labels: Labels, window_seconds: int) -> None:
        self._labels = labels
        self._slice_ns = window_seconds * 1_000_000_000 // SLICES
        self._since_ns = 0
        self._slices: dict[int, dict[Key, Traffic]] = {}
        self._total: dict[Key, Traffic] = {}
        self.in_flight = 0
        self.lost = 0
        """Inference requests that were lost sight of. Nothing else is known of them: they are in no
        entry."""
        self.queue_reading: QueueReading | None = None

    def resize(self, window_seconds: int, now_ns: int) -> None:
        """Let the window be of another length; what it held is forgotten, for slices differ."""
        slice_ns = window_seconds * 1_000_000_000 // SLICES
        if slice_ns != self._slice_ns:
            self._slice_ns = slice_ns
            self._slices.clear()
            self._since_ns = now_ns

    def started(self, exchange: Exchange) -> None:
        """One more is under way."""
        self.in_flight += 1
        exchange.concurrency = self.in_flight

    def dropped(self, exchange: Exchange) -> None:
        """One less is under way; how it went on is not known."""
        self.in_flight -= 1
        self.lost += exchange.in_flight_as != OTHER

    def finished(self, exchange: Exchange) -> None:
        """Count it, in all that there was and in the present slice."""
        self.in_flight -= 1
        abandonment = abandonment_of(exchange, self.queue_reading)
        for traffic in self._entries(exchange):
            _count(traffic, exchange, self._labels.code(exchange))
            if abandonment is not None:
                _count_abandoned(traffic.abandoned, abandonment)

    def counted(self, exchange: Exchange) -> None:
        """Count its tokens in the same slice, if the window still has it."""
        tokens = tokens_of(exchange)
        for traffic in self._entries(exchange):
            traffic.tokens.add(tokens)
            if exchange.code == CLIENT_LEFT:
                traffic.abandoned.tokens.add(tokens)

    def _entries(self, exchange: Exchange) -> list[Traffic]:
        """The entry of all time, and that of the exchange's slice."""
        key = (self._labels.model(exchange), exchange.operation)
        number = exchange.stop_ns // self._slice_ns
        if number not in self._slices:
            self._slices[number] = {}
            self._forget(max(self._slices))
        tables = [self._total]
        if number in self._slices:
            tables.append(self._slices[number])
        return [table.setdefault(key, Traffic(*key)) for table in tables]

    def total(self) -> list[Traffic]:
        """All since the start."""
        return list(self._total.values())

    def window(self, now_ns: int) -> list[Traffic]:
        """What the slices of the window before `now_ns` hold, merged."""
        newest = now_ns // self._slice_ns
        self._forget(newest)
        merged: dict[Key, Traffic] = {}
        for table in self._slices.values():
            for key, traffic in table.items():
                merged.setdefault(key, Traffic(model=key[0], operation=key[1])).merge(traffic)
        return list(merged.values())

    def window_seconds(self, start_ns: int, now_ns: int) -> float:
        """How much time `window` covers at `now_ns`, counting since `start_ns`."""
        oldest = (now_ns // self._slice_ns - SLICES + 1) * self._slice_ns
        return max(now_ns - max(oldest, start_ns, self._since_ns), 1) / 1e9

    def _forget(self, newest: int) -> None:
        for number in [number for number in self._slices if number <= newest - SLICES]:
            del self._slices[number]


def _count(traffic: Traffic, exchange: Exchange, code: str) -> None:
    traffic.requests += 1
    traffic.streamed += exchange.stream
    traffic.usage_missing += exchange.usage_missing
    traffic.codes[code] = traffic.codes.get(code, 0) + 1
    if exchange.error:
        traffic.errors[exchange.error] = traffic.errors.get(exchange.error, 0) + 1
    for reason in reasons_of(exchange):
        traffic.finish_reasons[reason] = traffic.finish_reasons.get(reason, 0) + 1
    traffic.empty += exchange.empty
    traffic.tool_calls += exchange.tool_calls
    if (seconds := exchange.time_to_first_token) is not None:
        traffic.time_to_first_token.add(seconds)
    if (seconds := exchange.time_per_output_token) is not None:
        traffic.time_per_output_token.add(seconds)
    traffic.inter_chunk_latency.merge(exchange.gaps)
    traffic.duration.add(exchange.duration)


def _count_abandoned(abandoned: Abandoned, what: Abandonment) -> None:
    abandoned.phases[what.phase] = abandoned.phases.get(what.phase, 0) + 1
    abandoned.bytes_after += what.bytes_after
    if what.stop_seconds is not None:
        abandoned.engine_stopped += 1
        abandoned.stop_time.add(what.stop_seconds)


def tokens_of(exchange: Exchange) -> TokenCounts:
    """The tokens of one exchange, each count where its source belongs."""
    return TokenCounts(
        prompt=exchange.prompt_tokens or 0,
        output=exchange.output_tokens or 0,
        cached_prompt=exchange.cached_tokens,
        reasoning=exchange.reasoning_tokens,
        tokenized_prompt=exchange.tokenized_prompt or 0,
        tokenized_output=exchange.tokenized_output or 0,
        estimated_output=exchange.estimated_tokens,
    )
