"""A masker that remembers words."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from captured import exchange
from fake_masker import SECRET, FakeMasker
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_sidecar.capture.content import Bodies, Body, capture
from sidelight_sidecar.capture.content.remember import WORDS, Remembering


class Counting(FakeMasker):
    """Counts what it is asked for; takes a name for a finding."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def mask(self, text: str) -> Any:
        """Mask, and remember that it was asked."""
        self.asked.append(text)
        return super().mask(text.replace("Smith", "a@b.com"))


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("role", 1),
        ("finish_reason", 1),
        ("Smith", 2),
        ("4111", 2),
        ("two words", 2),
        ("x" * 33, 2),
        ("Qwen/Qwen2.5-7B", 1),
        ("x@y", 2),
    ],
)
def test_only_words_without_a_finding_are_remembered(text: str, times: int) -> None:
    """Neither numbers nor sentences, nor what is somebody's name."""
    counting = Counting()
    masker = Remembering(counting)
    first, second = masker.mask(text), masker.mask(text)
    assert counting.asked == [text] * times
    assert (first.text, first.findings) == (second.text, second.findings)


def test_words_are_forgotten_before_there_are_too_many() -> None:
    """Whatever clients make up."""
    counting = Counting()
    masker = Remembering(counting)
    for number in range(WORDS + 1):
        masker.mask(f"w{number}")
    assert len(masker._known) <= WORDS
    masker.mask("w0")
    assert counting.asked[-1] == "w0"
    for number in range(WORDS + 1):
        masker.note(f"w{number}")
    assert len(masker.words) <= WORDS


HIDING = base64.b64encode(SECRET.encode()).decode().rstrip("=")
TEXTS = st.sampled_from([
    "role", "Smith", SECRET, HIDING, f"x{HIDING}", "a@b.com", "4111", "two words", "größe",
    SECRET.encode().hex(), "b" + SECRET.encode().hex(), "data",
])  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.lists(TEXTS, min_size=1, max_size=4), min_size=2, max_size=4))
def test_one_memory_for_all_exchanges_changes_none(exchanges: list[list[str]]) -> None:
    """Words in which something is hidden are found each time, whatever came before."""
    remembering, counting = Remembering(Counting()), Counting()
    for some in exchanges:
        data = msgspec.json.encode(dict.fromkeys(some, some))
        body = Body(data, "application/json")
        got, wanted = (capture(Bodies("", body, body), one) for one in (remembering, counting))
        assert (got.request, got.answer) == (wanted.request, wanted.answer)
        assert got.findings == wanted.findings


def test_words_are_looked_at_once_for_all_exchanges() -> None:
    """Field names and roles."""
    counting = Counting()
    body = Body(b'{"role": "user"}', "application/json")
    masker = Remembering(counting)
    capture(Bodies("", body, body), masker)
    assert masker.words == {"role", "user"}


def test_what_is_captured_is_the_same() -> None:
    """The second time as the first, and as without it."""
    data = b'{"role": "user", "content": "a@b.com", "Smith": ["Smith", "user"]}'
    body = Body(data, "application/json")
    masker = Remembering(FakeMasker())
    plain = exchange("openai", data, data)
    for _ in range(2):
        got = capture(Bodies("openai", body, body), masker)
        assert (got.request.body, got.findings) == (plain.request.body, plain.findings)
