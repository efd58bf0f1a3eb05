"""Simulated versions, looked at after every minute: a small part of `python -m benchmarks.verdict`.

The dice are seeded, so what happened once happens always; docs/verdict.md has the whole tables.
"""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from benchmarks.verdict.runs import Run, run
from benchmarks.verdict.scenarios import EDGE, SAME, WORSE
from benchmarks.verdict.world import Scenario, minutes

RUNS = 12


def short(scenario: Scenario, hours: int) -> Scenario:
    return replace(scenario, minutes=60 * hours)


def runs(scenario: Scenario, count: int = RUNS, level: str = "1%") -> list[Run]:
    return [run(scenario, seed, level) for seed in range(count)]


def happened(found: Iterable[object]) -> int:
    return sum(one is not None for one in found)


def test_a_version_against_itself_alarms_no_more_often_than_stated() -> None:
    """Four kinds of traffic at a level of 10 %, so that few runs could show too many; the t-test
    that people look at all the time alarms in most of the same runs.
    """
    found = [one for scenario in SAME[:4] for one in runs(short(scenario, 2), level="10%")]
    assert len(found) == 4 * RUNS
    assert happened(one.difference for one in found) <= len(found) * 0.10
    assert happened(one.rollback for one in found) == 0
    assert happened(one.naive for one in found) > len(found) / 2


def test_at_the_edge_of_tolerance_nothing_is_decided() -> None:
    """Worse by just what is tolerated: neither may be promoted nor rolled back, but by error."""
    found = runs(short(EDGE[0], 3), 6)
    assert happened(one.difference for one in found) == 6
    assert happened(one.rollback for one in found) == 0
    assert happened(one.promote for one in found) == 0
    assert not any(missed for one in found for missed in one.outside.values())


@pytest.mark.parametrize(
    ("scenario", "hours", "requests"),
    [(WORSE[1], 3, 12_000), (WORSE[4], 2, 8_000), (WORSE[5], 2, 8_000)],
    ids=["10 % slower", "30 % slower", "10 points more errors"],
)
def test_a_worse_version_is_rolled_back(scenario: Scenario, hours: int, requests: int) -> None:
    """Always, within so many requests of both versions, and never promoted."""
    found = runs(short(scenario, hours), 4)
    taken = [one.rollback.requests for one in found if one.rollback is not None]
    assert len(taken) == 4
    assert max(taken) < requests
    assert happened(one.promote for one in found) == 0


def test_two_more_points_of_errors_are_noticed() -> None:
    """Long before they are sure to be more than the one that is tolerated."""
    found = runs(short(WORSE[3], 4), 4)
    assert happened(one.slower for one in found) == 4


def test_a_simulation_is_the_same_in_every_run() -> None:
    """Else its tables could not be checked."""
    scenario = short(SAME[0], 1)
    first, second = ([m[0] for m in minutes(scenario, 7)] for _ in range(2))
    assert first == second
    assert first != [m[0] for m in minutes(scenario, 8)]
