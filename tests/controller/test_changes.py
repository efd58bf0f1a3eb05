"""Merge patches carry one object into another, whatever both hold."""

from controller_world import apply_merge_patch
from hypothesis import given
from hypothesis import strategies as st

from sidelight_operator.controller.changes import merge_patch

scalars = st.one_of(st.integers(0, 3), st.text("ab", max_size=2), st.booleans())
objects = st.recursive(
    st.dictionaries(st.sampled_from("abc"), scalars, max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from("abc"), st.one_of(scalars, inner, st.lists(inner, max_size=2)), max_size=3
    ),
    max_leaves=8,
)


@given(objects, objects)
def test_the_patch_turns_before_into_after(
    before: dict[str, object], after: dict[str, object]
) -> None:
    """RFC 7396's own algorithm is the judge; equal objects need no patch."""
    patch = merge_patch(before, after)
    if patch == {}:
        assert before == after
    assert apply_merge_patch(before, patch) == after
    assert merge_patch(after, after) == {}
