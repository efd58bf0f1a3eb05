"""Where a count of tokens comes from: usage, else the engine's tokenizer, else counted events.

It stands before the other consumers: an exchange that ended is told to them at once, and its
tokens as soon as they are known. Pure: whoever talks to the engine's tokenizer takes exchanges with
`next` and settles them.
"""

from collections import deque
from collections.abc import Sequence

from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, Exchange

MAX_WAITING = 256
"""Exchanges that may wait for the tokenizer; with more, the count is an estimate at once."""


class TokenCounter:
    """Settles the tokens of each exchange that generated, exactly once."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._waiting: deque[Exchange] = deque()
        self._most = MAX_WAITING

    def __len__(self) -> int:
        """How many exchanges wait."""
        return len(self._waiting)

    def started(self, exchange: Exchange) -> None:
        """Pass on."""
        self._consumer.started(exchange)

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Pass on."""
        self._consumer.arrived(exchange, gaps)

    def dropped(self, exchange: Exchange) -> None:
        """Pass on."""
        _release(exchange)
        self._consumer.dropped(exchange)

    def finished(self, exchange: Exchange) -> None:
        """Pass on; then count, or let it wait for the tokenizer."""
        self._consumer.finished(exchange)
        if _countable(exchange) and len(self._waiting) < self._most:
            self._waiting.append(exchange)
        else:
            self.settle(exchange)

    def counted(self, exchange: Exchange) -> None:
        """Pass on."""
        self._consumer.counted(exchange)

    def oldest(self) -> Exchange | None:
        """The exchange that has waited longest."""
        return self._waiting[0] if self._waiting else None

    def next(self) -> Exchange | None:
        """An exchange whose output is to be counted; the taker must settle it."""
        return self._waiting.popleft() if self._waiting else None

    def settle(
        self, exchange: Exchange, *, prompt: int | None = None, output: int | None = None
    ) -> None:
        """The tokenizer's counts, or None where there will be none."""
        exchange.tokenized_prompt = prompt
        exchange.tokenized_output = output
        _release(exchange)
        if exchange.generating or exchange.prompt_tokens is not None:
            self._consumer.counted(exchange)

    def stop_waiting(self) -> None:
        """No tokenizer will ever come: what waits is estimated, and nothing waits any more."""
        self._most = 0
        self.settle_all()

    def settle_all(self) -> None:
        """What waits is estimated."""
        while (exchange := self.next()) is not None:
            self.settle(exchange)


def _countable(exchange: Exchange) -> bool:
    """Whether the tokenizer has something to count: what was kept whole and usage left out."""
    text, asked = exchange.text, exchange.asked
    if text is None or asked is None or not exchange.generating:  # by its answer it was none
        return False
    if exchange.output_tokens is not None or not exchange.events:
        text.forget()
    if exchange.prompt_tokens is not None or not exchange.request_end_ns:
        asked.forget()
    if exchange.code >= 400 and exchange.code != CLIENT_LEFT:  # it was refused, not computed
        return False
    return text.whole or asked.whole


def _release(exchange: Exchange) -> None:
    for kept in (exchange.text, exchange.asked):
        if kept is not None:
            kept.release()
