"""Which pod is attached to next, and what is said of the others."""

from datetime import UTC, datetime, timedelta

import pytest
from attach_world import RECORD
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.names import Reason
from sidelight_operator.attach.plan import Attached, Candidate, Why, plan, why_not_tapped
from sidelight_operator.attach.taps import Tap, TapState

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RUNNING = Tap(RECORD, TapState.RUNNING)
STARTING = Tap(RECORD, TapState.STARTING)
TOLD_TO_END = Tap(RECORD, TapState.ENDED, message="no longer selected")
FAILED = Tap(RECORD, TapState.ENDED, failed=True, message="not allowed to read packets")


def candidate(name: str, *, serving: bool = True, age: int = 0) -> Candidate:
    return Candidate(name, f"uid-{name}", NOON - timedelta(hours=age), serving, RECORD)


def attached(name: str, tap: Tap) -> Attached:
    return Attached(name, f"uid-{name}", tap)


def test_the_oldest_pod_that_serves_is_first_and_the_others_wait() -> None:
    """One at a time; the one that is not Ready waits for that."""
    pods = [candidate("b"), candidate("a", age=1), candidate("old", age=9, serving=False)]
    made = plan(pods, [], set())
    assert made.next is not None
    assert made.next.name == "a"
    assert made.why["uid-a"].reason is Reason.TAP_STARTING
    assert made.why["uid-b"].reason is Reason.ATTACH_PENDING
    assert "a is next" in made.why["uid-b"].message
    assert "not Ready" in made.why["uid-old"].message


@pytest.mark.parametrize(("tap", "answers"), [(STARTING, False), (RUNNING, False)])
def test_the_next_one_waits_until_the_tap_before_it_answers(tap: Tap, answers: bool) -> None:
    """Not started, or running and not (yet) to be reached."""
    before = [attached("first", tap)]
    made = plan([candidate("b")], before, {"uid-first"} if answers else set())
    assert made.next is None
    assert "the tap of first does not answer yet" in made.why["uid-b"].message


@pytest.mark.parametrize("tap", [RUNNING, TOLD_TO_END])
def test_it_goes_on_when_the_tap_before_answers_or_was_told_to_end(tap: Tap) -> None:
    """An ended one that did not fail is no reason to stop."""
    made = plan([candidate("b")], [attached("first", tap)], {"uid-first"})
    assert made.next is not None


def test_a_tap_that_failed_is_the_last_one() -> None:
    """The others say which it was, and why."""
    made = plan([candidate("b")], [attached("first", FAILED), attached("c", RUNNING)], {"uid-c"})
    assert made.next is None
    why = made.why["uid-b"]
    assert why.reason is Reason.ATTACH_HALTED
    assert "first failed: not allowed to read packets" in why.message


def test_a_refusal_halts_the_others_too() -> None:
    """The API server would say the same of the next."""
    refusal = Why(Reason.ATTACH_REFUSED, "403 policy x")
    made = plan([candidate("a"), candidate("b")], [], set(), refused={"uid-a": refusal})
    assert made.next is None
    assert made.why["uid-a"] == refusal
    assert made.why["uid-b"].reason is Reason.ATTACH_HALTED
    assert "403 policy x" in made.why["uid-b"].message


def test_a_refusal_of_a_pod_that_is_gone_halts_nobody() -> None:
    """Its pod was restarted: the next one is tried."""
    refusal = Why(Reason.ATTACH_REFUSED, "403 policy x")
    assert plan([candidate("b")], [], set(), refused={"uid-gone": refusal}).next is not None


@pytest.mark.parametrize(
    ("tap", "reason", "says"),
    [
        (STARTING, Reason.TAP_STARTING, "does not run yet"),
        (FAILED, Reason.TAP_ENDED, "not allowed to read packets"),
        (TOLD_TO_END, Reason.TAP_ENDED, "restart the pod a"),
    ],
)
def test_a_tap_that_does_not_run_is_a_reason(tap: Tap, reason: Reason, says: str) -> None:
    """With its own words; one that runs is none."""
    why = why_not_tapped("a", tap)
    assert why is not None
    assert why.reason is reason
    assert says in why.message
    assert why_not_tapped("a", RUNNING) is None


taps = st.sampled_from([RUNNING, STARTING, TOLD_TO_END, FAILED])


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=5),
    st.lists(st.tuples(taps, st.booleans()), max_size=5),
)
def test_never_two_at_once_and_no_pod_without_a_word(
    waiting: list[tuple[bool, int]], there: list[tuple[Tap, bool]]
) -> None:
    """Whatever the pods are; and the same whatever their order."""
    pods = [candidate(f"c{n}", serving=s, age=age) for n, (s, age) in enumerate(waiting)]
    with_tap = [attached(f"t{n}", tap) for n, (tap, _) in enumerate(there)]
    answering = {f"uid-t{n}" for n, (_, answers) in enumerate(there) if answers}
    made = plan(pods, with_tap, answering)
    assert set(made.why) == {pod.uid for pod in pods}
    assert made == plan(pods[::-1], with_tap[::-1], answering)
    if made.next is not None:
        assert made.next.serving
        for pod in with_tap:
            assert not pod.tap.failed
            assert pod.tap.state is TapState.ENDED or pod.uid in answering
