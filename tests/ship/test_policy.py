"""When a batch goes, and what follows from how that went."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.capture.ship.policy import (
    TRIES_TO_OPEN,
    Delivery,
    Outcome,
    Plan,
    ShipPolicy,
    ShipSettings,
)

SETTINGS = ShipSettings(most=10, most_bytes=1000, linger_seconds=5.0)
LATER = Delivery(Outcome.LATER, "status 503")
REFUSED = Delivery(Outcome.REFUSED, "status 413")


def policy(chance: float = 1.0) -> ShipPolicy:
    return ShipPolicy(SETTINGS, lambda: chance)


def plan(
    of: ShipPolicy,
    now: float = 100.0,
    *,
    waiting: int = 1,
    size: int = 1,
    waited: float = 0.0,
    draining: bool = False,
) -> Plan:
    return of.plan(now, waiting=waiting, size=size, waited=waited, draining=draining)


@pytest.mark.parametrize(
    "now",
    [{"waiting": 10}, {"size": 1000}, {"waited": 5.0}, {"draining": True}],
    ids=["as many as a batch", "as large as a batch", "long enough", "the end is near"],
)
def test_a_batch_goes_at_once_when(now: dict[str, int]):
    """Any of them does."""
    assert plan(policy(), **now) == Plan(10, 1000)


def test_otherwise_it_waits_for_more_until_the_oldest_has_waited_enough():
    """Three seconds of five are over."""
    assert plan(policy(), waited=3.0) == Plan(0, 0, 2.0)


def test_nothing_is_sent_where_nothing_waits():
    """Not even at the end."""
    assert plan(policy(), waiting=0, draining=True).most == 0


def test_failures_are_followed_by_longer_and_longer_waits_up_to_a_limit():
    """1, 2, 4, ... seconds at the longest draw, 60 at most; success begins anew."""
    one, waits = policy(), []
    for _ in range(9):
        one.failed(100.0, LATER)
        waits.append(plan(one, waited=9.0).wait_seconds)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert one.why == "status 503"
    one.delivered()
    assert plan(one, waited=9.0).most
    assert one.why == ""


def test_pods_that_failed_together_do_not_come_back_together():
    """The moment is drawn from the whole wait."""
    early, late = policy(0.1), policy(0.9)
    for one in (early, late):
        one.failed(100.0, LATER)
    assert plan(early, waited=9.0).wait_seconds == pytest.approx(0.1)
    assert plan(late, waited=9.0).wait_seconds == pytest.approx(0.9)


@pytest.mark.parametrize(("asked", "wait"), [(20.0, 20.0), (10_000.0, 60.0), (-5.0, 1.0)])
def test_a_sink_that_says_when_is_obeyed_within_reason(asked: float, wait: float):
    """A sink may not send us away for a week."""
    one = policy()
    one.failed(100.0, LATER._replace(after_seconds=asked))
    assert plan(one, waited=9.0).wait_seconds == wait


def test_a_sink_that_is_down_is_tried_with_single_records():
    """Until one goes through; then with more and more."""
    one = policy(0.0)
    for _ in range(TRIES_TO_OPEN):
        assert not one.open
        one.failed(100.0, LATER, 10)
    assert one.open
    mosts = []
    for _ in range(5):
        mosts.append(plan(one, waiting=10, waited=9.0).most)
        one.delivered()
    assert mosts == [1, 2, 4, 8, 10]


def test_a_batch_that_fails_is_tried_whole_at_first_and_then_in_halves():
    """A restart is over by then; a record that the sink falls over is found."""
    one, sent, mosts = policy(0.0), 10, []
    for _ in range(5):
        one.failed(100.0, LATER, sent)
        sent = plan(one, waiting=10, waited=9.0).most
        mosts.append(sent)
    assert mosts == [10, 10, 5, 2, 1]


def test_at_the_end_there_is_no_wait_for_a_try():
    """The sink may be back for long."""
    one = policy()
    one.failed(100.0, LATER)
    assert plan(one, draining=True).wait_seconds == 1.0
    one.hurry()
    assert plan(one, draining=True).most


@given(st.integers(1, 64), st.data())
def test_one_bad_record_is_found_and_given_up_alone(count: int, data: st.DataObject):
    """All others go through, in their order, and it takes few tries."""
    bad = data.draw(st.integers(0, count - 1))
    one = ShipPolicy(ShipSettings(most=64), lambda: 0.0)
    waiting, sent, tries = list(range(count)), [], 0
    while waiting:
        batch = waiting[: plan(one, waiting=len(waiting), waited=9.0).most]
        tries += 1
        if bad not in batch:
            sent += batch
            one.delivered()
        elif not one.refused(len(batch), REFUSED):
            continue
        waiting = waiting[len(batch) :]
    assert sent == [number for number in range(count) if number != bad]
    assert tries <= 40
