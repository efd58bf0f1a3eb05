"""What is among the slowest hundredth of its kind, lately."""

from __future__ import annotations

import random

import pytest

from sidelight_sidecar.observer.keep.slowest import ENOUGH, EVERY, MAX_KINDS, SPAN_NS, Slowest

KIND = ("llama", "chat")


def learn(slowest: Slowest, seconds: float, *, at_ns: int, count: int = ENOUGH + EVERY) -> None:
    for _ in range(count):
        slowest.learn(KIND, seconds, at_ns)


def test_it_is_the_last_hundredth_and_no_more():
    """Of a thousand more of the same kind some ten stand out."""
    chance, slowest = random.Random(3), Slowest()
    for _ in range(2000):
        slowest.learn(KIND, chance.expovariate(1.0), 0)
    out = sum(slowest.is_slowest(KIND, chance.expovariate(1.0)) for _ in range(10_000))
    assert 50 < out < 150


@pytest.mark.parametrize("seconds", [0.001, 0.5, 1.0, 3.0, 77.0])
def test_where_all_take_the_same_time_none_is_slowest(seconds: float):
    """Embeddings, answers of one length: else each would be kept, as if it were remarkable."""
    slowest = Slowest()
    learn(slowest, seconds, at_ns=0)
    assert not slowest.is_slowest(KIND, seconds)
    assert slowest.is_slowest(KIND, seconds * 1.03)


def test_what_was_normal_is_forgotten_after_ten_minutes_at_the_latest():
    """The load changed: at first all stand out, later none does."""
    slowest = Slowest()
    learn(slowest, 1.0, at_ns=0)
    assert slowest.is_slowest(KIND, 3.0)
    learn(slowest, 3.0, at_ns=SPAN_NS)
    assert not slowest.is_slowest(KIND, 3.0), "a part of what counts is of now"
    learn(slowest, 1.0, at_ns=2 * SPAN_NS)
    learn(slowest, 1.0, at_ns=3 * SPAN_NS)
    assert slowest.is_slowest(KIND, 3.0)


def test_kinds_are_bounded_and_those_beyond_are_never_slowest():
    """A client may send any operation; the first keep their place."""
    slowest = Slowest()
    learn(slowest, 1.0, at_ns=0)
    for number in range(MAX_KINDS):
        for _ in range(ENOUGH + EVERY):
            slowest.learn((f"m{number}", "chat"), 1.0, 0)
    assert slowest.is_slowest(KIND, 9.0)
    assert slowest.is_slowest(("m0", "chat"), 9.0)
    assert not slowest.is_slowest((f"m{MAX_KINDS - 1}", "chat"), 9.0)
