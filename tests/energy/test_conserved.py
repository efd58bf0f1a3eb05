"""Conservation: whatever happens, every millijoule of the devices is in exactly one place."""

import random

from energy_world import ns
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.accelerators.source import Device, Sample
from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.energy.told import Settled, Told
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.metrics.labels import Labels

DEVICES = [Device("GPU-1", "0"), Device("GPU-2", "1"), Device("GPU-3", "2", shared=True)]
EVENTS = ["sample", "sample", "sample", "start", "ask", "output", "output", "end", "drop", "step"]


class Play:
    """Does whatever the dice say, and keeps its own books of what the counters moved."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.split = EnergySplit(Labels(3))
        self.settled: list[Settled] = []
        self.split.on_settled(self.settled.append)
        self.now = 10.0
        self.counters = {device.uuid: 1_000_000 for device in DEVICES}
        self.flying: list[Exchange] = []
        self.ended: list[Exchange] = []
        self.flows = 0

    def does(self, event: str) -> None:
        """One thing, some time after the one before, and now and then the clock is set back."""
        dice = self.dice
        self.now += dice.choice([0.0, 0.01, 0.1, 0.3, dice.uniform(0, 20)])
        if dice.random() < 0.02:
            self.now = max(1.0, self.now - dice.uniform(0, 30))
        getattr(self, f"_{event}")()

    def _sample(self) -> None:
        dice, taken = self.dice, []
        for device in DEVICES:
            if dice.random() < 0.1:
                continue
            counter = self.counters[device.uuid] + dice.randrange(0, 60_000)
            if dice.random() < 0.03:
                counter = dice.randrange(0, 5_000)
            self.counters[device.uuid] = counter
            joules = counter / 1000 if dice.random() < 0.9 else None
            watts = dice.uniform(0, 700) if dice.random() < 0.5 else None
            taken.append(Sample(device, ns(self.now), power_watts=watts, energy_joules=joules))
        self.split.samples(taken)

    def _start(self) -> None:
        for _ in range(self.dice.choice([1, 1, 3, 40])):
            self.flows += 1
            exchange = Exchange(self.flows, ns(self.now))
            exchange.operation = self.dice.choice(["chat", "chat", "embeddings", "other"])
            exchange.generating = exchange.operation == "chat"
            exchange.stream = self.dice.random() < 0.7
            exchange.model = self.dice.choice(["a", "b", "c", "d", ""])
            exchange.bytes_in = self.dice.randrange(0, 9000)
            self.split.started(exchange)
            self.flying.append(exchange)

    def _ask(self) -> None:
        for exchange in self.flying:
            exchange.request_end_ns = exchange.request_end_ns or ns(self.now)

    def _output(self) -> None:
        for exchange in self.flying:
            if exchange.request_end_ns and self.dice.random() < 0.6:
                exchange.response_start_ns = exchange.response_start_ns or ns(self.now)
                exchange.code = 200
                exchange.arrival(ns(self.now), self.dice.choice([1, 1, 4]))
                if exchange.fresh_gaps:
                    self.split.arrived(exchange, exchange.take_gaps())

    def _end(self) -> None:
        dice = self.dice
        for exchange in dice.sample(self.flying, min(len(self.flying), dice.choice([1, 5, 50]))):
            self.flying.remove(exchange)
            self.ended.append(exchange)
            exchange.stop_ns = ns(self.now)
            exchange.code = dice.choice([200, 200, 200, 499, 429, 500, 0])
            exchange.error = "" if exchange.code == 200 else "server_error"
            if exchange.code == 499 and dice.random() < 0.5:
                exchange.engine_end_ns = ns(self.now + dice.uniform(-1, 5))
            if dice.random() < 0.6:
                exchange.prompt_tokens = dice.randrange(0, 3000)
                exchange.cached_tokens = dice.randrange(0, exchange.prompt_tokens + 1)
                exchange.output_tokens = dice.choice([0, 1, exchange.events, 500])
            self.split.finished(exchange)
            if (exchange.generating or exchange.prompt_tokens is not None) and dice.random() < 0.9:
                self.split.counted(exchange)
            self.split.of(exchange)

    def _drop(self) -> None:
        if self.flying:
            exchange = self.flying.pop(self.dice.randrange(len(self.flying)))
            self.ended.append(exchange)
            self.split.dropped(exchange)

    def _step(self) -> None:
        self.split.step(ns(self.now + self.dice.choice([0.0, 0.5, 3.0])))


def holds(told: Told) -> None:
    """All of the devices' energy is somewhere, and nothing is less than none."""
    total = told.total
    parts = (total.idle_mj, total.requests_mj, total.unowned_mj, total.open_mj)
    assert told.unbalanced_mj == 0
    assert sum(parts) == total.device_mj
    assert min(parts) >= 0
    assert sum(entry.requests_mj for entry in told.by_model.values()) == total.requests_mj
    assert sum(told.by_outcome.values()) == total.requests_mj


@given(st.integers(0, 2**32), st.lists(st.sampled_from(EVENTS), min_size=30, max_size=150))
def test_all_energy_is_idle_a_requests_unowned_or_open(seed: int, events: list[str]) -> None:
    """With counters that restart, clocks that are set back, gaps, losses and refusals."""
    play = Play(seed)
    for event in events:
        play.does(event)
        holds(play.split.told())


@given(st.integers(0, 2**32), st.lists(st.sampled_from(EVENTS), min_size=30, max_size=120))
def test_the_shares_of_requests_add_up_to_what_is_told_of_them(
    seed: int, events: list[str]
) -> None:
    """When all has ended and minutes have passed nothing but the last moments is open, and what
    was settled is the sum of what each got: as listeners heard it, and as exchanges have it.
    """
    play = Play(seed)
    for event in events:
        play.does(event)
    while play.flying:
        play._end()
    for exchange in play.ended:
        play.split.counted(exchange)  # who was not counted is now; again is no harm
    while play.split.step(ns(play.now + 100_000)):
        pass
    told = play.split.told()
    holds(told)
    assert "running" not in told.by_outcome
    shares = {id(e.energy): e.energy for e in play.ended if e.energy is not None}
    assert sum(share.millijoules for share in shares.values()) == told.total.requests_mj
    assert told.total.open_mj == play.split._meter.tail_mj
    heard = [one for one in play.settled if one.share.joules is not None]
    assert len(heard) == len(play.settled)


def test_a_thousand_that_overlap_lose_nothing() -> None:
    """All in flight at once, for a minute, at 10 Hz."""
    play = Play(7)
    play.split.samples([Sample(DEVICES[0], ns(10), energy_joules=1000.0)])
    for _ in range(25):
        play._start()
        play.flying = [e for e in play.flying if e.operation != "other"]
    while len(play.flying) < 1000:
        play._start()
    play._ask()
    joules = 1000.0
    for tenth in range(1, 600):
        play.now = 10 + tenth / 10
        joules += 37.0
        play.split.samples([Sample(DEVICES[0], ns(play.now), energy_joules=joules)])
        if tenth % 5 == 0:
            play._output()
        if tenth % 50 == 0:
            play._end()
            play._step()
            holds(play.split.told())
    while play.flying:
        play._end()
    while play.split.step(ns(play.now + 200)):
        pass
    holds(play.split.told())
    assert play.split.told().total.device_mj == 599 * 37_000
