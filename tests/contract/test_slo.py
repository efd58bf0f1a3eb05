"""Counts of good and bad requests: exact in any order, bounded, and of one set of thresholds."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.slo import RINGS, SLOS, SloCount, SloHistory, SloSettings, add

DAY = 86_400
NOW = 1_800_000_000
requests = st.lists(
    st.tuples(st.integers(NOW - DAY, NOW), st.sampled_from(SLOS), st.booleans()), max_size=20
)


def history(what: list[tuple[int, str, bool]]) -> SloHistory:
    made = SloHistory()
    for at, name, good in what:
        made.take(at, {name: SloCount(good, not good)})
    made.forget(NOW)
    return made


def shown(what: SloHistory) -> object:
    return msgspec.to_builtins({length: ring for length, ring in what.rings.items() if ring})


def together(*parts: SloHistory) -> SloHistory:
    whole = SloHistory()
    for part in parts:
        whole.merge(part)
    return whole


@given(requests, requests, requests)
def test_histories_add_up_in_any_order_and_grouping(a, b, c):
    """What one sidecar would have counted, three count together."""
    one = together(together(history(a), history(b)), history(c))
    other = together(history(c), together(history(b), history(a)))
    assert shown(one) == shown(other) == shown(history(sorted(a + b + c)))


@given(requests, requests, requests)
def test_what_is_taken_out_of_a_history_leaves_the_rest(a, b, c):
    """As if only the rest had been counted; the whole is not touched."""
    whole, parts = history(sorted(a + b + c)), [history(sorted(a)), history(sorted(b))]
    before = shown(whole)
    assert shown(whole.without(parts)) == shown(history(sorted(c)))
    assert shown(whole) == before
    assert shown(together(whole.without(parts), *parts)) == before


def test_more_than_there_was_cannot_be_taken_out():
    """A sidecar that tells nonsense makes no negative counts."""
    small, large = history([(NOW, "e2e", True)]), history([(NOW, "e2e", True)] * 3)
    assert not any(small.without([large, large]).rings.values())


@given(requests)
def test_a_ring_holds_its_span_and_nothing_that_is_older(what):
    """To within a slice: the last 290 to 300 seconds, 59 to 60 minutes, 23.75 to 24 hours."""
    made = history(sorted(what))
    for length, most in RINGS.items():
        inside = [1 for at, _, _ in what if at // length > NOW // length - most]
        counts = made.over(length, NOW)
        assert sum(count.requests for count in counts.values()) == len(inside)


def test_a_full_history_is_small_and_survives_the_wire():
    """Some 20 kB, whatever the traffic."""
    made = SloHistory()
    every = {name: SloCount(999_999, 999_999) for name in SLOS}
    for second in range(0, 2 * DAY, 5):
        made.take(NOW + second, every)
    body = msgspec.json.encode(made)
    assert [len(ring) for ring in made.rings.values()] == list(RINGS.values())
    assert len(body) < 30_000
    assert shown(msgspec.json.decode(body, type=SloHistory)) == shown(made)


def test_what_is_no_objective_is_not_added():
    """A sidecar of another release cannot fill the controller's memory with names."""
    mine: dict[str, SloCount] = {}
    add(mine, {"made up": SloCount(5, 5), "e2e": SloCount(1, 2)})
    assert mine == {"e2e": SloCount(1, 2)}


def test_the_revision_is_of_what_judges_and_not_of_the_objective():
    """To want 99.9 % of the same instead of 99 % forgets nothing."""
    one = SloSettings(ttft=0.5, errors=["timeout", "overloaded"])
    same = SloSettings(ttft=0.5, errors=["overloaded", "timeout"], objective=0.999)
    assert one.revision == same.revision
    assert len({one.revision, SloSettings(tpot=0.5).revision, SloSettings(ttft=1).revision}) == 3


def test_what_is_said_of_the_future_is_not_kept():
    """A sidecar whose clock is wrong by years leaves nothing behind for ever."""
    made = SloHistory()
    for years in (0, 1, 9):
        made.take(NOW + years * 365 * DAY, {"e2e": SloCount(1, 0)})
    other = SloHistory()
    other.take(NOW, {"e2e": SloCount(1, 0)})
    made.merge(other)
    made.forget(NOW)
    assert shown(made) == shown(other)
