"""What the split costs: streams in flight, at so many samples a second, by CPU time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sidelight_sidecar.observer.accelerators.source import Device, Sample
from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.http.transaction import GAPS_AT_ONCE
from sidelight_sidecar.observer.metrics.labels import Labels

SECOND = 1_000_000_000
TOKEN_SECONDS = 0.02
LENGTH = 20.0
"""Seconds of each stream: a thousand tokens."""


@dataclass(frozen=True)
class Cost:
    """CPU seconds, of `seconds` of traffic."""

    streams: int
    seconds: float
    arrived: float
    ends: float
    samples: float
    steps: float
    chunks: int
    longest: float
    """CPU seconds of the longest step, for it holds up everything else."""

    @property
    def core(self) -> float:
        """Share of one core."""
        return (self.arrived + self.ends + self.samples + self.steps) / self.seconds

    @property
    def chunk(self) -> float:
        """Seconds for each chunk."""
        return self.arrived / self.chunks


class _Clock:
    """Adds up the CPU time between `start` and `stop`."""

    def __init__(self) -> None:
        self.total = 0.0
        self._since = 0.0

    def __enter__(self) -> None:
        self._since = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.total += time.process_time() - self._since


def cost(streams: int, seconds: float = 60.0, gaps_at_once: int = GAPS_AT_ONCE) -> Cost:
    """So many streams all the time; each that ends is followed by another."""
    split = EnergySplit(Labels(32))
    clocks = {name: _Clock() for name in ("arrived", "ends", "samples", "steps")}
    device = Device("GPU-0", "0")
    now, joules, chunks, longest = 1000.0, 1e5, 0, 0.0
    split.samples([Sample(device, round(now * SECOND), energy_joules=joules)])
    gaps = [TOKEN_SECONDS] * gaps_at_once
    batch = TOKEN_SECONDS * gaps_at_once
    flying = [
        (_begin(split, number, now - LENGTH * number / streams), number)
        for number in range(streams)
    ]
    due = [now + batch * number / streams for number in range(streams)]
    until = now + seconds
    while now < until:
        now += 0.1
        joules += 40.0
        with clocks["samples"]:
            split.samples([Sample(device, round(now * SECOND), energy_joules=joules)])
        for index, (exchange, number) in enumerate(flying):
            if due[index] > now:
                continue
            due[index] += batch
            exchange.last_output_ns = round(now * SECOND)
            exchange.arrivals += gaps_at_once
            exchange.events += gaps_at_once
            chunks += gaps_at_once
            with clocks["arrived"]:
                split.arrived(exchange, gaps)
            if exchange.last_output_ns - exchange.first_output_ns > LENGTH * SECOND:
                with clocks["ends"]:
                    _end(split, exchange)
                    flying[index] = (_begin(split, number + streams, now), number + streams)
        if round(now * 10) % 10 == 0:
            more = True
            while more:
                since = time.process_time()
                with clocks["steps"]:
                    more = split.step(round(now * SECOND))
                longest = max(longest, time.process_time() - since)
    took = {name: clock.total for name, clock in clocks.items()}
    return Cost(streams, seconds, chunks=chunks, longest=longest, **took)


def _begin(split: EnergySplit, number: int, at: float) -> Exchange:
    exchange = Exchange(number, round(at * SECOND))
    exchange.operation, exchange.generating, exchange.stream = "chat", True, True
    exchange.bytes_in, exchange.model = 2000, "m"
    split.started(exchange)
    exchange.request_end_ns = exchange.start_ns + 1
    exchange.code = 200
    exchange.arrival(exchange.start_ns + SECOND // 20, 1)
    return exchange


def _end(split: EnergySplit, exchange: Exchange) -> None:
    exchange.stop_ns = exchange.last_output_ns
    exchange.prompt_tokens, exchange.output_tokens = 500, exchange.events
    exchange.choices = 1
    split.finished(exchange)
    split.counted(exchange)
