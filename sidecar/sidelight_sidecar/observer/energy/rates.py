"""What requests of a model are like: learned from those with counts, used for the others."""

from collections import deque
from collections.abc import Iterable

from sidelight_sidecar.observer.exchange import Exchange

BYTES_A_TOKEN = 4.0
"""Of a prompt, before anything is learned: English text."""
MAX_MODELS = 64
_FADE = 0.99
_LAST = 256
_EVERY = 16
_FEW_TOKENS = 64
"""A shorter prompt tells more of the engine's latency than of its speed."""
_TOGETHER_NS = 1_000_000
"""First outputs so near each other are of one step of the engine."""
_FASTEST = 0.75


class Rates:
    """Of one model; `None`: not learned yet."""

    __slots__ = ("_fastest", "_prefills", "_ratios", "_seen", "_wholes", "seconds_a_token")

    def __init__(self) -> None:
        self._ratios: dict[str, tuple[float, float]] = {}
        self._prefills: deque[tuple[int, int, int]] = deque(maxlen=_LAST)
        """When the first output was there, when the request was, and how long its prompt is."""
        self._seen = 0
        self._fastest: float | None = None
        self._wholes = [0.0] * 5
        """Of answers that are no streams: sums of pp, pn, nn, pt, nt of prompt, output, seconds."""
        self.seconds_a_token: float | None = None
        """Lately, of a stream."""

    def learn(self, exchange: Exchange) -> None:
        """An exchange that ended well and was counted."""
        prompt, output = exchange.prompt_tokens, exchange.output_tokens
        if prompt and exchange.bytes_in:
            self._ratio("prompt", prompt, exchange.bytes_in)
        if output and exchange.events:
            self._ratio("output", output, exchange.events)
        first_ns, begin_ns = exchange.first_output_ns, exchange.request_end_ns
        computed = (prompt or 0) - exchange.cached_tokens
        if exchange.stream and 0 < begin_ns < first_ns and computed > 0:
            self._prefills.append((first_ns, begin_ns, computed))
            self._seen += 1
            if self._fastest is None or self._seen % _EVERY == 0:
                self._fastest = _fastest(self._prefills) or self._fastest
        if not exchange.stream and output and 0 < begin_ns < exchange.stop_ns:
            seconds = (exchange.stop_ns - begin_ns) / 1e9
            pairs = (computed, computed), (computed, output), (output, output)
            sums = [*(a * b for a, b in pairs), computed * seconds, output * seconds]
            self._wholes = [_FADE * a + b for a, b in zip(self._wholes, sums, strict=True)]
        if (per_token := exchange.time_per_output_token) is not None:
            seconds, known = per_token, self.seconds_a_token
            self.seconds_a_token = seconds if known is None else known + (seconds - known) / 8

    def _ratio(self, name: str, tokens: int, of: int) -> None:
        told, seen = self._ratios.get(name, (0.0, 0.0))
        self._ratios[name] = told * _FADE + tokens, seen * _FADE + of

    @property
    def tokens_a_second(self) -> float | None:
        """Of prompts, while nothing else holds them up."""
        return self._fastest

    def seconds_each(self) -> tuple[float, float] | None:
        """Seconds for a token of a prompt and of output where no stream tells: what fits the
        times of whole answers best. None: there were none.
        """
        pp, pn, nn, pt, nt = self._wholes
        if nn <= 0:
            return None
        det = pp * nn - pn * pn
        prompt = (pt * nn - nt * pn) / det if det > 1e-9 * pp * nn else 0.0
        prompt = max(0.0, prompt)
        output = (nt - pn * prompt) / nn
        return prompt, max(0.0, output)

    def prompt_of(self, size: int) -> float:
        """Tokens in a request of so many bytes."""
        told, seen = self._ratios.get("prompt", (1.0, BYTES_A_TOKEN))
        return size * told / seen

    def output_of(self, events: int) -> float:
        """Tokens in so many events of output."""
        told, seen = self._ratios.get("output", (1.0, 1.0))
        return events * told / seen


def _fastest(prefills: Iterable[tuple[int, int, int]]) -> float | None:
    """Tokens a second of prompts that are computed one after the other.

    A prompt began when the one before had its first output, or when it came. A high quantile: most
    had to share their time with the output of others.
    """
    rates: list[float] = []
    before = group_ns = since_ns = tokens = 0
    for first_ns, begin_ns, computed in [*sorted(prefills), (1 << 62, 1 << 62, 0)]:
        if first_ns - group_ns > _TOGETHER_NS:
            since_ns = max(since_ns, before)
            if tokens >= _FEW_TOKENS and group_ns > since_ns:
                rates.append(tokens / (group_ns - since_ns) * 1e9)
            before, since_ns, tokens = group_ns, begin_ns, 0
        group_ns = first_ns
        since_ns = min(since_ns, begin_ns)
        tokens += computed
    return sorted(rates)[int(_FASTEST * len(rates))] if rates else None


class RatesByModel:
    """Those of each model; of one that nothing is known of, those of all."""

    def __init__(self) -> None:
        self._all = Rates()
        self._models: dict[str, Rates] = {}

    def of(self, model: str) -> Rates:
        """What is known of `model`, else of all."""
        return self._models.get(model, self._all)

    def learn(self, model: str, exchange: Exchange) -> None:
        """An exchange that ended well and was counted."""
        self._all.learn(exchange)
        if model in self._models or len(self._models) < MAX_MODELS:
            self._models.setdefault(model, Rates()).learn(exchange)
