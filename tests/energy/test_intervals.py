"""From samples to intervals: what devices counted, no more and no less."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.accelerators.source import Device, Sample
from sidelight_sidecar.observer.energy.intervals import GONE_NS, STEP_NS, Interval, Meter

SECOND = 1_000_000_000
FIRST = Device("GPU-1", "0")
SECOND_DEVICE = Device("GPU-2", "1")


def sample(
    at: float, joules: float | None = None, watts: float | None = None, device: Device = FIRST
) -> Sample:
    return Sample(
        device, 100 * SECOND + round(at * SECOND), power_watts=watts, energy_joules=joules
    )


def told(meter: Meter, *samples: Sample) -> list[tuple[float, float, int]]:
    return [
        ((i.since_ns - 100 * SECOND) / 1e9, (i.until_ns - 100 * SECOND) / 1e9, i.millijoules)
        for i in meter.take(samples)
    ]


def test_a_counter_that_is_read_ten_times_a_second_gives_an_interval_for_each_step() -> None:
    """Between two reads it is on the straight line."""
    meter = Meter()
    found = told(meter, *(sample(0.05 + n / 10, 1000 + 10 * n) for n in range(4)))
    assert found == [
        (pytest.approx(0.1), pytest.approx(0.2), 10_000),
        (pytest.approx(0.2), pytest.approx(0.3), 10_000),
    ]
    assert meter.tail_mj == 5_000
    assert meter.device_mj == 25_000


def test_a_gap_makes_one_long_interval_and_invents_nothing_within() -> None:
    """Fifteen seconds without a sample are one interval of fifteen seconds."""
    meter = Meter()
    samples = [sample(0.0, 1000), sample(0.1, 1010), sample(15.0, 5000), sample(15.1, 5010)]
    found = told(meter, *samples)
    assert found == [(0.0, 0.1, 10_000), (0.1, 15.0, 3_990_000), (15.0, 15.1, 10_000)]


def test_samples_that_are_always_far_apart_give_long_intervals() -> None:
    """As an exporter is read: every 15 s, a little off the steps."""
    meter = Meter()
    found = told(meter, *(sample(15.03 * n, 1000 + 3006 * n) for n in range(4)))
    assert [round(until - since, 1) for since, until, _ in found] == [15.1, 15.0]
    assert meter.device_mj == sum(mj for _, _, mj in found) + meter.tail_mj


def test_two_devices_are_added_up_on_common_steps() -> None:
    """Though they are never read at the same time."""
    meter = Meter()
    samples = [
        one
        for n in range(12)
        for one in (
            sample(n / 10, 1000 + 10 * n),
            sample(n / 10 + 0.03, 500 + 20 * n, device=SECOND_DEVICE),
        )
    ]
    found = told(meter, *samples)
    assert {mj for _, _, mj in found} == {30_000}
    assert found[0][0] == pytest.approx(0.1)
    assert found[-1][1] == pytest.approx(1.1)


def test_a_counter_that_began_anew_says_nothing_of_that_time() -> None:
    """A smaller value is no negative energy, and what is before it is not known."""
    meter = Meter()
    intervals = list(
        meter.take([sample(0.0, 1000), sample(0.1, 1010), sample(0.2, 3), sample(0.3, 13)])
    )
    assert [i.millijoules for i in intervals] == [10_000, 0, 10_000]
    assert [i.uncovered_ns for i in intervals] == [0, STEP_NS, 0]


def test_where_power_is_known_it_bridges_a_counter_that_began_anew() -> None:
    """By the trapezoid, and labelled."""
    meter = Meter()
    samples = [sample(0.0, 1000, 300), sample(0.1, 1030, 300), sample(0.2, 3, 100)]
    intervals = list(meter.take(samples))
    assert [(i.millijoules, i.integrated) for i in intervals] == [(30_000, False), (20_000, True)]


def test_without_a_counter_power_is_integrated_and_labelled() -> None:
    """The trapezoid of 100 W and 300 W is 200 W; a counter that stands at zero is none."""
    meter = Meter()
    samples = [sample(0.0, 0.0, 100), sample(0.1, 0.0, 300), sample(0.2, 0.0, 300)]
    assert [(i.millijoules, i.integrated) for i in meter.take(samples)] == [
        (20_000, True),
        (30_000, True),
    ]


def test_power_is_not_integrated_over_minutes() -> None:
    """Two figures five minutes apart say nothing of what was between them."""
    meter = Meter()
    [interval] = meter.take([sample(0.0, None, 100), sample(300.0, None, 100)])
    assert interval.millijoules == 0
    assert interval.uncovered_ns == 300 * SECOND


def test_a_counter_that_jumps_beyond_what_a_device_can_take_is_not_believed() -> None:
    """A blank sentinel, or another device under the same name."""
    meter = Meter()
    found = told(meter, sample(0.0, 1000), sample(0.1, 9.2e12), sample(0.2, 9.2e12 + 10))
    assert [mj for _, _, mj in found] == [0, 10_000]


def test_shared_devices_give_nothing() -> None:
    """Their joules are not this pod's alone."""
    shared = Device("MIG-1", "0", shared=True)
    meter = Meter()
    assert told(meter, *(sample(n / 10, 1000 + n, device=shared) for n in range(9))) == []
    assert meter.device_mj == 0
    assert meter.newest_ns == 0


