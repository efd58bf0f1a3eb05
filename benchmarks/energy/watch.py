"""What a sidecar sees of the simulated world: samples of the device, and exchanges."""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.energy.world import Device as World
from benchmarks.energy.world import Request

from sidelight_sidecar.observer.accelerators.source import Device, Sample
from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.http.transaction import GAPS_AT_ONCE

SECOND = 1_000_000_000
ZERO_NS = 5_000 * SECOND


@dataclass(frozen=True)
class Sampling:
    """How the device is read."""

    period: float = 0.1
    jitter: float = 0.01
    missed: float = 0.01
    """Share of samples that do not come."""
    update: float = 0.05
    """How often its counter moves: 20 to 100 ms."""
    counter: bool = True
    """False: power alone."""


def ns(seconds: float) -> int:
    """On the frames' clock."""
    return ZERO_NS + round(seconds * SECOND)


def samples(
    world: World, sampling: Sampling, dice: random.Random, until: float, name: str = "GPU-0"
) -> Iterator[tuple[float, Sample]]:
    """When each is taken, and what it says; the counter is that of its last move."""
    device = Device(name, name[-1])
    offset = dice.random() * sampling.period
    moved = dice.random() * sampling.update
    number = 0
    while (at := offset + number * sampling.period + dice.uniform(0, sampling.jitter)) < until:
        number += 1
        if dice.random() < sampling.missed:
            continue
        seen = moved + math.floor((at - moved) / sampling.update) * sampling.update
        joules = _at(world, seen)
        # NVML tells power as the mean of the last moments; so does this.
        watts = (joules - _at(world, seen - sampling.update)) / sampling.update
        yield at, Sample(
            device, ns(at), power_watts=round(watts, 3),
            energy_joules=round(1e5 + joules, 3) if sampling.counter else None,
        )  # fmt: skip


def _at(world: World, when: float) -> float:
    """The joules by then, on the straight line."""
    if when <= 0:
        return 0.0
    index = bisect_right(world.times, when)
    if index >= len(world.times):
        return world.joules[-1]
    since, until = world.times[index - 1], world.times[index]
    part = (when - since) / (until - since)
    return world.joules[index - 1] + part * (world.joules[index] - world.joules[index - 1])


class Seen:
    """An exchange that goes on, as the relay's frames would tell it."""

    def __init__(self, request: Request, number: int, split: EnergySplit) -> None:
        self.request = request
        self.split = split
        self.exchange = exchange = Exchange(number, ns(request.at - 0.002))
        exchange.operation = exchange.in_flight_as = "chat"
        exchange.generating = True
        exchange.stream = exchange.stream_asked = request.stream
        exchange.bytes_in = 200 + round(request.prompt * 4.3)
        exchange.model = request.model

    def events(self, dice: random.Random) -> Iterator[tuple[float, Callable[[], None]]]:
        """What happens to it, in the order of time."""
        request = self.request
        yield request.at - 0.002, self._start
        yield request.at, self._asked
        if request.stream:
            sent = 0.0
            for number, at in enumerate(request.tokens, 1):
                if at > request.left_at:
                    break
                whole = number % request.tokens_a_chunk == 0 or number == len(request.tokens)
                if whole and (number == len(request.tokens) or request.tokens[number] > at):
                    sent = max(sent, at + dice.expovariate(1 / 0.0005))
                    yield sent, self._output(sent)
        if request.left_at < math.inf:
            end = request.left_at
            if not request.runs_on and request.done_at < math.inf:
                self.exchange.engine_end_ns = ns(max(end, request.done_at))
            yield max(end, sent if request.stream else 0.0) + 0.001, self._left
        elif request.done_at < math.inf:
            end = max(request.done_at, sent if request.stream else 0.0) + 0.001
            yield end, self._ended(end)

    def _start(self) -> None:
        self.split.started(self.exchange)

    def _asked(self) -> None:
        self.exchange.request_end_ns = ns(self.request.at)

    def _output(self, at: float) -> Callable[[], None]:
        def happens() -> None:
            exchange = self.exchange
            exchange.response_start_ns = exchange.response_start_ns or ns(at)
            exchange.code = 200
            exchange.arrival(ns(at), 1)
            if len(exchange.fresh_gaps) >= GAPS_AT_ONCE:
                self.split.arrived(exchange, exchange.take_gaps())

        return happens

    def _left(self) -> None:
        self.exchange.code, self.exchange.error = 499, "client_disconnect"
        self.exchange.left_ns = self.exchange.stop_ns = ns(self.request.left_at)
        self._over()

    def _ended(self, at: float) -> Callable[[], None]:
        def happens() -> None:
            exchange, request = self.exchange, self.request
            exchange.code = 200
            exchange.stop_ns = ns(at)
            exchange.response_start_ns = exchange.response_start_ns or ns(at)
            exchange.has_output = True
            exchange.choices = 1
            if request.usage or not request.stream:
                exchange.prompt_tokens = request.prompt
                exchange.output_tokens = len(request.tokens)
                exchange.cached_tokens = request.cached if request.cache_told else 0
                exchange.first_arrival_tokens = min(request.tokens_a_chunk, len(request.tokens))
            self._over()

        return happens

    def _over(self) -> None:
        if self.exchange.fresh_gaps:
            self.split.arrived(self.exchange, self.exchange.take_gaps())
        self.split.finished(self.exchange)
        self.split.counted(self.exchange)


def play(
    split: EnergySplit,
    requests: list[Request],
    worlds: list[World],
    sampling: Sampling,
    until: float,
    seed: int,
    also: Callable[[float], None] = lambda _: None,
) -> list[Seen]:
    """Tell the split all that happens, and have it look once a second."""
    dice = random.Random(seed)
    seen = [Seen(request, number, split) for number, request in enumerate(requests)]
    streams: list[Iterator[tuple[float, Callable[[], None]]]] = [
        one.events(dice) for one in seen if one.request.tokens or one.request.left_at < math.inf
    ]
    taken: list[Sample] = []
    for number, world in enumerate(worlds):
        read = samples(world, sampling, random.Random(seed + number), until, f"GPU-{number}")
        streams.append((at, _taker(taken, sample)) for at, sample in read)

    def look(at: float) -> Callable[[], None]:
        def happens() -> None:
            split.samples(taken)
            taken.clear()
            while split.step(ns(at)):
                pass
            also(at)

        return happens

    streams.append((float(at), look(float(at))) for at in range(1, int(until) + 131))
    order = 0
    queue: list[tuple[float, int, Callable[[], None], int]] = []
    for number, stream in enumerate(streams):
        if (event := next(stream, None)) is not None:
            queue.append((event[0], order, event[1], number))
            order += 1
    heapq.heapify(queue)
    while queue:
        _, _, happens, number = queue[0]
        happens()
        event = next(streams[number], None)
        if event is None:
            heapq.heappop(queue)
        else:
            order += 1
            heapq.heapreplace(queue, (event[0], order, event[1], number))
    return seen


def _taker(taken: list[Sample], sample: Sample) -> Callable[[], None]:
    return lambda: taken.append(sample)
