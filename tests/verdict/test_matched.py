"""Matching: like with like, and nothing that an effect could have changed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strata_world import some

from sidelight_contract.strata import LOG_UNIT
from sidelight_operator.verdict.matched import Figure, blocks

EXACT = 2 / LOG_UNIT


def test_the_difference_is_that_of_the_logarithms() -> None:
    """Ten per cent slower is log 1.1, and what did not change is 0."""
    found = blocks([some(20, spread=0)], [some(5, spread=0, token=0.022)])
    token = found[Figure.TIME_PER_OUTPUT_TOKEN]
    assert token.difference == pytest.approx(math.log(1.1), abs=EXACT)
    assert token.pairs == pytest.approx(20 * 5 / 25)
    assert (token.baseline.requests, token.candidate.requests) == (20, 5)
    assert found[Figure.TIME_TO_FIRST_TOKEN].difference == pytest.approx(0, abs=EXACT)


def test_a_version_with_longer_prompts_is_not_slower_for_it() -> None:
    """Simpson's paradox: in each stratum they are the same, in the mean they are far apart."""
    short, long = {"prompt": 300, "spread": 0}, {"prompt": 6000, "spread": 0, "token": 0.08}
    baseline = [some(90, **short), some(10, **long)]
    candidate = [some(10, **short), some(90, **long)]
    for block in blocks(baseline, candidate).values():
        assert block.difference == pytest.approx(0, abs=EXACT)


@pytest.mark.parametrize("changed", [{"prompt": 6000}, {"concurrency": 30}])
def test_what_only_one_has_is_not_compared(changed) -> None:
    """No times of other prompts or another load; errors are matched without lengths."""
    found = blocks([some(10)], [some(10, **changed)])
    assert Figure.DURATION not in found
    assert (Figure.ERRORS in found) == ("prompt" in changed)


def test_the_outputs_length_matters_to_what_it_can_change() -> None:
    """Not to the time to first token, which was over before there was an output."""
    found = blocks([some(10)], [some(10, output=3000)])
    assert set(found) == {Figure.TIME_TO_FIRST_TOKEN, Figure.ERRORS}


def test_a_failed_request_is_compared_though_it_tells_no_lengths() -> None:
    """Two of ten fail there and none here, whatever strata they fell into."""
    candidate = [some(8), some(2, failed=2, prompt=None, output=None, model="_unknown")]
    block = blocks([some(10)], candidate)[Figure.ERRORS]
    assert block.difference == pytest.approx(0.2)
    assert (block.candidate.spread, block.candidate.freedom) == (2, 10)


def test_models_of_the_same_name_are_compared_with_each_other() -> None:
    """And names that only one version has are one model: a release may rename it."""
    both = blocks(
        [some(9, model="a"), some(1, model="b")], [some(1, model="a"), some(9, model="b")]
    )
    assert both[Figure.DURATION].pairs == pytest.approx(0.9 + 0.9)
    renamed = blocks([some(10, model="v1")], [some(10, model="v2")])
    assert renamed[Figure.DURATION].pairs == pytest.approx(5)


def test_nothing_in_common_is_nothing() -> None:
    """No block at all."""
    assert blocks([], [some(10)]) == {}


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_swapping_the_versions_turns_every_difference_round(n, m, seed) -> None:
    """The test rests on it: under no difference, up is as likely as down."""
    mine = [some(n, seed=seed), some(2, seed=seed + 1, prompt=None)]
    theirs = [some(m, seed=seed + 2), some(3, seed=seed + 3, prompt=None)]
    there, back = blocks(mine, theirs), blocks(theirs, mine)
    for figure, block in there.items():
        assert block.difference == pytest.approx(-back[figure].difference)
        assert block.candidate == back[figure].baseline
