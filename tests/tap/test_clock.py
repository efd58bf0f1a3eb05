"""Times of day become monotonic times, whatever happens to the time of day."""

from __future__ import annotations

from sidelight_sidecar.tap.clock import Clock


class Clocks:
    """Both clocks, and how long a look at one takes."""

    def __init__(self) -> None:
        self.monotonic = 1_000_000_000
        self.day = 1_700_000_000_000_000_000
        self.costs: list[int] = []

    def pass_ns(self, ns: int) -> None:
        self.monotonic += ns
        self.day += ns

    def read_monotonic(self) -> int:
        self.pass_ns(self.costs.pop(0) if self.costs else 0)
        return self.monotonic

    def read_day(self) -> int:
        return self.day


def test_time_of_a_packet_is_that_of_the_other_clock() -> None:
    """As long ago, by the monotonic clock."""
    clocks = Clocks()
    clock = Clock(clocks.read_monotonic, clocks.read_day)
    stamp = clocks.day
    clocks.pass_ns(5_000_000)
    assert clock.read() == 1_005_000_000
    assert clock.monotonic(stamp) == 1_000_000_000


def test_step_of_the_time_of_day_moves_only_what_was_read_late() -> None:
    """The next batch is right again, and nothing lies in the future."""
    clocks = Clocks()
    clock = Clock(clocks.read_monotonic, clocks.read_day)
    before = clocks.day
    clocks.day -= 3_600_000_000_000
    clocks.pass_ns(10)
    assert clock.monotonic(before + 50) == 1_000_000_000, "not before the clock was read again"
    clock.read()
    assert clock.monotonic(before) == 1_000_000_010, "an hour ahead: as late as can be"
    assert clock.monotonic(clocks.day - 4) == 1_000_000_006


def test_look_that_was_interrupted_is_repeated() -> None:
    """The closest of some tries counts."""
    clocks = Clocks()
    clocks.costs = [0, 9_000_000, 0, 1_000, 0]
    clock = Clock(clocks.read_monotonic, clocks.read_day)
    assert clock.monotonic(clocks.day) in range(clocks.monotonic - 1_000, clocks.monotonic + 1)
    clocks.costs = [0, *[9_000_000] * 20]
    clock.read()
    assert clocks.costs, "not for ever"
