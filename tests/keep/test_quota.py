"""A quota of records a minute: never more, and without bias."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.keep.quota import MINUTE_NS, Quota


def expected_weight(per_minute: int, share: float, times: list[int]) -> Fraction:
    """The mean of the sum of weights over all that chance can do, exactly."""

    def rest(decisions: tuple[bool, ...]) -> Fraction:
        quota = Quota(per_minute, share)
        for at_ns, kept in zip(times, decisions, strict=False):
            quota.probability(at_ns)
            quota.asked(kept=kept)
        if len(decisions) == len(times):
            return Fraction(0)
        chance = Fraction(quota.probability(times[len(decisions)]))
        if not chance:
            return rest((*decisions, False))
        mean = chance * (1 / chance + rest((*decisions, True)))
        return mean + ((1 - chance) * rest((*decisions, False)) if chance < 1 else 0)

    return rest(())


@given(
    st.integers(16, 20),
    st.sampled_from([1.0, 0.5, 0.25]),
    st.lists(st.sampled_from([0, 1]), min_size=1, max_size=9),
)
def test_the_mean_of_the_weights_is_the_number_of_exchanges(
    per_minute: int, share: float, minutes: list[int]
):
    """Exactly, as long as nine cannot use up the quota: in one minute or in two."""
    times = [minute * MINUTE_NS for minute in sorted(minutes)]
    assert float(expected_weight(per_minute, share, times)) == pytest.approx(len(times), rel=1e-12)


@given(st.integers(1, 300), st.lists(st.integers(0, 3), max_size=400))
def test_a_minute_never_has_more_than_its_quota(per_minute: int, minutes: list[int]):
    """Even if chance keeps everything that may be kept."""
    quota = Quota(per_minute)
    kept: dict[int, int] = {}
    for minute in sorted(minutes):
        may = quota.probability(minute * MINUTE_NS) > 0
        quota.asked(kept=may)
        kept[minute] = kept.get(minute, 0) + may
    assert all(count <= per_minute for count in kept.values())


def test_few_are_all_kept_and_a_burst_is_thinned_before_it_is_cut():
    """At a quota of 64: the first 32 surely, then a quarter, a sixteenth, ..."""
    quota = Quota(64)
    chances = []
    for _ in range(64):
        if chance := quota.probability(0):
            chances.append(chance)
            quota.asked(kept=True)
    assert [chances.count(4.0**-level) for level in range(7)] == [32, 16, 8, 4, 2, 1, 0]
    assert quota.probability(0) == 0.0
    assert quota.probability(MINUTE_NS) == 32 / 63, "the next minute begins where it would do"


def test_a_steady_stream_is_sampled_evenly_over_each_minute():
    """A thousand a minute at a quota of 200: from the second minute on one probability holds."""
    quota = Quota(200)
    for number in range(3000):
        chance = quota.probability(number * MINUTE_NS // 1000)
        if number >= 1000:
            assert chance == 0.1
        quota.asked(kept=number % 11 == 0)


def test_a_clock_that_goes_back_opens_no_minute_again():
    """Else each jump would give another quota."""
    quota = Quota(2)
    quota.probability(5 * MINUTE_NS)
    quota.asked(kept=True)
    assert quota.probability(4 * MINUTE_NS) == quota.probability(5 * MINUTE_NS) == 0.0
