"""Counts that an engine gives for each choice, summed to what the request used.

An answer may hold several choices (`n`), and those of several prompts (a batch), in one list:
prompt by prompt, `n` of each. Output is that of all choices; a prompt counts once. A part (from a
cache, reasoning) is at most its whole, whatever the engine says.
"""

from sidelight_sidecar.observer.dialects.base import count
from sidelight_sidecar.observer.exchange import Exchange


class PerChoice:
    """Cumulative counts of each choice; the last word on each wins.

    Args:
        exchange: takes the sums.
        each: choices of one prompt (`n`).
    """

    __slots__ = ("_cached", "_each", "_exchange", "_output", "_prompt", "_reasoning")

    def __init__(self, exchange: Exchange, each: object = 1) -> None:
        self._exchange = exchange
        self._each = each if type(each) is int and each > 0 else 1
        self._prompt: dict[int, int] = {}
        self._output: dict[int, int] = {}
        self._cached: dict[int, int] = {}
        self._reasoning: dict[int, int] = {}

    def output_of(self, index: int) -> int:
        """Tokens of a choice so far."""
        return self._output.get(index, 0)

    def set(
        self,
        index: int,
        *,
        prompt: object,
        output: object,
        cached: object,
        reasoning: object = None,
    ) -> None:
        """What is known of one choice; whatever is no count is left as it was.

        `index` must be one that `Exchange.choice` took.
        """
        exchange = self._exchange
        if index % self._each == 0 and (
            _put(self._prompt, index, prompt) | _put(self._cached, index, cached)
        ):
            if self._prompt:
                exchange.prompt_tokens = sum(self._prompt.values())
            exchange.cached_tokens = min(sum(self._cached.values()), exchange.prompt_tokens or 0)
        if _put(self._output, index, output) | _put(self._reasoning, index, reasoning):
            if self._output:
                exchange.output_tokens = sum(self._output.values())
            reasoned = sum(self._reasoning.values())
            exchange.reasoning_tokens = min(reasoned, exchange.output_tokens or 0)


def _put(counts: dict[int, int], index: int, value: object) -> bool:
    number = count(value)
    if number is None or counts.get(index) == number:
        return False
    counts[index] = number
    return True
