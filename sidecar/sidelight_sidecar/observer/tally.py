"""What the summary is made of: traffic by model and operation, since the start and lately.

The window is a ring of slices; a slice that is older than the window no longer counts. Time is that
of the frames, so a replay gives the same summary.
"""

from sidelight_contract.summary import Traffic
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.labels import ModelLabels

SLICES = 30
"""Parts of the window: the newest figures are at most a thirtieth of it late."""

Key = tuple[str, str]


class Tally:
    """Counts finished exchanges."""

    def __init__(self, labels: ModelLabels, window_seconds: int) -> None:
        self._labels = labels
        self._slice_ns = window_seconds * 1_000_000_000 // SLICES
        self._since_ns = 0
        self._slices: dict[int, dict[Key, Traffic]] = {}
        self._total: dict[Key, Traffic] = {}
        self.in_flight = 0

    def resize(self, window_seconds: int, now_ns: int) -> None:
        """Let the window be of another length; what it held is forgotten, for slices differ."""
        slice_ns = window_seconds * 1_000_000_000 // SLICES
        if slice_ns != self._slice_ns:
            self._slice_ns = slice_ns
            self._slices.clear()
            self._since_ns = now_ns

    def started(self, exchange: Exchange) -> None:  # noqa: ARG002
        """One more is under way."""
        self.in_flight += 1

    def arrived(self, exchange: Exchange, gap_seconds: float) -> None:
        """Nothing: the exchange keeps its gaps."""

    def dropped(self, exchange: Exchange) -> None:  # noqa: ARG002
        """One less is under way; nothing is known of it."""
        self.in_flight -= 1

    def finished(self, exchange: Exchange) -> None:
        """Count it, in all that there was and in the present slice."""
        self.in_flight -= 1
        key = (self._labels.of(exchange), exchange.operation)
        number = exchange.stop_ns // self._slice_ns
        if number not in self._slices:
            self._slices[number] = {}
            self._forget(number)
        for table in (self._total, self._slices[number]):
            if key not in table:
                table[key] = Traffic(model=key[0], operation=key[1])
            _count(table[key], exchange)

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


def _count(traffic: Traffic, exchange: Exchange) -> None:
    traffic.requests += 1
    traffic.streamed += exchange.stream
    traffic.usage_missing += exchange.usage_missing
    code = str(exchange.code)
    traffic.codes[code] = traffic.codes.get(code, 0) + 1
    if exchange.error:
        traffic.errors[exchange.error] = traffic.errors.get(exchange.error, 0) + 1
    for reason in exchange.finish_reasons:
        traffic.finish_reasons[reason] = traffic.finish_reasons.get(reason, 0) + 1
    tokens = traffic.tokens
    tokens.prompt += exchange.prompt_tokens or 0
    tokens.output += exchange.output_tokens or 0
    tokens.cached_prompt += exchange.cached_tokens
    tokens.reasoning += exchange.reasoning_tokens
    tokens.estimated_output += exchange.estimated_tokens
    if (seconds := exchange.time_to_first_token) is not None:
        traffic.time_to_first_token.add(seconds)
    if (seconds := exchange.time_per_output_token) is not None:
        traffic.time_per_output_token.add(seconds)
    traffic.inter_chunk_latency.merge(exchange.gaps)
    traffic.duration.add(exchange.duration)
