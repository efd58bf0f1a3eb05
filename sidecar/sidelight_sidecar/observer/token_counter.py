"""Where a count of tokens comes from: usage, else the engine's tokenizer, else counted events.

It stands before the other consumers: an exchange that ended is told to them at once, and its
tokens as soon as they are known. Pure: whoever talks to the engine's tokenizer takes exchanges with
`next` and settles them.
"""

from collections import deque

from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import Exchange

MAX_WAITING = 256
"""Exchanges that may wait for the tokenizer; with more, the count is an estimate at once."""


class TokenCounter:
    """Settles the tokens of each exchange that generated, exactly once."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._waiting: deque[Exchange] = deque()

    def __len__(self) -> int:
        """How many exchanges wait."""
        return len(self._waiting)

    def started(self, exchange: Exchange) -> None:
        """Pass on."""
        self._consumer.started(exchange)

    def arrived(self, exchange: Exchange, gap_seconds: float) -> None:
        """Pass on."""
        self._consumer.arrived(exchange, gap_seconds)

    def dropped(self, exchange: Exchange) -> None:
        """Pass on."""
        if exchange.text is not None:
            exchange.text.release()
        self._consumer.dropped(exchange)

    def finished(self, exchange: Exchange) -> None:
        """Pass on; then count, or let it wait for the tokenizer."""
        self._consumer.finished(exchange)
        if (
            exchange.text is not None
            and exchange.text.whole
            and exchange.events
            and exchange.output_tokens is None
            and len(self._waiting) < MAX_WAITING
        ):
            self._waiting.append(exchange)
        else:
            self.settle(exchange, None)

    def counted(self, exchange: Exchange) -> None:
        """Pass on."""
        self._consumer.counted(exchange)

    def oldest(self) -> Exchange | None:
        """The exchange that has waited longest."""
        return self._waiting[0] if self._waiting else None

    def next(self) -> Exchange | None:
        """An exchange whose output is to be counted; the taker must settle it."""
        return self._waiting.popleft() if self._waiting else None

    def settle(self, exchange: Exchange, tokens: int | None) -> None:
        """The tokenizer's count of the output, or None when there will be none."""
        exchange.tokenized_output = tokens
        if exchange.text is not None:
            exchange.text.release()
        if exchange.generating or exchange.prompt_tokens is not None:
            self._consumer.counted(exchange)

    def settle_all(self) -> None:
        """No tokenizer will come: what waits is estimated."""
        while (exchange := self.next()) is not None:
            self.settle(exchange, None)
