"""What is usual for an exchange of a size: running means of logarithms, that forget slowly.

Bounded: `MAX_SIZES` sizes; exchanges of others are judged by what is usual for no size at all.
"""

import math

from sidelight_contract.strata import Key, key_of
from sidelight_sidecar.observer.autopsy.timeline import Usual
from sidelight_sidecar.observer.exchange import Exchange

MAX_SIZES = 512
ENOUGH = 5
"""So many must there have been before anything is usual."""
MEMORY = 100
"""About so many of the last ones count."""
SLACK_SECONDS = 0.05
"""Added to both sides of a ratio: twenty times 2 ms is nothing to look into."""


class RunningMean:
    """A geometric mean."""

    __slots__ = ("_log", "count")

    def __init__(self) -> None:
        self._log = 0.0
        self.count = 0

    def add(self, value: float | None) -> None:
        """Count one; None is none."""
        if value is not None:
            self.count = min(self.count + 1, MEMORY)
            self._log += (math.log(max(value, 1e-6)) - self._log) / self.count

    @property
    def value(self) -> float | None:
        """None: there were too few."""
        return math.exp(self._log) if self.count >= ENOUGH else None


class _OfSize:
    __slots__ = ("duration", "ttft")

    def __init__(self) -> None:
        self.ttft = RunningMean()
        self.duration = RunningMean()


class _OfModel:
    __slots__ = ("output_tokens", "prompt_tokens", "tpot")

    def __init__(self) -> None:
        self.prompt_tokens = RunningMean()
        self.output_tokens = RunningMean()
        self.tpot = RunningMean()


class UsualSizes:
    """Learns from the exchanges that ended well."""

    def __init__(self) -> None:
        self._sizes: dict[Key, _OfSize] = {}
        self._models: dict[str, _OfModel] = {}

    def of(self, model: str, exchange: Exchange) -> Usual:
        """What was usual until now."""
        size = self._sizes.get(_key(model, exchange))
        whole = self._models.get(model)
        return Usual(
            time_to_first_token=size.ttft.value if size else None,
            duration=size.duration.value if size else None,
            prompt_tokens=whole.prompt_tokens.value if whole else None,
            output_tokens=whole.output_tokens.value if whole else None,
            time_per_output_token=whole.tpot.value if whole else None,
        )

    def learn(self, model: str, exchange: Exchange) -> None:
        """Take one more."""
        key = _key(model, exchange)
        size = self._sizes.get(key)
        if size is None and len(self._sizes) < MAX_SIZES:
            size = self._sizes[key] = _OfSize()
        if size is not None:
            size.ttft.add(exchange.time_to_first_token)
            size.duration.add(exchange.duration)
        whole = self._models.get(model)
        if whole is None and len(self._models) < MAX_SIZES:
            whole = self._models[model] = _OfModel()
        if whole is not None:
            whole.prompt_tokens.add(exchange.prompt_tokens)
            whole.output_tokens.add(exchange.output_tokens)
            whole.tpot.add(exchange.time_per_output_token)


def times_usual(exchange: Exchange, usual: Usual) -> float:
    """How many times the usual it took: to its first token or in all, whichever is more."""
    pairs = (
        (exchange.time_to_first_token, usual.time_to_first_token),
        (exchange.duration, usual.duration),
    )
    ratios = [
        (took + SLACK_SECONDS) / (expected + SLACK_SECONDS)
        for took, expected in pairs
        if took is not None and expected is not None
    ]
    return max(ratios, default=1.0)


def _key(model: str, exchange: Exchange) -> Key:
    # one concurrency: what it does to an exchange is what is to be seen
    return key_of(
        f"{model} {exchange.operation}",
        exchange.prompt_tokens,
        exchange.output_tokens,
        streamed=exchange.stream,
        concurrency=1,
    )
