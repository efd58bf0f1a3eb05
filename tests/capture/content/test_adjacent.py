"""Text in several parts, and where in a text something was found."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from captured import exchange, request_of
from fake_masker import CARD, SECRET, FakeMasker
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidelight_sidecar.capture.content import adjacent
from sidelight_sidecar.capture.content.adjacent import mask_adjacent
from sidelight_sidecar.capture.content.dropped import DroppedError
from sidelight_sidecar.capture.content.spans import spans

PIECES = st.lists(
    st.sampled_from([SECRET, CARD, "a@b.com", "[EMAIL]", "[INST]", " ", ", ", "x", "1", "secret=0"])
)
TEXTS = PIECES.map("".join)


def mask(text: str) -> str:
    """The text without its findings."""
    return FakeMasker().mask(text).text


def masked_parts(parts: list[str]) -> list[str]:
    """The parts masked as one."""
    return mask_adjacent(parts, mask, mask)[0]


def cut(text: str, places: list[int]) -> list[str]:
    """A text in pieces."""
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@settings(max_examples=300)
@given(TEXTS)
@example("a@b.com a@b.com x@y.com")
@example("[EMAIL] a@b.com [EMAIL]")
def test_what_is_outside_of_the_spans_was_not_found(text: str) -> None:
    """From the text and what became of it alone: all of the findings, and in order."""
    found = spans(text, mask(text))
    rest, at = [], 0
    for one in found:
        assert one.start >= at
        rest += [text[at : one.start], one.token]
        at = one.end
    rebuilt = "".join([*rest, text[at:]])
    assert mask(rebuilt) == rebuilt
    assert SECRET not in rebuilt
    assert bool(found) == (mask(text) != text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ab", ""),
        ("ab", "cd"),
        ("ab", "[A]c"),
        ("ab", "c[A]"),
        ("ab", "a[A]b"),
        ("xx", "[A]x[A]"),
        ("abab", "[A]c[A]b"),
        ("abc", "[A]ab[A]"),
    ],
)
def test_what_cannot_come_of_a_text_is_refused(text: str, masked: str) -> None:
    """A masker that does anything else than put tokens is none."""
    with pytest.raises(DroppedError):
        spans(text, masked)


@settings(max_examples=400)
@given(TEXTS, st.lists(st.integers(0, 120), max_size=5))
def test_what_is_split_over_parts_is_found(text: str, places: list[int]) -> None:
    """At any place, into any number of parts: neither a part nor all of them hold a finding."""
    parts = cut(text, places)
    masked = masked_parts(parts)
    assert len(masked) == len(parts)
    assert SECRET not in "".join(masked)
    for one in (*masked, "".join(masked)):
        assert mask(one) == one
    for part in parts:  # what is one by itself is not saved by what comes after it
        for match in re.finditer(r"(?<![0-9])[0-9]{16}(?![0-9])", part):
            assert not any(match[0] in one for one in masked) or text.count(CARD) > 1


@given(st.lists(st.text("ab 1", max_size=12), min_size=2, max_size=6))
def test_parts_without_findings_stay(parts: list[str]) -> None:
    """Every one of them."""
    assert masked_parts(parts) == parts


def test_a_finding_in_a_part_stays_in_it() -> None:
    """Only what reaches over a border is taken from both."""
    parts = ["mail a@b.com or", " secret=01234567", "89abcdef; and", " c@d.com"]
    assert masked_parts(parts) == ["mail [EMAIL] or", " [SECRET]", " and", " [EMAIL]"]


def test_a_number_is_found_though_digits_follow_in_the_next_part() -> None:
    """Joined, the seventeen digits would be none."""
    assert masked_parts([CARD, "7 items"]) == ["[CARD]", "7 items"]


def test_what_becomes_a_finding_by_masking_is_found() -> None:
    """Joined, thirty-two digits are none; with a token for half of them the others are.

    Where one token ends and the next begins is not known then: one stands for both.
    """
    assert masked_parts(["4", CARD[1:], CARD]) == ["[CARD]", "", ""]


def test_parts_that_never_come_to_an_end_are_left_out() -> None:
    """A masker that goes on finding something over a border is not followed for ever."""

    def again(text: str) -> str:
        return re.sub(r"[x\]]x", "[A]", text, count=1)

    assert mask_adjacent(["x"] * 3, again, again)[0] == ["[A[A]", "", ""]
    assert mask_adjacent(["x"] * 12, again, again)[0] == ["[TEXT]"] * 12


def test_long_parts_are_looked_at_around_their_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost is that of the text, not of its square; windows that touch are one."""
    monkeypatch.setattr(adjacent, "NEAR_CHARACTERS", 40)
    seen: list[int] = []

    def counted(text: str) -> str:
        seen.append(len(text))
        return mask(text)

    long = "word " * 100
    parts = [long + SECRET[:9], SECRET[9:] + long, *("a b " for _ in range(50)), long]
    masked, tokens = mask_adjacent(parts, counted, counted)
    assert tokens == ["[SECRET]"]
    assert "".join(masked) == "".join(parts).replace(SECRET, "[SECRET]")
    assert sum(seen) < 4 * sum(map(len, parts))


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "secret=01234567"}, {"type": "text", "text": "89abcdef; x"}],
        [
            {"type": "input_text", "text": "secret=01234567"},
            {"type": "text", "text": "89abcdef; x"},
        ],
        ["secret=01234567", "89abcdef; x"],
    ],
)
def test_parts_of_a_message_are_masked_as_one(parts: list[object]) -> None:
    """OpenAI's, Anthropic's, Responses'; parts of any type that have text."""
    found = request_of({"messages": [{"role": "user", "content": parts}]})
    texts = [
        one if isinstance(one, str) else one["text"] for one in found["messages"][0]["content"]
    ]
    assert texts == ["[SECRET]", " x"]


@pytest.mark.parametrize(
    "value",
    [
        {"parts": [{"text": "secret=01234567"}, {"text": "89abcdef; x"}]},
        {"reasoning_details": [
            {"type": "s", "summary": "secret=01234567"}, {"type": "s", "summary": "89abcdef; x"},
        ]},
        {"content": [
            {"type": "thinking", "thinking": "secret=01234567"},
            {"type": "thinking", "thinking": "89abcdef; x"},
        ]},
    ],
)  # fmt: skip
def test_parts_of_other_apis_are_masked_as_one(value: object) -> None:
    """Gemini's, which have no type, and pieces of reasoning."""
    assert "89abcdef" not in str(request_of(value))


def test_what_is_found_over_a_border_is_counted_once() -> None:
    """However often it was looked at."""
    parts = [{"type": "text", "text": text} for text in ("a@b.com secret=0123", "456789abcdef; x")]
    got = exchange("", {"content": parts}, None)
    assert got.findings == {"email": 1, "secret": 1}


def test_texts_that_do_not_belong_together_stay_apart() -> None:
    """Inputs of an embedding, messages, and parts with an image in between."""
    value = {"input": ["a@b.com", "c@d.com"]}
    assert request_of(value) == {"input": ["[EMAIL]", "[EMAIL]"]}
    texts = [{"type": "text", "text": "a@b.com"}, {"type": "image"}, {"type": "text", "text": "c"}]
    assert request_of({"content": texts})["content"][2]["text"] == "c"
