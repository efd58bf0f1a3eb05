"""From samples to intervals: means over time, no gap filled, counters that begin anew."""

from __future__ import annotations

from itertools import pairwise

import pytest
from devices import ONE, SECOND, TWO, sample
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.accelerators.intervals import (
    MAX_DEVICES,
    Intervals,
    held_between,
)
from sidelight_sidecar.observer.accelerators.source import Device


def test_ten_samples_a_second_are_one_interval_of_their_mean() -> None:
    """None of them is lost, and none weighs more than its time."""
    intervals = Intervals()
    samples = [sample(n / 10, utilization=1.0 if n in (3, 4) else 0.5) for n in range(11)]
    (one,) = intervals.add(samples, 0.1)
    assert (one.since_ns, one.until_ns) == (0, 9 * SECOND // 10)
    assert one.utilization == pytest.approx((7 * 0.5 + 2 * 1.0) / 9)
    assert one.sm_active is None


def test_a_slow_source_gives_an_interval_for_each_two_samples() -> None:
    """The later one tells of the time between; devices are kept apart."""
    intervals = Intervals()
    assert intervals.add([sample(0, power_watts=100.0), sample(0, TWO)], 15.0) == []
    found = intervals.add([sample(15, power_watts=300.0), sample(15, TWO)], 15.0)
    assert [(one.device, one.power_watts) for one in found] == [(ONE, 300.0), (TWO, None)]
    assert {one.span_ns for one in found} == {15 * SECOND}


def test_a_gap_is_no_interval() -> None:
    """Nothing is known of the time in which the source was silent."""
    intervals = Intervals()
    assert intervals.add([sample(0), sample(0.5), sample(20), sample(20.5)], 0.1) == []
    (one,) = intervals.add([sample(21)], 0.1)
    assert (one.since_ns, one.until_ns) == (20 * SECOND, 21 * SECOND)


def test_a_sample_that_is_not_later_is_none() -> None:
    """Time does not go back, and what is open goes on."""
    intervals = Intervals()
    (one,) = intervals.add([sample(5), sample(4), sample(5), sample(6)], 0.1)
    assert (one.since_ns, one.until_ns) == (5 * SECOND, 6 * SECOND)


def test_counters_of_held_time_are_used_where_samples_are_far_apart() -> None:
    """Else what was said at each sample; set clocks and idleness hold nothing down."""
    before = sample(0, throttled_seconds={"sw_thermal": 5.0, "idle": 1.0, "sw_power_cap": 9.0})
    after = sample(
        2, throttled_seconds={"sw_thermal": 5.5, "idle": 3.0, "sw_power_cap": 0.1},
        clock_events=frozenset({"hw_slowdown"}),
    )  # fmt: skip
    assert held_between(before, after) == {"sw_thermal": SECOND // 2}
    events = sample(3, clock_events=frozenset({"hw_slowdown", "applications_clocks"}))
    assert held_between(after, events) == {"hw_slowdown": SECOND}
    assert held_between(after, sample(3, clock_events=frozenset())) == {}
    newer = sample(1, clock_events=frozenset({"bit_9", "sw_thermal"}))
    assert held_between(before, newer) == {"sw_thermal": SECOND}, "nobody knows what it means"
    assert held_between(before, sample(1)) is None
    close = sample(1, throttled_seconds={"sw_thermal": 5.5}, clock_events=frozenset())
    assert held_between(before, close) == {}


def test_counters_that_are_read_more_rarely_than_the_rest_lose_nothing() -> None:
    """They stand still, then grow by more than the time between two samples."""
    intervals = Intervals()
    (one,) = intervals.add(
        [
            sample(n / 10, throttled_seconds={"sw_thermal": 0.7 if n > 4 else 0.1})
            for n in range(10)
        ],
        0.1,
    )
    assert one.held_ns == {"sw_thermal": round(0.6 * SECOND)}
    more = [sample(n, throttled_seconds={"sw_thermal": 9.0 * n}) for n in range(2)]
    (one,) = Intervals().add(more, 1.0)
    assert one.held_ns == {"sw_thermal": SECOND}


def test_held_time_is_added_up_over_the_samples_of_an_interval() -> None:
    """By reason; the share is that of the one that held longest."""
    intervals = Intervals()
    (one,) = intervals.add(
        [
            sample(n / 4, clock_events=frozenset({"sw_power_cap"} if n in (1, 2) else ()))
            for n in range(5)
        ],
        0.25,
    )
    assert one.held_ns == {"sw_power_cap": SECOND // 2}
    assert one.held_share == pytest.approx(0.5)


def test_no_more_devices_are_followed_than_a_node_has() -> None:
    """An exporter that makes up devices takes no memory."""
    intervals = Intervals()
    for second in (0, 1):
        found = intervals.add(
            [sample(second, Device(f"GPU-{n}", str(n))) for n in range(MAX_DEVICES + 9)], 0.1
        )
    assert len(found) == MAX_DEVICES


@given(st.lists(st.integers(0, 200 * SECOND), max_size=30), st.floats(0, 60))
def test_intervals_follow_one_another_and_never_overlap(times: list[int], period: float) -> None:
    """In whatever order samples come."""
    found = Intervals().add([sample(at / SECOND, utilization=0.5) for at in times], period)
    for one, next_one in pairwise(found):
        assert one.since_ns < one.until_ns <= next_one.since_ns
