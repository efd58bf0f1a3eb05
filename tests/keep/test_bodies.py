"""Bodies as they are kept: from the start, up to a limit, within a budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.capture.bodies import BLOCK, KeptBody

PIECES = st.lists(
    st.integers(0, 3 * BLOCK).map(lambda size: bytes(size % 251 for _ in range(size)))
)
SIZES = st.integers(0, 8 * BLOCK) | st.integers(0, 8).map(lambda blocks: blocks * BLOCK)


@given(PIECES, SIZES, SIZES)
def test_what_is_kept_is_the_beginning_that_there_is_room_for(
    pieces: list[bytes], limit: int, room: int
) -> None:
    """And the size is that of all."""
    budget = Budget(room)
    body = KeptBody(budget, limit)
    for piece in pieces:
        body.add(piece)
        assert budget.kept <= room
    whole = b"".join(pieces)
    kept = body.payload()
    assert kept.size == len(whole)
    assert kept.data == whole[: min(limit, room - room % BLOCK)]


@given(PIECES, PIECES)
def test_nothing_is_held_or_kept_after_it_was_let_go(
    before: list[bytes], after: list[bytes]
) -> None:
    """Its size goes on."""
    budget = Budget(4 * BLOCK)
    body = KeptBody(budget, 3 * BLOCK)
    for piece in before:
        body.add(piece)
    body.release()
    for piece in after:
        body.add(piece)
    assert budget.kept == 0
    assert body.payload().data == b""
    assert body.size == sum(map(len, before + after))
