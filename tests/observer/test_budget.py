"""What is kept is whole or not at all, and never more than the budget knows of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.budget import MAX_KEPT, Budget, Kept, KeptText

pieces = st.lists(st.one_of(st.text(max_size=20), st.text(min_size=50, max_size=3000)))


@given(pieces)
def test_kept_text_is_every_piece_in_its_order(texts: list[str]) -> None:
    """However long they are; afterwards nothing is held."""
    budget = Budget()
    kept = KeptText(budget)
    for text in texts:
        kept.write(text)
    assert kept.content().decode() == "".join(texts)
    kept.release()
    assert budget.kept == 0


@given(pieces, st.integers(0, 20_000))
def test_text_takes_up_no_more_than_was_asked_for(texts: list[str], limit: int) -> None:
    """Without room for it all is forgotten, now and later."""
    budget = Budget(limit)
    kept = KeptText(budget)
    for text in texts:
        kept.write(text)
        assert budget.kept <= limit
    size = len("".join(texts).encode())
    if kept.content() and kept.whole:
        assert size <= budget.kept
    elif not kept.whole:
        assert (kept.content(), budget.kept) == (b"", 0)
        kept.write("more")
        assert kept.content() == b""


def test_more_than_anybody_writes_is_not_kept() -> None:
    """Prompts are in pieces of a read each."""
    budget = Budget()
    kept = Kept(budget)
    kept.add(b"x" * (MAX_KEPT - 1))
    assert kept.whole
    kept.add(b"xx")
    assert not kept.whole
    assert budget.kept == 0
