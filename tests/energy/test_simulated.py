"""Simulated engines and devices, with the truth: a small part of `python -m benchmarks.energy`.

The dice are seeded, so what happened once happens always; docs/energy.md has the whole tables.
"""

from dataclasses import replace

import pytest
from benchmarks.energy.runs import Run, run
from benchmarks.energy.scenarios import DEVICES, SCENARIOS, VERSIONS, Scenario

BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, *DEVICES, *VERSIONS)}


def short(name: str, seconds: float) -> Run:
    return run(replace(BY_NAME[name], seconds=seconds))


def middle(errors: list[float], at: float) -> float:
    return sorted(abs(error) for error in errors)[int(at * len(errors))]


@pytest.mark.parametrize(
    ("name", "median", "ninety"),
    [
        ("one at a time, pauses", 0.05, 0.10),
        ("bursts of 40, idle gaps", 0.08, 0.20),
        ("long prompts beside decodes", 0.08, 0.15),
        ("none is a stream", 0.10, 0.20),
        ("8 tokens a chunk", 0.10, 0.15),
        ("no counter, power only", 0.10, 0.15),
        ("3 tokens guessed a step", 0.15, 0.25),
    ],
)
def test_requests_get_about_what_they_truly_cost(name: str, median: float, ninety: float) -> None:
    """Each kind of traffic within its bounds, all energy accounted for, and no request without."""
    found = short(name, 200)
    assert len(found.errors) > 10
    assert found.without == 0
    assert found.unbalanced_mj == 0
    assert middle(found.errors, 0.5) < median
    assert middle(found.errors, 0.9) < ninety
    assert middle(found.provisional, 0.5) < 2 * median


def test_by_equal_shares_of_time_they_would_not() -> None:
    """What the bounds are worth: who divides by time in flight is far off them."""
    found = short("long prompts beside decodes", 200)
    assert middle(found.by_time, 0.5) > 4 * middle(found.errors, 0.5)


def test_samples_of_fifteen_seconds_tell_of_models_alone() -> None:
    """Joules a token within a seventh, its cold first minutes included; no request has a share."""
    found = short("one model, bursts of 40", 1200)
    assert found.errors == []
    assert found.told.level == "version"
    assert abs(found.by_model["m"]) < 0.15


def test_where_a_pod_never_rests_idle_energy_is_the_requests() -> None:
    """Nobody can tell it from work then, and it is not made up: idle power is not told."""
    scenario: Scenario = BY_NAME["never at rest"]
    found = run(replace(scenario, seconds=150.0), rest=0.0)
    assert found.told.fitted.idle_watts is None
    assert found.told.total.requests_mj > 0.99 * found.told.total.device_mj
