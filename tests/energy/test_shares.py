"""Whole millijoules are shared out, and none is lost."""

from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.energy.shares import shares

WEIGHTS = st.lists(
    st.floats(0, 1e12, allow_nan=False, allow_subnormal=False), min_size=1, max_size=200
).filter(lambda weights: sum(weights) > 0)


@given(st.integers(0, 10**12), WEIGHTS)
def test_parts_add_up_to_the_whole_and_none_is_negative(total: int, weights: list[float]) -> None:
    """Whatever the weights are, of however many."""
    parts = shares(total, weights)
    assert sum(parts) == total
    assert min(parts) >= 0


@given(st.integers(0, 10**9), WEIGHTS)
def test_each_part_is_within_one_of_its_exact_part(total: int, weights: list[float]) -> None:
    """Rounding moves a millijoule at most, and the last digits of floats."""
    whole = sum(weights)
    for part, weight in zip(shares(total, weights), weights, strict=True):
        assert abs(part - total * weight / whole) <= 1.0 + 1e-6


def test_a_weight_of_zero_gets_nothing() -> None:
    """Not even what rounding leaves."""
    assert shares(10, [0.0, 1.0, 0.0, 2.0, 0.0]) == [0, 3, 0, 7, 0]
