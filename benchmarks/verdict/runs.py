"""One simulated comparison: ours, and the t-test that people make of the same requests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import NormalDist

from benchmarks.verdict.world import Request, Scenario, minutes

from sidelight_contract.spec import Compare
from sidelight_operator.verdict.evidence import Evidence
from sidelight_operator.verdict.judge import Standing, judge_figures
from sidelight_operator.verdict.matched import Figure, blocks
from sidelight_operator.verdict.sequential import excluded
from sidelight_operator.verdict.settings import Settings, settings_of


@dataclass(frozen=True, slots=True)
class Found:
    """When something was found: after how many minutes and requests of both versions."""

    minute: int
    requests: int
    candidate: int


@dataclass(slots=True)
class Run:
    """What a run came to; None where something never happened."""

    difference: Found | None = None
    """The interval of any figure excluded "no difference"."""
    slower: Found | None = None
    """That of the figure of interest lay above "no difference"."""
    rollback: Found | None = None
    promote: Found | None = None
    naive: Found | None = None
    """Welch's t-test of all requests, looked at each minute at the same level."""
    naive_once: bool = False
    """The same looked at once, at the end."""
    outside: dict[Figure, bool] = field(default_factory=dict)
    """Whether the interval ever failed to hold what is true."""


class TTest:
    """Two-sided, on single requests, unmatched: time per output token, time to first token,
    duration (as they are and not their logarithms), failed or not; each at a quarter of the level.
    """

    def __init__(self, level: float) -> None:
        self._bound = NormalDist().inv_cdf(1 - level / 8)
        self._sums = [[[0, 0.0, 0.0] for _ in range(4)] for _ in range(2)]

    def add(self, request: Request) -> None:
        """Take one request."""
        values = (request.token, request.first, request.duration, float(request.failed))
        for sums, value in zip(self._sums[request.version], values, strict=True):
            if value is not None:
                sums[0] += 1
                sums[1] += value
                sums[2] += value * value

    @property
    def significant(self) -> bool:
        """Whether any of the four says so; not with fewer than thirty requests on a side."""
        return any(map(self._differs, *self._sums))

    def _differs(self, mine: list[float], theirs: list[float]) -> bool:
        if min(mine[0], theirs[0]) < 30:
            return False
        means, errors = [], 0.0
        for count, total, squares in (mine, theirs):
            mean = total / count
            means.append(mean)
            errors += max(squares / count - mean * mean, 0.0) / (count - 1)
        return errors > 0 and abs(means[1] - means[0]) > self._bound * math.sqrt(errors)


def run(scenario: Scenario, seed: int, level: str = "1%") -> Run:
    """One comparison, looked at after every minute."""
    settings = settings_of(Compare.model_validate({"falseAlarmRate": level}))
    truth = {
        Figure.TIME_PER_OUTPUT_TOKEN: math.log(scenario.decode),
        Figure.ERRORS: scenario.more_errors,
    }
    evidence: dict[Figure, Evidence] = {}
    naive, result, counts = TTest(4 * settings.alpha), Run(), [0, 0]
    for minute, (baseline, candidate, requests) in enumerate(minutes(scenario, seed), 1):
        for request in requests:
            counts[request.version] += 1
            naive.add(request)
        for figure, block in blocks(baseline, candidate).items():
            evidence.setdefault(figure, Evidence()).add(block)
        found = Found(minute, sum(counts), counts[1])
        if result.naive is None and naive.significant:
            result.naive = found
        _look(result, evidence, settings.alpha, found)
        for figure, true in truth.items():
            if figure in evidence:
                wrong = excluded(evidence[figure], figure, settings.alpha, true)
                result.outside[figure] = result.outside.get(figure, False) or wrong
        _judge(result, evidence, settings, found)
    result.naive_once = naive.significant
    return result


def _look(result: Run, evidence: dict[Figure, Evidence], alpha: float, found: Found) -> None:
    for figure, sums in evidence.items():
        if excluded(sums, figure, alpha, 0.0):
            result.difference = result.difference or found
            interest = figure in (Figure.TIME_PER_OUTPUT_TOKEN, Figure.ERRORS)
            if interest and sums.wd > 0:
                result.slower = result.slower or found


def _judge(result: Run, evidence: dict[Figure, Evidence], settings: Settings, found: Found) -> None:
    """As the operator does it; but intervals are made only where they may decide something."""
    if result.rollback is not None or not evidence:
        return
    above, below = [], []
    for figure, sums in evidence.items():
        tolerated = settings.tolerance[figure]
        decided = bool(sums.w) and excluded(sums, figure, settings.alpha, tolerated)
        above.append(decided and sums.wd > tolerated * sums.w)
        below.append(decided and sums.wd < tolerated * sums.w)
    if not any(above) and (result.promote is not None or not all(below)):
        return
    standings = {item.standing for item in judge_figures(evidence, settings)}
    if Standing.BEYOND in standings:
        result.rollback = found
    enough = max(sums.candidate_requests for sums in evidence.values()) >= settings.min_requests
    if standings == {Standing.WITHIN} and enough:
        result.promote = result.promote or found
