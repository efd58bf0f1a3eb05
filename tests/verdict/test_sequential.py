"""The interval: it holds the truth, narrows, survives the wire, and claims nothing from nothing."""

import math
import random
from dataclasses import astuple, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_operator.verdict.evidence import Evidence, evidence_of
from sidelight_operator.verdict.matched import Block, Figure, Side
from sidelight_operator.verdict.sequential import excluded, interval

TOKEN, ERRORS = Figure.TIME_PER_OUTPUT_TOKEN, Figure.ERRORS
ALPHA = 0.0025
SUMS = len(fields(Evidence))


def block(difference: float, n: int = 9, m: int = 9, spread: float = 0.04) -> Block:
    return Block(
        difference,
        n * m / (n + m),
        Side(n, spread * (n - 1), n - 1, 1 / n),
        Side(m, spread * (m - 1), m - 1, 1 / m),
    )


def errors(baseline: tuple[int, int], candidate: tuple[int, int]) -> Block:
    """Failed out of requests."""
    (e, n), (f, m) = baseline, candidate
    sides = Side(n, e, n, 1 / n), Side(m, f, m, 1 / m)
    return Block(f / m - e / n, n * m / (n + m), *sides)


def after(blocks) -> Evidence:
    evidence = Evidence()
    for one in blocks:
        evidence.add(one)
    return evidence


def noisy(effect: float, blocks: int, seed: int = 1) -> Evidence:
    dice = random.Random(seed)
    return after(block(effect + dice.gauss(0, 0.1)) for _ in range(blocks))


def bounds(evidence: Evidence) -> tuple[float, float]:
    found = interval(evidence, TOKEN, ALPHA)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_nothing_is_known_of_nothing() -> None:
    """No interval without evidence, and no bounds from one block, however clear it looks."""
    assert interval(Evidence(), TOKEN, ALPHA) is None
    one = interval(after([block(0.5)]), TOKEN, ALPHA)
    assert one is not None
    assert (one.low, one.high) == (None, None)


def test_the_interval_narrows_round_the_truth() -> None:
    """Ten times the blocks, about a third of the width."""
    short, long = (bounds(noisy(0.1, blocks)) for blocks in (40, 400))
    assert short[0] < 0.1 < short[1]
    assert 0 < long[0] < 0.1 < long[1]
    assert long[1] - long[0] < (short[1] - short[0]) / 2


@given(st.integers(1, 60), st.floats(-0.5, 0.5))
def test_the_bounds_are_where_exclusion_begins(blocks, effect) -> None:
    """What lies beyond them is excluded, the estimate never is, and both follow the effect."""
    evidence = noisy(effect, blocks)
    found = interval(evidence, TOKEN, ALPHA)
    assert found is not None
    assert not excluded(evidence, TOKEN, ALPHA, found.effect)
    for bound, outwards in ((found.low, -1e-3), (found.high, 1e-3)):
        if bound is not None:
            assert excluded(evidence, TOKEN, ALPHA, bound + outwards)
            assert not excluded(evidence, TOKEN, ALPHA, bound - 2 * outwards)


@given(st.integers(0, 40), st.integers(1, 40))
def test_a_status_goes_on_as_if_it_had_never_been_written(first, more) -> None:
    """Through the numbers of a status, in the middle of a batch or not."""
    dice = random.Random(first)
    blocks = [block(dice.gauss(0.1, 0.1)) for _ in range(first + more)]
    through = evidence_of(after(blocks[:first]).told())
    for one in blocks[first:]:
        through.add(one)
    for mine, theirs in zip(astuple(through), astuple(after(blocks)), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("told", ["", "1 2", "nan " * SUMS, "none " * SUMS, "-1 " * SUMS])
def test_numbers_of_another_release_are_not_misread(told) -> None:
    """A comparison begins anew rather than go on with something else's sums."""
    assert evidence_of(told) == Evidence()


def test_no_errors_yet_are_no_proof_that_there_are_none() -> None:
    """Few requests without an error do not exclude one in a hundred; very many do."""
    few, many = (after([errors((0, 90), (0, 10))] * n) for n in (30, 400))
    assert not excluded(few, ERRORS, ALPHA, 0.01)
    assert excluded(many, ERRORS, ALPHA, 0.01)


def test_blocks_that_err_together_count_as_fewer() -> None:
    """The same differences, but each five times in a row: the interval is wider."""
    dice = random.Random(3)
    apart = [block(dice.gauss(0.1, 0.1)) for _ in range(200)]
    together = [one for one in apart[:40] for _ in range(5)]
    alone, lumped = bounds(after(apart)), bounds(after(together))
    assert lumped[1] - lumped[0] > 1.4 * (alone[1] - alone[0])


@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_looking_after_every_block_errs_no_more_often_than_stated(alpha) -> None:
    """Four hundred sequences without an effect, of blocks that lean to one side, as those of few
    requests do; a fixed-size test at this level errs in a fifth of them or more.
    """
    wrong = naive = 0
    for seed in range(400):
        dice = random.Random(seed)
        evidence, total, squares, alarmed, fooled = Evidence(), 0.0, 0.0, False, False
        for count in range(1, 151):
            difference = (dice.expovariate(1) - 1) * 0.1
            evidence.add(block(difference, 9, 9, 0.045))
            alarmed = alarmed or excluded(evidence, TOKEN, alpha, 0.0)
            total, squares = total + difference, squares + difference**2
            bound = 1.96 if alpha == 0.05 else 2.81
            fooled = fooled or (count > 10 and abs(total) > bound * math.sqrt(squares))
        wrong, naive = wrong + alarmed, naive + fooled
    assert wrong <= 400 * alpha
    assert naive > 3 * 400 * alpha