def test_a_device_that_is_gone_holds_nobody_up_and_is_not_made_up_when_it_returns() -> None:
    """What it took meanwhile is in no interval."""
    meter = Meter()
    both = [sample(0.0, 1000), sample(0.0, 1000, device=SECOND_DEVICE)]
    assert told(meter, *both) == []
    gone = GONE_NS / SECOND
    steps = [n / 10 for n in range(1, round(10 * gone) + 20)]
    found = told(meter, *(sample(at, 1000 + 10 * at) for at in steps))
    assert found[-1][1] == steps[-1]
    back = steps[-1] + 0.1
    found += told(meter, sample(back, 1000 + 10 * back), sample(back, 99_000, device=SECOND_DEVICE))
    assert sum(mj for _, _, mj in found) == round(1000 * 10 * back)
    assert meter.device_mj == sum(mj for _, _, mj in found) + meter.tail_mj


TIMES = st.one_of(st.floats(0.0, 0.3), st.floats(0.0, 40.0), st.floats(-5.0, 200.0))
READS = st.lists(
    st.tuples(
        st.sampled_from([FIRST, SECOND_DEVICE, Device("GPU-3", "2")]),
        TIMES,
        st.one_of(st.none(), st.integers(-2000, 9000)),
        st.one_of(st.none(), st.floats(0, 700)),
        st.booleans(),
    ),
    max_size=60,
)


@given(READS, st.integers(1, 7))
def test_intervals_and_the_tail_are_the_counters_differences_exactly(
    reads: list[tuple[Device, float, int | None, float | None, bool]], at_once: int
) -> None:
    """Whatever counters, clocks and gaps do; they follow each other, and none is negative."""
    meter, intervals = Meter(), list[Interval]()
    at, counters = 0.0, dict.fromkeys(["GPU-1", "GPU-2", "GPU-3"], 5_000_000)
    waiting: list[Sample] = []
    for device, later, moved, watts, together in reads:
        at = max(0.0, at if together else at + later)
        counters[device.uuid] = max(1, counters[device.uuid] + (moved or 0))
        joules = counters[device.uuid] / 1000 if moved is not None else None
        waiting.append(sample(at, joules, watts, device))
        if len(waiting) >= at_once:
            intervals += meter.take(waiting)
            waiting.clear()
    intervals += meter.take(waiting)
    assert meter.device_mj == sum(i.millijoules for i in intervals) + meter.tail_mj
    assert all(i.millijoules >= 0 for i in intervals)
    assert meter.tail_mj >= 0
    for before, after in pairwise(intervals):
        assert before.until_ns == after.since_ns
    for interval in intervals:
        assert interval.since_ns % STEP_NS == interval.until_ns % STEP_NS == 0
        assert 0 <= interval.uncovered_ns <= interval.until_ns - interval.since_ns


@given(
    st.lists(st.tuples(st.integers(10_000_000, 3 * STEP_NS), st.integers(0, 90_000)), min_size=2)
)
def test_a_counter_that_only_grows_is_told_whole(moves: list[tuple[int, int]]) -> None:
    """All that it moved by since the first step, by a reckoning of the test's own."""
    meter = Meter()
    at_ns, counter_mj = 100 * SECOND, 5_000_000
    samples = [Sample(FIRST, at_ns, energy_joules=counter_mj / 1000)]
    for later, moved in moves:
        at_ns, counter_mj = at_ns + later, counter_mj + moved
        samples.append(Sample(FIRST, at_ns, energy_joules=counter_mj / 1000))
    intervals = list(meter.take(samples))
    assert sum(i.millijoules for i in intervals) + meter.tail_mj == counter_mj - 5_000_000
