"""Which reads of an exporter are new figures: an exporter that is read more often than it collects
must not dilute what a device took.
"""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from devices import ONE, SECOND, TWO, sample
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.accelerators.exporter_pace import MAX_DEVICES, SAME_SECONDS, Pace
from sidelight_sidecar.observer.accelerators.source import Device, Sample

PART = dataclasses.replace(ONE, uuid=f"{ONE.uuid}/7", parent=ONE.uuid, instance="7", shared=True)


def test_what_was_told_already_is_not_told_again() -> None:
    """Read every 5 s, collected every 15 s: every third read is new."""
    pace = Pace()
    told = [pace.new([sample(at, energy_joules=at // 15 * 1500.0)]) for at in range(0, 60, 5)]
    assert [bool(new) for new in told] == [True, False, False] * 4
    assert pace.period_seconds == 15.0


def test_power_from_the_samples_is_the_devices_own() -> None:
    """300 W all the time: no interval between samples says anything else."""
    pace = Pace()
    given: list[Sample] = []
    for at in range(3, 300, 5):  # the exporter collects at 0, 30, 60, ... and takes 300 J/s
        given += pace.new([sample(at, energy_joules=at // 30 * 30 * 300.0, power_watts=300.0)])
    watts = [
        ((b.energy_joules or 0) - (a.energy_joules or 0)) / ((b.at_ns - a.at_ns) / SECOND)
        for a, b in itertools.pairwise(given)
    ]
    assert len(watts) == 9
    assert all(watt == 300.0 for watt in watts)


def test_figures_that_are_worked_out_at_each_read_are_no_new_collection() -> None:
    """Shares by process change; the counter says that nothing was collected."""
    pace = Pace()
    assert pace.new([sample(0, energy_joules=1.0, utilization=0.5)])
    assert not pace.new([sample(5, energy_joules=1.0, utilization=0.6)])


def test_a_counter_that_stands_still_while_the_rest_moves_is_none() -> None:
    """A broken counter must not keep everything else away, and its zero joules are not told."""
    pace = Pace()
    assert pace.new([sample(0, energy_joules=8.0, power_watts=1.0)])
    assert not pace.new([sample(30, energy_joules=8.0, power_watts=2.0)])
    (new,) = pace.new([sample(SAME_SECONDS, energy_joules=8.0, power_watts=3.0)])
    assert (new.energy_joules, new.power_watts) == (None, 3.0)
    (next_one,) = pace.new([sample(65, energy_joules=8.0, power_watts=4.0)])
    assert next_one.energy_joules is None
    assert not pace.new([sample(70, energy_joules=8.0, power_watts=4.0)])
    (moved,) = pace.new([sample(75, energy_joules=9.0, power_watts=4.0)])
    assert moved.energy_joules == 9.0


def test_an_exporter_that_hangs_gives_nothing_for_as_long_as_it_does() -> None:
    """Everything stands still, the counter, too: a device that is on is not like that."""
    pace = Pace()
    assert pace.new([sample(0, energy_joules=8.0, power_watts=70.0)])
    assert not any(
        pace.new([sample(at, energy_joules=8.0, power_watts=70.0)]) for at in range(5, 600, 5)
    )


def test_without_a_counter_the_same_for_long_is_told_again() -> None:
    """A device without work may well do the same for a minute."""
    pace = Pace()
    told = [bool(pace.new([sample(at, utilization=0.0)])) for at in range(0, 130, 10)]
    assert told == [at % 60 == 0 for at in range(0, 130, 10)]


def test_without_a_counter_any_change_is_new() -> None:
    """There is nothing else to go by."""
    pace = Pace()
    assert pace.new([sample(0, utilization=0.0, throttled_seconds={"idle": 1.0})])
    assert pace.new([sample(5, utilization=0.0, throttled_seconds={"idle": 2.0})])
    assert not pace.new([sample(10, utilization=0.0, throttled_seconds={"idle": 2.0})])


def test_a_counter_that_fell_is_passed_on() -> None:
    """The driver began anew; whoever takes differences looks out for it."""
    pace = Pace()
    assert pace.new([sample(0, energy_joules=9000.0)])
    (new,) = pace.new([sample(5, energy_joules=1.0)])
    assert new.energy_joules == 1.0


def test_a_counter_that_went_away_leaves_the_rest() -> None:
    """A device that fell off the bus has blanks for figures."""
    pace = Pace()
    assert pace.new([sample(0, energy_joules=9000.0, last_xid=0)])
    assert pace.new([sample(5, last_xid=79)])


def test_instances_go_with_their_device() -> None:
    """One of them may be idle, and its own figures the same; what was collected is all of it."""
    pace = Pace()
    other = dataclasses.replace(PART, uuid=f"{ONE.uuid}/8", instance="8")

    def read(at: int, joules: float) -> list[Sample]:
        return [
            sample(at, PART, energy_joules=joules, sm_active=0.0),
            sample(at, other, energy_joules=joules, sm_active=joules / 100),
        ]

    assert len(pace.new(read(0, 1.0))) == 2
    assert len(pace.new(read(5, 2.0))) == 2
    assert pace.new(read(10, 2.0)) == []


def test_devices_are_new_each_for_itself() -> None:
    """A read can come while the exporter has collected one of them."""
    pace = Pace()
    pace.new([sample(0, ONE, energy_joules=1.0), sample(0, TWO, energy_joules=1.0)])
    new = pace.new([sample(5, ONE, energy_joules=2.0), sample(5, TWO, energy_joules=1.0)])
    assert [s.device for s in new] == [ONE]


def test_the_period_is_not_known_after_one_read() -> None:
    """And after two it is."""
    pace = Pace()
    assert pace.period_seconds == 0.0
    pace.new([sample(0, energy_joules=1.0)])
    assert pace.period_seconds == 0.0
    pace.new([sample(10, energy_joules=2.0)])
    assert pace.period_seconds == 10.0


@pytest.mark.parametrize("period", [1, 5, 15, 30, 60])
def test_the_period_comes_out_although_reads_are_late(period: int) -> None:
    """Within an eighth of a read's distance; never below that distance itself."""
    pace = Pace()
    for at in range(2, 900, 5):
        pace.new([sample(at, energy_joules=float(at // period))])
    assert pace.period_seconds == pytest.approx(max(period, 5), abs=5 / 8)


def test_devices_that_come_and_go_are_forgotten() -> None:
    """A pod has the same ones all its life; an exporter may invent others."""
    pace = Pace()
    for n in range(3 * MAX_DEVICES):
        pace.new([sample(n, Device(f"GPU-{n}", "0"), energy_joules=1.0)])
    assert len(pace._last) <= MAX_DEVICES + 1


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3)), max_size=60))
def test_energy_is_conserved_whatever_is_left_out(steps: list[tuple[int, int]]) -> None:
    """The differences between samples add up to that between the first and the last that moved."""
    pace, at, joules = Pace(), 0, 100.0
    told = pace.new([sample(at, energy_joules=joules)])
    for seconds, more in steps:
        at, joules = at + seconds, joules + more
        told += pace.new([sample(at, energy_joules=joules)])
    counter = [s.energy_joules or 0.0 for s in told]
    assert counter[-1] - counter[0] == joules - 100.0
    assert sorted(set(counter)) == counter
