"""Streams of requests, each a stand-in for one kind of traffic. Under a seed always the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from benchmarks.energy.watch import Sampling
from benchmarks.energy.world import Chip, Request


@dataclass(frozen=True)
class Scenario:
    """What is asked, how the device is read, and how many devices there are."""

    name: str
    ask: Callable[[random.Random, float], list[Request]]
    sampling: Sampling = field(default_factory=Sampling)
    chip: Chip = field(default_factory=Chip)
    devices: int = 1
    seconds: float = 600.0


def _lengths(dice: random.Random) -> tuple[int, int]:
    prompt = min(6000, max(8, round(dice.lognormvariate(5.8, 1.0))))
    output = min(1500, max(2, round(dice.lognormvariate(5.0, 0.8))))
    return prompt, output


def _guessed(request: Request, dice: random.Random) -> None:
    request.guessed = dice.uniform(0.2, 0.9)


def poisson(
    rate: float, start: float = 5.0, **more: object
) -> Callable[[random.Random, float], list[Request]]:
    """So many requests a second, at random."""

    def ask(dice: random.Random, seconds: float) -> list[Request]:
        at, requests = start, []
        while (at := at + dice.expovariate(rate)) < seconds:
            requests.append(Request(at, *_lengths(dice), **more))  # type: ignore[arg-type]
        return requests

    return ask


def some(
    rate: float, share: float, change: Callable[[Request, random.Random], None]
) -> Callable[[random.Random, float], list[Request]]:
    """The same; a share of the requests is changed."""

    def ask(dice: random.Random, seconds: float) -> list[Request]:
        requests = poisson(rate)(dice, seconds)
        for request in requests:
            if dice.random() < share:
                change(request, dice)
        return requests

    return ask


def alone(dice: random.Random, seconds: float) -> list[Request]:
    """One after the other, with pauses."""
    at, requests = 10.0, []
    while at < seconds - 20:
        requests.append(Request(at, *_lengths(dice)))
        at += requests[-1].output * 0.011 + dice.uniform(2, 8)
    return requests


def bursts(dice: random.Random, seconds: float) -> list[Request]:
    """Forty at once, every twenty seconds."""
    requests = []
    for start in range(8, int(seconds) - 20, 20):
        requests += [Request(start + dice.random() * 0.5, *_lengths(dice)) for _ in range(40)]
    return requests


def _long(request: Request, dice: random.Random) -> None:
    request.prompt = dice.randrange(8_000, 30_000)
    request.output = dice.randrange(5, 80)
    request.model = "long"


def _whole(request: Request, _: random.Random) -> None:
    request.stream = False


def _uncounted(request: Request, _: random.Random) -> None:
    request.usage = False


def _cached(request: Request, dice: random.Random) -> None:
    request.prompt += 3000
    request.cached = request.prompt - dice.randrange(10, 200)


def _cached_untold(request: Request, dice: random.Random) -> None:
    _cached(request, dice)
    request.cache_told = False


def _leaves(request: Request, dice: random.Random) -> None:
    request.leaves_after = dice.uniform(0.05, 3.0)


def _leaves_unseen(request: Request, dice: random.Random) -> None:
    _leaves(request, dice)
    request.runs_on = True


SCENARIOS = [
    Scenario("one at a time, pauses", alone),
    Scenario("a few at once (1 a second)", poisson(1.0)),
    Scenario("many at once (8 a second)", poisson(8.0), seconds=400),
    Scenario("more than it can do: a queue", poisson(14.0), chip=Chip(slots=64), seconds=300),
    Scenario("bursts of 40, idle gaps", bursts),
    Scenario("long prompts beside decodes", some(3.0, 0.1, _long)),
    Scenario("half are no streams", some(3.0, 0.5, _whole)),
    Scenario("none is a stream", some(3.0, 1.0, _whole)),
    Scenario("half without usage", some(3.0, 0.5, _uncounted)),
    Scenario("no usage at all", some(3.0, 1.0, _uncounted)),
    Scenario("half cached, and told", some(3.0, 0.5, _cached)),
    Scenario("half cached, not told", some(3.0, 0.5, _cached_untold)),
    Scenario("8 tokens a chunk", poisson(3.0, tokens_a_chunk=8)),
    Scenario("a third leave, the engine stops", some(3.0, 0.33, _leaves)),
    Scenario("a third leave, the engine runs on", some(3.0, 0.33, _leaves_unseen)),
    Scenario("never at rest", poisson(3.0, start=-10.0)),
]
"""What requests are like; the device and how it is read are the usual."""

DEVICES = [
    Scenario("as above, at 3 a second", poisson(3.0)),
    Scenario("counter moves every 100 ms", poisson(3.0), Sampling(update=0.1)),
    Scenario("one sample in five is missing", poisson(3.0), Sampling(missed=0.2)),
    Scenario("no counter, power only", poisson(3.0), Sampling(counter=False)),
    Scenario("two devices", poisson(3.0), devices=2),
    Scenario("throttled at 330 W", some(3.0, 0.1, _long), chip=Chip(cap_watts=330.0)),
    Scenario("30 % dearer at full load", some(3.0, 0.1, _long), chip=Chip(curve=0.3)),
    Scenario("prompts whole, decodes wait", some(3.0, 0.1, _long), chip=Chip(chunk=100_000)),
    Scenario("3 tokens guessed a step", some(3.0, 1.0, _guessed), chip=Chip(drafts=3)),
]
"""What the device and the engine are like."""

SPARSE = Sampling(period=15.0, jitter=0.5, missed=0.02, update=1.0)
VERSIONS = [
    Scenario("one model, 1 a second", poisson(1.0), SPARSE, seconds=3600),
    Scenario("one model, bursts of 40", bursts, SPARSE, seconds=3600),
    Scenario("two models, one with long prompts", some(3.0, 0.1, _long), SPARSE, seconds=1800),
    Scenario("two models, rare requests", some(0.1, 0.3, _long), SPARSE, seconds=7200),
    Scenario(
        "the same every 30 s", some(0.1, 0.3, _long), replace(SPARSE, period=30.0), seconds=7200
    ),
]
"""As an exporter is read."""
