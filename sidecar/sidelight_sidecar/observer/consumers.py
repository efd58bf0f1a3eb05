"""Who is told of exchanges: metrics, tallies, and whatever is added beside them."""

# ruff: noqa: ARG002 - what takes no notice of its arguments has them all the same

from collections.abc import Iterable, Sequence
from typing import Protocol

from sidelight_sidecar.observer.exchange import Exchange


class Consumer(Protocol):
    """What is told of exchanges. For each: `started`, then `arrived` any number of times, then
    either `dropped`, or `finished` and some time after it `counted`.

    A class that names it as its base takes no notice of what it does not define.
    """

    def started(self, exchange: Exchange) -> None:
        """The head of a request is known."""
        return

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Output came, so many seconds after the output before it: of several reads at once, for
        this is told for every chunk of every stream.
        """
        return

    def finished(self, exchange: Exchange) -> None:
        """It is over, well or not."""
        return

    def counted(self, exchange: Exchange) -> None:
        """Its tokens are as well known as they will be: `exchange.token_source` says how."""
        return

    def dropped(self, exchange: Exchange) -> None:
        """It was lost sight of; nothing may be counted for it."""
        return


class Consumers:
    """Several consumers as one."""

    def __init__(self, consumers: Iterable[Consumer]) -> None:
        self._consumers = tuple(consumers)
        # It is told for every few chunks of every stream: not to those who take no notice.
        self._told_of_output = tuple(
            one for one in self._consumers if type(one).arrived is not Consumer.arrived
        )

    def started(self, exchange: Exchange) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.started(exchange)

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Tell all that take notice."""
        for consumer in self._told_of_output:
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
