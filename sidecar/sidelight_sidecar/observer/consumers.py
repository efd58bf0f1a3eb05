"""Who is told of exchanges: metrics, tallies, and whatever is added beside them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from sidelight_sidecar.observer.exchange import Exchange


class Consumer(Protocol):
    """What is told of exchanges. For each: `started`, then `arrived` any number of times, then
    either `dropped`, or `finished` and some time after it `counted`.
    """

    def started(self, exchange: Exchange) -> None:
        """The head of a request is known."""

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Output came, so many seconds after the output before it: of several reads at once, for
        this is told for every chunk of every stream.
        """

    def finished(self, exchange: Exchange) -> None:
        """It is over, well or not."""

    def counted(self, exchange: Exchange) -> None:
        """Its tokens are as well known as they will be: `exchange.token_source` says how."""

    def dropped(self, exchange: Exchange) -> None:
        """It was lost sight of; nothing may be counted for it."""


class Consumers:
    """Several consumers as one."""

    def __init__(self, consumers: Iterable[Consumer]) -> None:
        self._consumers = tuple(consumers)

    def started(self, exchange: Exchange) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.started(exchange)

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.arrived(exchange, gaps)

    def finished(self, exchange: Exchange) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.finished(exchange)

    def counted(self, exchange: Exchange) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.counted(exchange)

    def dropped(self, exchange: Exchange) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.dropped(exchange)
