"""What the traffic says of when to ask the engine who it is."""

from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import OTHER, Exchange

MAX_NAMES = 64
"""Served names that are told apart. Engines that repeat what a client asked for are not asked anew
for ever.
"""


class EngineWatch(Consumer):
    """A consumer of exchanges.

    Attributes:
        answers: how often the engine has answered well, a health check at least.
        inferences: exchanges of inference that ended.
        names: of models, by the engine's own word.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.inferences = 0
        self.names: set[str] = set()

    def finished(self, exchange: Exchange) -> None:
        """Take note."""
        if not 200 <= exchange.code < 400:
            return
        self.answers += 1
        if exchange.operation == OTHER:
            return
        self.inferences += 1
        if exchange.model and len(self.names) < MAX_NAMES:
            self.names.add(exchange.model)
