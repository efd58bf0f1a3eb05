"""What is split over events is found, at whatever places an engine cuts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from captured import exchange, strings_in
from fake_masker import CARD, SECRET, FakeMasker
from hypothesis import given, settings
from hypothesis import strategies as st
from streamed import CALLS, SSE, STREAMS, cuts

from sidelight_sidecar.capture.content import Captured

WORDS = st.sampled_from([SECRET, CARD, "a@b.com", "über ", " 4111 ", "word ", "\U0001f600", '"x" '])
GUESSED = ("unknown", "unknown delta", "triton")
"""Streams of which nobody says whether an event is a piece or all so far."""
TEXTS = st.lists(WORDS, min_size=1, max_size=6).map("".join)


def mask(text: str) -> str:
    """The text without its findings."""
    return FakeMasker().mask(text).text


def all_begin_like_the_last(pieces: list[str]) -> bool:
    """It could be text so far, as well as a run of one sign in pieces."""
    spoken = [piece for piece in pieces if piece]
    return all(spoken[-1].startswith(piece) for piece in spoken)


def nothing_is_found_in(got: Captured) -> None:
    """Neither in the body nor in the messages."""
    everything: list[Any] = [json.loads(got.answer.body), got.messages.outputs]
    for text in strings_in(everything):
        assert mask(text) == text
    assert SECRET not in json.dumps(everything)


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=40)
@given(st.data())
def test_a_text_is_one_however_it_is_cut(name: str, data: st.DataObject) -> None:
    """Put together and masked, as if it had come at once."""
    dialect, content_type, events = STREAMS[name]
    text = data.draw(TEXTS)
    pieces = data.draw(cuts(text))
    got = exchange(dialect, None, events(pieces), answer_type=content_type)
    assert got.answer.streamed
    nothing_is_found_in(got)
    if name not in GUESSED or not all_begin_like_the_last(pieces):
        assert mask(text) in strings_in(json.loads(got.answer.body))


@pytest.mark.parametrize(
    "name", sorted({*STREAMS} - {"unknown delta", "responses unknown", "unknown"})
)
@settings(max_examples=15)
@given(st.data())
def test_the_message_says_what_the_stream_said(name: str, data: st.DataObject) -> None:
    """One message, with the masked text in one part."""
    dialect, content_type, events = STREAMS[name]
    text = data.draw(TEXTS)
    pieces = data.draw(cuts(text))
    if name in GUESSED and all_begin_like_the_last(pieces):
        return
    got = exchange(dialect, None, events(pieces), answer_type=content_type)
    assert [part["content"] for one in got.messages.outputs for part in one["parts"]] == [
        mask(text)
    ]


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=25)
@given(st.data())
def test_a_stream_cut_anywhere_has_no_whole_secret(name: str, data: st.DataObject) -> None:
    """The client left at any byte: what is there is masked."""
    dialect, content_type, events = STREAMS[name]
    whole = events(data.draw(cuts(f"one {SECRET} two a@b.com. {SECRET}")))
    cut = whole[: data.draw(st.integers(1, len(whole)))]
    got = exchange(dialect, None, cut, answer_type=content_type, cut=True)
    assert got.answer.truncated
    nothing_is_found_in(got)


ARGUMENTS = st.recursive(
    st.sampled_from([SECRET, "a@b.com", "Ulm", int(CARD), 7, None, True]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["to", "a@b.com", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=50)
@given(ARGUMENTS, st.booleans(), st.data())
def test_arguments_are_whole_however_they_are_cut(
    name: str, arguments: Any, escaped: bool, data: st.DataObject
) -> None:
    """JSON in pieces, whose letters may be spelled as numbers: masked by leaf and key."""
    dialect, events = CALLS[name]
    text = json.dumps(arguments)
    if escaped:
        text = text.replace("secret", "\\u0073ecret").replace("@", "\\u0040")
    got = exchange(dialect, None, events(data.draw(cuts(text))), answer_type=SSE)
    nothing_is_found_in(got)
    assert CARD not in json.dumps(got.messages.outputs)
    assert CARD.encode() not in got.answer.body


@settings(max_examples=60)
@given(st.data())
def test_choices_that_come_in_turns_keep_their_secrets_apart(data: st.DataObject) -> None:
    """Pieces of several choices, mixed as they like."""
    texts = [f"{index} {SECRET}" for index in range(3)]
    turns = [(index, piece) for index in range(3) for piece in data.draw(cuts(texts[index], 4))]
    mixed: list[tuple[int, str]] = []
    left = [[piece for index, piece in turns if index == one] for one in range(3)]
    while any(left):
        index = data.draw(st.sampled_from([one for one in range(3) if left[one]]))
        mixed.append((index, left[index].pop(0)))
    chunks = b"".join(
        b"data: %s\n\n"
        % json.dumps({"choices": [{"index": index, "delta": {"content": piece}}]}).encode()
        for index, piece in mixed
    )
    got = exchange("openai", None, chunks, answer_type=SSE)
    said = [one["parts"][0]["content"] for one in got.messages.outputs]
    assert said == ["0 [SECRET]", "1 [SECRET]", "2 [SECRET]"]
