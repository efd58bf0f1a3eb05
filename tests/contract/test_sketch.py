"""The sketch: its error bound, and that merging is exact in any order."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.sketch import GAMMA, LARGEST, RELATIVE_ERROR, SMALLEST, Sketch, merged

durations = st.floats(min_value=0, max_value=1e6, allow_nan=False)
lists = st.lists(durations, max_size=60)


def sketch_of(values: list[float]) -> Sketch:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch


@given(lists, lists, lists)
def test_merging_is_associative_and_commutative(a, b, c):
    """Whatever the order and grouping, the result is the sketch of all values."""
    whole = sketch_of(a + b + c)
    left = merged([merged([sketch_of(a), sketch_of(b)]), sketch_of(c)])
    right = merged([sketch_of(c), merged([sketch_of(b), sketch_of(a)])])
    assert left == right == whole


@given(st.lists(st.floats(min_value=SMALLEST, max_value=LARGEST), min_size=1, max_size=200))
def test_a_quantile_is_within_the_promised_error(values):
    """Each quantile is within 1 % of the value of that rank."""
    sketch = sketch_of(values)
    for q in (0.0, 0.5, 0.95, 1.0):
        true = sorted(values)[int(q * (len(values) - 1))]
        estimate = sketch.quantile(q)
        assert estimate is not None
        assert abs(estimate - true) <= true * RELATIVE_ERROR * 1.0001


def test_an_empty_sketch_has_no_quantile():
    """Nothing measured is None, not zero."""
    assert Sketch().quantile(0.5) is None
    assert Sketch().mean is None


@given(lists)
def test_the_number_of_buckets_is_bounded(values):
    """Values outside the range are clamped, so buckets stay within it."""
    sketch = sketch_of(values)
    for index in sketch.buckets:
        assert SMALLEST / GAMMA <= GAMMA**index <= LARGEST * GAMMA


@given(lists)
def test_a_sketch_survives_the_wire(values):
    """JSON and back is the same sketch."""
    sketch = sketch_of(values)
    assert msgspec.json.decode(msgspec.json.encode(sketch), type=Sketch) == sketch


def test_two_sketches_share_no_buckets():
    """The default is copied: counting in one does not count in another."""
    one, other = Sketch(), Sketch()
    one.add(1.0)
    assert other.buckets == {}
