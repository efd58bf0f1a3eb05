"""What must hold for every text, and for every value in it."""

# ruff: noqa: E501, RUF001 - texts as people write them
from __future__ import annotations

import json
from random import Random

import pytest
from benchmarks.redaction.corpus import corpus
from benchmarks.redaction.keys import FORMS, made
from benchmarks.redaction.values import KINDS, Made
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_sidecar.capture.mask.text import TextMasker

MASKER = TextMasker()

# Pieces that bring candidates close together; plain random text hardly ever makes one.
PIECES = st.sampled_from([
    "4111", "1111", "4111111111111111", "-", " ", ".", "@", "kim", "example.com", "+49", "0171", "(",
    ")", "/", ":", "::", "=", "password", "token", "api_key", "SSN", "tel", "IBAN", "DE89", "3704",
    "0044", "sk-", "ghp_", "eyJ", "-----BEGIN PRIVATE KEY-----", "A" * 64, "\n", "\\n", '"', "'", "[",
    "]", "[CARD]", "[PHONE]", "\u200b", "\u00a0", "１", "٤", "é", "я", "电话", "\ud800", "1.2.3.4", "\x00",
    "123-45-6789", "123456782", "bearer ", "://", "Ab3dEf6hIj9kLm2nOp", "2001:db8::1",
])  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(codec=None), max_size=200),
    st.lists(PIECES, max_size=30).map("".join),
    st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=20).map("".join),
)
# Made values that need no word beside them, and keys.
ANYWHERE = [kind for kind in KINDS if not kind.places]


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_no_text_makes_it_raise_and_masked_text_has_nothing_more(text: str) -> None:
    """Masking ends, is done after once, and without findings gives the same object back."""
    masked = MASKER.mask(text)
    again = MASKER.mask(masked.text)
    assert again.text is masked.text
    assert not again.findings
    assert (masked.text is text) == (not masked.findings)


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_what_is_found_lies_in_the_text_in_order(text: str) -> None:
    """Places are characters of the text, and none lies over another; the rest stays."""
    found = MASKER.findings(text)
    done = 0
    for start, end, _ in found:
        assert done <= start < end <= len(text)
        done = end


def _texts() -> st.SearchStrategy[str]:
    """Return texts that end or begin with nothing that a value could be glued to."""
    return st.one_of(st.just(""), st.text(max_size=40), st.lists(PIECES, max_size=8).map("".join))


@given(
    st.sampled_from(ANYWHERE), st.integers(0, 10_000), _texts(), _texts(), st.sampled_from(" \n")
)
@settings(max_examples=300, deadline=None)
def test_a_value_is_masked_wherever_it_stands(
    kind: Made, seed: int, before: str, behind: str, between: str
) -> None:
    """Behind and before any text that does not glue to it."""
    value = kind.make(Random(seed))
    masked = MASKER.mask(f"{before}{between}{value}{between}{behind}")
    assert value not in masked.text


@given(
    st.sampled_from([form for forms in FORMS.values() for form in forms]),
    st.integers(0, 10_000),
    _texts(),
    _texts(),
)
@settings(max_examples=200, deadline=None)
def test_a_key_is_masked_wherever_it_stands(form: str, seed: int, before: str, behind: str) -> None:
    """The same for every provider's keys."""
    key = made(form, Random(seed))
    assert key not in MASKER.mask(f"{before} {key} {behind}").text


@given(
    st.sampled_from(KINDS),
    st.integers(0, 10_000),
    st.text(max_size=10),
    st.sampled_from(["\n", "\t", " ", '"', ", "]),
)
@settings(max_examples=300, deadline=None)
def test_json_within_json_stays_json(kind: Made, seed: int, other: str, between: str) -> None:
    """The arguments of a tool call are JSON in a JSON string: no escape is cut in two."""
    random = Random(seed)
    value = random.choice(kind.places or ("{}",)).format(kind.make(random))
    inner = json.dumps({"a": f"{other}{between}{value}{between}{other}", value: [value, other]})
    for text in (inner, json.dumps({"arguments": inner})):
        read = json.loads(MASKER.mask(text).text)
        assert read
        assert text is inner or json.loads(read["arguments"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_detector_finds_its_own_alone(kind: Made) -> None:
    """With all others left out."""
    masker = TextMasker([kind.name])
    random = Random(11)
    for place in kind.places or ("{}", "a {} b"):
        assert masker.mask(place.format(kind.make(random))).findings == {kind.name: 1}, place


@pytest.mark.parametrize("between", [" ", "\n", ", ", "; ", " | ", "\t", "。", "\n\n"])
def test_texts_put_together_are_masked_as_each_alone(between: str) -> None:
    """A list of values is masked like the values: none eats a part of the next."""
    random = Random(3)
    values = [kind.make(random) for kind in ANYWHERE for _ in range(3)]
    random.shuffle(values)
    masked = MASKER.mask(between.join(values))
    assert not [value for value in values if value in masked.text]


def test_nothing_found_is_lost_beside_any_other_text_of_the_corpus() -> None:
    """Every labelled text that is masked alone is masked between two others, too."""
    cases = list(corpus())
    random = Random(5)
    for case in random.sample([case for case in cases if case.spans], 400):
        alone = MASKER.mask(case.text).text
        start, end, _ = case.spans[0]
        value = case.text[start:end]
        if value in alone:
            continue  # one of those that are missed
        first, last = random.choice(cases).text, random.choice(cases).text
        assert MASKER.mask(f"{first}\n\n{case.text}\n\n{last}").text.count(value) <= (
            first.count(value) + last.count(value)
        )
