"""When rounds are due, and what waits for the pipe."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.nvml.library import EndError
from sidelight_sidecar.nvml.outbox import Outbox
from sidelight_sidecar.nvml.queries import CLOCK_EVENTS, clock_events
from sidelight_sidecar.nvml.rounds import next_round
from sidelight_sidecar.nvml.words import BEAT_SECONDS, ROWS_SECONDS, Outcome


class Clock:
    """Seconds that are moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def outbox(**expected: Any) -> tuple[Outbox, Clock]:
    """With room for two devices at ten samples a second."""
    clock = Clock()
    box = Outbox(clock)
    box.expect(**({"devices": 2, "fast_seconds": 0.1, "slow_seconds": 1.0} | expected))
    return box, clock


def kinds(lines: list[Any]) -> list[str]:
    """Of lines, in their order."""
    return [line["kind"] for line in lines]


@given(st.integers(0, 2**60), st.integers(-(10**9), 10**12), st.integers(1, 10**10))
def test_the_next_round_keeps_to_its_times(due: int, late: int, period: int) -> None:
    """Some whole periods after the one before, not past, and not a period later than it must be."""
    now = due + late
    following = next_round(due, now, period)
    assert (following - due) % period == 0
    assert following > due
    assert following >= now
    assert following - period < max(now, due + 1)


@given(st.sets(st.sampled_from(sorted(CLOCK_EVENTS))), st.sets(st.integers(9, 63)))
def test_every_bit_of_what_holds_the_clocks_has_a_word(known: set[int], others: set[int]) -> None:
    """Also those that have none yet."""
    words = clock_events(sum(known) + sum(1 << bit for bit in others))
    assert set(words) == {CLOCK_EVENTS[bit] for bit in known} | {f"bit_{bit}" for bit in others}
    assert len(words) == len(set(words))


def test_rows_that_nobody_takes_give_way_to_newer_ones() -> None:
    """Of so many seconds; how many went is told once."""
    box, _ = outbox()
    room = round(2 * ROWS_SECONDS / 0.1)
    for at in range(room + 7):
        box.add((0, at, {}), fast=True)
    box.add((1, 5, {}), fast=False)
    (line,), last = box.take()
    assert (line["fast"][0][1], len(line["fast"]), line["dropped"]) == (7, room, 7)
    assert line["slow"] == [(1, 5, {})]
    assert not last
    box.add((0, 999, {}), fast=True)
    (line,), _ = box.take()
    assert line["dropped"] == 0


def test_lines_come_in_their_order() -> None:
    """Who there is, what was read, what happened, the end."""
    box, _ = outbox()
    box.tell({"kind": "xid"})
    box.add((0, 1, {}), fast=True)
    box.end(EndError(Outcome.DEVICES_LOST, "GPU is lost", 15))
    box.greet({"kind": "hello"})
    lines, last = box.take()
    assert kinds(lines) == ["hello", "samples", "xid", "end"]
    assert lines[-1] == {
        "kind": "end",
        "outcome": "devices_lost",
        "code": 15,
        "text": "GPU is lost",
    }
    assert last


def test_the_first_reason_to_end_is_heard() -> None:
    """What follows from it is none."""
    box, _ = outbox()
    box.end(EndError(Outcome.DRIVER_RESET))
    box.end(EndError(Outcome.FAILED))
    assert box.take()[0][-1]["outcome"] == "driver_reset"


def test_a_storm_of_errors_takes_no_memory() -> None:
    """Nobody reads, and a device has error after error."""
    box, _ = outbox()
    for xid in range(5000):
        box.tell({"kind": "xid", "device": 0, "xid": xid})
    lines, _ = box.take()
    assert len(lines) == 1000


def test_a_sign_of_life_only_where_there_is_nothing_else() -> None:
    """So often that its absence means something."""
    box, clock = outbox()
    assert box.take()[0] == []
    clock.now = BEAT_SECONDS
    assert kinds(box.take()[0]) == ["beat"]
    assert box.take()[0] == []
    clock.now += BEAT_SECONDS / 2
    box.add((0, 1, {}), fast=True)
    assert kinds(box.take()[0]) == ["samples"]
    clock.now += BEAT_SECONDS / 2
    assert box.take()[0] == []


def test_news_wakes_whoever_writes() -> None:
    """Rows wait for the next time, errors do not."""
    box, _ = outbox()
    box.add((0, 1, {}), fast=True)
    assert not box.changed.is_set()
    box.tell({"kind": "xid"})
    assert box.changed.is_set()
    box.take()
    assert not box.changed.is_set()
