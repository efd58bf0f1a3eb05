"""Runs one scenario, and holds what was shared out against the truth."""

from __future__ import annotations

import random
from dataclasses import dataclass

from benchmarks.energy.scenarios import Scenario
from benchmarks.energy.watch import Seen, play
from benchmarks.energy.world import Device, Engine

from sidelight_sidecar.observer.energy.intervals import STEP_NS
from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.energy.told import Quality, Told
from sidelight_sidecar.observer.metrics.labels import Labels

WARM = 60.0
"""Seconds until requests are judged: before, the model of work is not fitted."""


@dataclass
class Run:
    """What came out."""

    scenario: Scenario
    told: Told
    errors: list[float]
    """Of each request: its joules over the true ones, less one."""
    provisional: list[float]
    """The same when it was counted."""
    by_time: list[float]
    """The same, were all energy above idle shared by time in flight."""
    truth: float
    """Joules of the judged requests."""
    found: float
    without: int
    """Judged requests that have no share."""
    unbalanced_mj: int
    """The most that all parts ever were off the devices' energy."""
    all_joules: float
    """Of all requests since the start, over the true ones, less one."""
    by_model: dict[str, float]
    """Of each model: joules a token over the true ones, less one."""


class Provisional(EnergySplit):
    """Remembers what each share was when its exchange was counted."""

    def __init__(self, labels: Labels, step_ns: int) -> None:
        super().__init__(labels, step_ns)
        self.first: dict[int, float | None] = {}
        self.unbalanced_mj = 0

    def checks(self, _: float) -> None:
        """Once a second: note whether any energy is lost."""
        self.unbalanced_mj = max(self.unbalanced_mj, abs(self.told().unbalanced_mj))

    def counted(self, exchange) -> None:  # type: ignore[no-untyped-def]
        """Note the share."""
        super().counted(exchange)
        self.first[exchange.flow] = self.of(exchange).joules


def run(scenario: Scenario, seed: int = 1, step_ns: int = STEP_NS, rest: float = 60.0) -> Run:
    """Simulate it under a seed; it is looked at until so many seconds after the last request."""
    dice = random.Random(seed)
    requests = scenario.ask(dice, scenario.seconds)
    world = Device(scenario.chip, dice)
    until = scenario.seconds + rest
    Engine(scenario.chip, world).run(requests, until)
    split = Provisional(Labels(32), step_ns)
    worlds = [world] * scenario.devices
    seen = play(split, requests, worlds, scenario.sampling, until, seed, split.checks)
    return _judged(scenario, split, seen, until)


def _judged(scenario: Scenario, split: Provisional, seen: list[Seen], until: float) -> Run:
    errors, provisional, by_time = [], [], []
    all_seconds = sum(_seconds(one) for one in seen) or 1.0
    each_second = split.told().total.requests_mj / 1000 / all_seconds
    truth = found = 0.0
    without = 0
    for one in seen:
        request, share = one.request, one.exchange.energy
        joules = request.joules * scenario.devices
        if request.at < WARM or request.done_at > until or joules <= 0:
            continue
        if share is None or share.quality is not Quality.SETTLED:
            without += 1
            continue
        assert share.joules is not None
        truth, found = truth + joules, found + share.joules
        errors.append(share.joules / joules - 1)
        if (first := split.first.get(one.exchange.flow)) is not None:
            provisional.append(first / joules - 1)
        by_time.append(each_second * _seconds(one) / joules - 1)
    models = _models(split, seen, scenario)
    all_true = sum(one.request.joules for one in seen) * scenario.devices
    all_joules = split.told().total.requests_mj / 1000 / all_true - 1
    return Run(
        scenario, split.told(), errors, provisional, by_time, truth, found, without,
        split.unbalanced_mj, all_joules, models,
    )  # fmt: skip


def _seconds(one: Seen) -> float:
    """In flight, as the sidecar saw it."""
    exchange = one.exchange
    return max(0, exchange.stop_ns - exchange.start_ns) / 1e9


def _models(split: EnergySplit, seen: list[Seen], scenario: Scenario) -> dict[str, float]:
    """All requests since the start, for totals have no other beginning."""
    truth: dict[str, list[float]] = {}
    for one in seen:
        entry = truth.setdefault(one.request.model, [0.0, 0.0])
        entry[0] += one.request.joules * scenario.devices
        entry[1] += len(one.request.tokens)
    told = split.told().by_model
    found = {}
    for model, (joules, tokens) in truth.items():
        entry = told.get(model)
        if entry and entry.output_tokens and tokens:
            found[model] = (entry.requests_mj / 1000 / entry.output_tokens) / (joules / tokens) - 1
    return found
