"""What work costs, fitted to what the devices took; and what they take without any."""

import random

import pytest

from sidelight_sidecar.observer.energy.idle import IdlePower
from sidelight_sidecar.observer.energy.model import LEAST_SECONDS, WorkModel

PREFILL, DECODE, CONTEXT, STEP = 0.013, 0.011, 0.008, 1.7


def taught(model: WorkModel, blocks: int, seed: int = 1, noise: float = 0.0) -> None:
    """Seconds of mixed work, of a device that costs what is above."""
    dice = random.Random(seed)
    for _ in range(blocks):
        prefill, steps = dice.uniform(0, 9000), dice.uniform(20, 130)
        decode = steps * dice.randrange(1, 60)
        context = decode * dice.uniform(0.2, 4)
        joules = PREFILL * prefill + DECODE * decode + CONTEXT * context + STEP * steps
        model.add(joules * (1 + dice.gauss(0, noise)), 1.0, (prefill, decode, context, steps), 0.0)


def test_what_each_kind_of_work_costs_is_found() -> None:
    """Of a minute of mixed work with a noise of 3 %."""
    model = WorkModel()
    taught(model, 60, noise=0.03)
    found = model.joules_each
    assert found == pytest.approx((PREFILL, DECODE, CONTEXT, STEP), rel=0.2)
    for estimate, true in zip(model.estimates(), (PREFILL, DECODE, CONTEXT, STEP), strict=True):
        assert estimate is not None
        assert abs(estimate.value - true) < 4 * estimate.error


def test_nothing_is_fitted_to_a_few_seconds() -> None:
    """And nothing is told of it."""
    model = WorkModel()
    taught(model, int(LEAST_SECONDS) - 1)
    assert not model.fitted
    assert model.estimates() == [None] * 4
    assert model.residual.value is None


def test_an_outlier_hardly_moves_it() -> None:
    """A counter that jumps, or work that nobody saw: one second of a hundred times as much."""
    model = WorkModel()
    taught(model, 100, noise=0.02)
    before = model.joules_each
    model.add(60_000.0, 1.0, (100.0, 500.0, 500.0, 50.0), 0.0)
    taught(model, 5, seed=2, noise=0.02)
    assert model.joules_each == pytest.approx(before, rel=0.15)


def test_it_follows_a_device_that_changes() -> None:
    """What was learned fades: a device with half the clock costs what it costs now."""
    model = WorkModel()
    taught(model, 300)
    dice = random.Random(3)
    for _ in range(4000):
        steps = dice.uniform(20, 130)
        model.add(3 * STEP * steps, 1.0, (0.0, 0.0, 0.0, steps), 0.0)
    assert model.joules_each[3] == pytest.approx(3 * STEP, rel=0.1)


def test_no_kind_of_work_gives_energy_back() -> None:
    """Where the best fit would be negative it is none."""
    model = WorkModel()
    dice = random.Random(4)
    for _ in range(100):
        prefill, steps = dice.uniform(0, 9000), dice.uniform(20, 130)
        model.add(STEP * steps - 0.001 * prefill, 1.0, (prefill, 0.0, 0.0, steps), 0.0)
    assert model.joules_each[0] == 0.0
    assert min(model.joules_each) >= 0


def test_what_always_comes_together_is_told_with_a_great_error() -> None:
    """One request at a time: a step is a token, and nobody can say which of them costs."""
    model = WorkModel()
    dice = random.Random(5)
    for _ in range(100):
        steps = dice.uniform(50, 100)
        model.add(1.7 * steps, 1.0, (0.0, steps, 0.0, steps), 0.0)
    prefill, decode, _, step = model.estimates()
    assert prefill is None
    assert decode is not None
    assert step is not None
    assert decode.value + step.value == pytest.approx(1.7, rel=0.01)
    apart = taught_apart()
    assert decode.error > 20 * apart


def taught_apart() -> float:
    model = WorkModel()
    taught(model, 100)
    estimate = model.estimates()[1]
    assert estimate is not None
    return estimate.error


def test_its_residual_is_how_far_it_was_off() -> None:
    """Of blocks that it had not seen yet, as a share of their energy."""
    model = WorkModel()
    taught(model, 500, noise=0.10)
    assert model.residual.value == pytest.approx(0.08, abs=0.02)  # mean of a normal's size


def test_idle_power_is_the_middle_of_whole_seconds_of_rest() -> None:
    """Lumps of the counter do not show in it, and seconds of unseen work hardly."""
    idle = IdlePower()
    for number in range(200):
        idle.add(20_000 if number % 2 else 0, 0.1)
    assert idle.watts == pytest.approx(100.0)
    for _ in range(90):
        idle.add(40_000, 0.1)
    assert idle.watts == pytest.approx(100.0)
    assert idle.estimate is not None


def test_idle_power_is_not_known_before_three_seconds_of_one_rest() -> None:
    """Moments between requests are none, nor is the first second, of high clocks."""
    idle = IdlePower()
    for _ in range(100):
        idle.add(10_000, 0.1)
        idle.broken()
    for _ in range(10):
        idle.add(50_000, 0.1)
    for _ in range(29):
        idle.add(10_000, 0.1)
    assert idle.watts is None
    idle.add(10_000, 0.1)
    assert idle.watts == pytest.approx(100.0)


def test_where_there_is_no_rest_idle_power_is_fitted_if_it_can_be() -> None:
    """Of intervals that are at work for a part of their time."""
    model = WorkModel()
    dice = random.Random(6)
    for _ in range(100):
        steps = dice.uniform(5, 120)
        model.add(15 * (90.0 + STEP * steps), 15.0, (0.0, 0.0, 0.0, 15 * steps), None)
    assert model.idle_watts is not None
    assert model.idle_watts.value == pytest.approx(90.0, rel=0.02)
    assert model.joules_each[3] == pytest.approx(STEP, rel=0.02)


def test_where_work_never_changes_idle_power_is_not_made_up() -> None:
    """A step every 10 ms all the time: it may be idle power as well as work."""
    model = WorkModel()
    dice = random.Random(7)
    for _ in range(100):
        steps = dice.gauss(100, 0.5)
        joules = 90.0 + STEP * steps + dice.gauss(0, 5)
        model.add(joules, 1.0, (0.0, 0.0, 0.0, steps), None)
    assert model.idle_watts is None
    assert model.joules_each[3] == pytest.approx(STEP + 0.9, rel=0.02)
