"""Two versions behind one Service, simulated: what each minute's strata would be.

Pods serve many requests at once and get slower with each; past their slots requests wait. The load
swings over hours and in bursts; the mix of lengths drifts; each pod has slow and fast minutes of
its own. Under a seed all of it is the same in every run.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from sidelight_contract.strata import Key, Stratum, key_of

STEP_SECONDS = 10.0
"""How often a pod's own noise moves on."""


@dataclass(frozen=True)
class Scenario:
    """What the traffic is like, and what is true of the candidate."""

    name: str
    requests_a_minute: float = 60.0
    minutes: int = 360
    candidate_share: float = 0.1
    pods: tuple[int, int] = (9, 1)
    slots: int = 16
    swing: float = 0.5
    """How far the load moves from its mean over four hours, as a share of it."""
    burst: float = 3.0
    """By how much a burst multiplies the load; bursts last some 3 minutes, one comes in 30."""
    drift: float = 1.0
    """By how many e-folds prompts and outputs grow over the run."""
    pod_noise: float = 0.05
    """Standard deviation of the logarithm of a pod's own speed."""
    noise_minutes: float = 1.0
    """How long such a slow or fast time lasts."""
    errors: float = 0.005
    decode: float = 1.0
    """The candidate's time per output token, times the baseline's."""
    more_errors: float = 0.0


@dataclass(slots=True)
class Request:
    """What a request turned out to be, for those who look at single requests."""

    end: float
    version: int
    first: float | None
    token: float | None
    duration: float | None
    failed: bool
    key: Key


class _Pod:
    def __init__(self, dice: random.Random, scenario: Scenario) -> None:
        self._dice = dice
        self._noise = scenario.pod_noise
        self._keep = math.exp(-STEP_SECONDS / 60 / scenario.noise_minutes)
        self._stepped = 0.0
        self._speed = dice.gauss(0, self._noise)
        self.ends: list[float] = []

    def at(self, now: float) -> None:
        while self.ends and self.ends[0] <= now:
            heapq.heappop(self.ends)
        fresh = self._noise * math.sqrt(1 - self._keep**2)
        while self._stepped + STEP_SECONDS <= now:
            self._stepped += STEP_SECONDS
            self._speed = self._keep * self._speed + self._dice.gauss(0, fresh)

    @property
    def slowness(self) -> float:
        return math.exp(self._speed)


def requests(scenario: Scenario, seed: int) -> Iterator[Request]:
    """The requests in the order of their arrival."""
    dice = random.Random(f"{scenario.name} {seed}")
    pods = [[_Pod(dice, scenario) for _ in range(count)] for count in scenario.pods]
    for now in _arrivals(scenario, dice):
        version = int(dice.random() < scenario.candidate_share)
        pod = dice.choice(pods[version])
        pod.at(now)
        yield _serve(scenario, dice, (pod, version), now)


def _arrivals(scenario: Scenario, dice: random.Random) -> Iterator[float]:
    now, burst_until, phase = 0.0, -1.0, dice.random() * 2 * math.pi
    next_burst = dice.expovariate(1 / 1800)
    while now < scenario.minutes * 60:
        if now >= next_burst:
            burst_until = now + dice.expovariate(1 / 180)
            next_burst = burst_until + dice.expovariate(1 / 1800)
        rate = scenario.requests_a_minute / 60
        rate *= 1 + scenario.swing * math.sin(2 * math.pi * now / 14_400 + phase)
        if now < burst_until:
            rate *= scenario.burst
        now += dice.expovariate(rate)
        yield now


def _serve(scenario: Scenario, dice: random.Random, at: tuple[_Pod, int], now: float) -> Request:
    pod, version = at
    concurrency = len(pod.ends) + 1
    waited = 0.0
    if concurrency > scenario.slots:
        waited = heapq.nsmallest(concurrency - scenario.slots, pod.ends)[-1] - now
    grown = scenario.drift * now / (scenario.minutes * 60)
    long = dice.random() < 0.2 + 0.3 * grown
    prompt = round(dice.lognormvariate((8.0 if long else 5.5) + grown / 2, 0.8)) + 1
    output = round(dice.lognormvariate(4.5 + grown / 2, 0.7)) + 2
    busy = min(concurrency, scenario.slots)
    first = 0.03 + waited
    first += prompt * 1e-4 * (1 + busy / 8) * pod.slowness * dice.lognormvariate(0, 0.3)
    token = 0.02 * (1 + busy / 16) * pod.slowness * dice.lognormvariate(0, 0.15)
    share = scenario.errors + (0.1 if concurrency > 2 * scenario.slots else 0.0)
    if version:
        token *= scenario.decode
        share += scenario.more_errors
    streamed = dice.random() < 0.8
    if dice.random() < share:
        end = now + 0.05 + waited
        key = key_of("m", None, None, streamed=streamed, concurrency=concurrency)
        return Request(end, version, None, None, None, failed=True, key=key)
    end = now + first + token * output
    heapq.heappush(pod.ends, end)
    key = key_of("m", prompt, output, streamed=streamed, concurrency=concurrency)
    seen = (first, token) if streamed else (None, None)
    return Request(end, version, *seen, end - now, failed=False, key=key)


Minute = tuple[list[Stratum], list[Stratum], list[Request]]
"""The baseline's strata, the candidate's, and the requests behind them."""


def minutes(scenario: Scenario, seed: int) -> Iterator[Minute]:
    """What ended in each minute."""
    waiting: dict[int, list[Request]] = {}
    done = 0
    for request in requests(scenario, seed):
        waiting.setdefault(int(request.end // 60), []).append(request)
        # Ends come out of order; those of a minute are all known some time after it.
        while done < scenario.minutes and request.end - 600 > 60 * (done + 1):
            yield _minute(waiting.pop(done, []))
            done += 1
    while done < scenario.minutes:
        yield _minute(waiting.pop(done, []))
        done += 1


def _minute(ended: list[Request]) -> Minute:
    rows: tuple[dict[Key, Stratum], dict[Key, Stratum]] = ({}, {})
    for request in ended:
        row = rows[request.version].get(request.key)
        if row is None:
            row = rows[request.version][request.key] = Stratum(*request.key)
        row.requests += 1
        row.failed += request.failed
        row.time_to_first_token.take(request.first)
        row.time_per_output_token.take(request.token)
        row.duration.take(request.duration)
    return list(rows[0].values()), list(rows[1].values()), ended
