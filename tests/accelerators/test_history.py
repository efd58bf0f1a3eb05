"""What held the clocks during a span of time, and what is usual."""

from __future__ import annotations

import pytest
from devices import ONE, SECOND, TWO, interval

from sidelight_sidecar.observer.accelerators.history import (
    HARDWARE_LOSS,
    MAX_ENTRIES,
    DeviceHistory,
)

GHZ = 1e9


def history(*intervals: object) -> DeviceHistory:
    """One of these."""
    made = DeviceHistory()
    for one in intervals:
        made.add(one)  # type: ignore[arg-type]
    return made


def calm(since: float, until: float, **told: object) -> object:
    """An interval in which nothing held the device."""
    return interval(since, until, **{"utilization": 1.0, "held_ns": {}, **told})  # type: ignore[arg-type]


def test_held_time_is_shared_with_the_span_that_is_asked_for() -> None:
    """By the reason that held most; usual is the share of all that is kept."""
    made = history(
        calm(0, 8, clock_hertz=2 * GHZ),
        interval(8, 10, held_ns={"sw_thermal": 2 * SECOND, "sw_power_cap": SECOND},
                 clock_hertz=1.2 * GHZ),
    )  # fmt: skip
    found = made.held(6 * SECOND, 10 * SECOND)
    assert found is not None
    assert (found.device, found.reason) == (ONE.index, "sw_thermal")
    assert found.share == pytest.approx(0.5)
    assert found.usual == pytest.approx(0.2)
    assert found.lost == pytest.approx(0.4)
    assert made.held(0, 8 * SECOND) is None


def test_the_device_that_was_held_most_is_told_of() -> None:
    """One slow device slows all that share the model."""
    made = history(
        interval(0, 1, held_ns={"sw_power_cap": SECOND // 10}),
        interval(0, 1, TWO, held_ns={"hw_thermal": SECOND}),
    )
    found = made.held(0, SECOND)
    assert found is not None
    assert (found.device, found.reason, found.lost) == (TWO.index, "hw_thermal", HARDWARE_LOSS)


def test_what_is_lost_is_not_made_up() -> None:
    """Without clocks only a hardware slowdown tells how much; a device that was never free is held
    against its highest clock.
    """
    unknown = history(interval(0, 1, held_ns={"sw_power_cap": SECOND})).held(0, SECOND)
    assert unknown is not None
    assert unknown.lost == 0
    never_free = history(
        interval(0, 1, held_ns={"sw_power_cap": SECOND}, clock_hertz=GHZ, max_clock_hertz=2 * GHZ)
    ).held(0, SECOND)
    assert never_free is not None
    assert never_free.lost == pytest.approx(0.5)


def test_a_source_that_does_not_say_is_no_evidence() -> None:
    """Neither is time of which nothing is kept."""
    assert history(interval(0, 1, utilization=1.0)).held(0, SECOND) is None
    assert history().held(0, SECOND) is None
    assert history().until_ns == 0


def test_what_is_usual_forgets_with_what_is_kept() -> None:
    """A device that was held a quarter of an hour ago, and one that is gone."""
    made = history(
        interval(0, 1, held_ns={"sw_thermal": SECOND}, clock_hertz=GHZ),
        interval(0, 1, TWO, held_ns={"sw_thermal": SECOND}),
        calm(901, 902, clock_hertz=2 * GHZ),
        interval(902, 903, held_ns={"sw_thermal": SECOND}, clock_hertz=GHZ),
    )
    found = made.held(902 * SECOND, 903 * SECOND)
    assert found is not None
    assert (found.usual, found.lost, found.usual_clock_hertz) == (0.5, 0.5, 2 * GHZ)
    assert list(made._usual) == [ONE.uuid]


def test_it_is_bounded_in_time_and_number() -> None:
    """The oldest goes first."""
    made = history(*(calm(n, n + 1) for n in range(2000)))
    assert len(made) == 901
    assert made.until_ns == 2000 * SECOND
    many = history(*(calm(n / 100, n / 100 + 0.01) for n in range(MAX_ENTRIES + 9)))
    assert len(many) == MAX_ENTRIES
