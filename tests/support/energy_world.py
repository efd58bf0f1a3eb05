"""A device and exchanges for the tests of the energy split."""

from sidelight_sidecar.observer.accelerators.source import Device, Sample
from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.energy.told import Settled
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, Exchange
from sidelight_sidecar.observer.metrics.labels import Labels

SECOND = 1_000_000_000
ZERO = 1_000 * SECOND
GPU = Device("GPU-1", "0")


def ns(seconds: float) -> int:
    """On the frames' clock."""
    return ZERO + round(seconds * SECOND)


class World:
    """A split, a device of constant power, and a listener."""

    def __init__(self, period: float = 0.1) -> None:
        self.split = EnergySplit(Labels(32))
        self.settled: list[Settled] = []
        self.split.on_settled(self.settled.append)
        self.joules = 5_000.0
        self.now = 0.0
        self.period = period
        self._flow = 0
        self._sample()

    def _sample(self, device: Device = GPU) -> None:
        self.split.samples([Sample(device, ns(self.now), energy_joules=self.joules)])

    def passes(self, seconds: float, watts: float) -> None:
        """So long the device takes so much."""
        for _ in range(round(seconds / self.period)):
            self.now = round(self.now + self.period, 6)
            self.joules += watts * self.period
            self._sample()

    def asks(self, *, size: int = 400, stream: bool = True, model: str = "m") -> Exchange:
        """A request is whole."""
        self._flow += 1
        exchange = Exchange(self._flow, ns(self.now - 0.001))
        exchange.operation = exchange.in_flight_as = "chat"
        exchange.generating = True
        exchange.stream = exchange.stream_asked = stream
        exchange.bytes_in, exchange.model = size, model
        self.split.started(exchange)
        exchange.request_end_ns = ns(self.now)
        return exchange

    def outputs(self, exchange: Exchange) -> None:
        """A token comes."""
        exchange.code = 200
        exchange.response_start_ns = exchange.response_start_ns or ns(self.now)
        exchange.arrival(ns(self.now), 1)
        if exchange.fresh_gaps:
            self.split.arrived(exchange, exchange.take_gaps())

    def ends(self, exchange: Exchange, prompt: int | None = 100, output: int | None = None) -> None:
        """It ends well and is counted."""
        exchange.code = exchange.code or 200
        exchange.has_output = True
        exchange.choices = 1
        exchange.prompt_tokens = prompt
        exchange.output_tokens = exchange.events if output is None else output
        self.over(exchange)

    def leaves(self, exchange: Exchange) -> None:
        """Its client leaves."""
        exchange.code, exchange.error = CLIENT_LEFT, "client_disconnect"
        exchange.left_ns = ns(self.now)
        self.over(exchange)

    def over(self, exchange: Exchange) -> None:
        """It ends, and its tokens are as well known as they will be."""
        exchange.stop_ns = ns(self.now)
        self.split.finished(exchange)
        self.split.counted(exchange)

    def generates(self, exchanges: list[Exchange], tokens: int, watts: float) -> None:
        """All of them get a token every tenth of a second."""
        for _ in range(tokens):
            self.passes(0.1, watts)
            for exchange in exchanges:
                self.outputs(exchange)

    def step(self, later: float = 3.0) -> None:
        """It is looked at, some time later by the clock alone."""
        while self.split.step(ns(self.now + later)):
            pass
