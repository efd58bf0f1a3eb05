"""The masker: what is replaced by what, what stays, and what happens to unusual texts."""

# ruff: noqa: RUF001 - texts as people write them
from __future__ import annotations

import random

import pytest

from sidelight_sidecar.capture.mask.finding import Finding, label
from sidelight_sidecar.capture.mask.overlaps import merged
from sidelight_sidecar.capture.mask.registry import DETECTORS
from sidelight_sidecar.capture.mask.text import MaskError, TextMasker

MASKER = TextMasker()


def test_a_finding_is_replaced_by_its_label_and_counted() -> None:
    """The rest of the text stays, byte by byte."""
    masked = MASKER.mask("Card 4111 1111 1111 1111, mail kim@example.com or lee@example.com.")
    assert masked.text == "Card [CARD], mail [EMAIL] or [EMAIL]."
    assert masked.findings == {"card": 1, "email": 2}


def test_a_text_without_findings_comes_back_as_the_same_object() -> None:
    """Nothing is copied, folded or normalised."""
    text = "plain text, e\u0301 and ｆｕｌｌ－width, 12 of 345"
    masked = MASKER.mask(text)
    assert masked.text is text
    assert masked.findings == {}


@pytest.mark.parametrize("text", ["", " ", "\n", "[", "[CARD", "\\", "@", "+", "(", "::", "\x00"])
def test_the_smallest_texts_stay(text: str) -> None:
    """No judge looks beyond the ends of a text."""
    assert MASKER.mask(text).text is text


def test_binary_passes_unharmed() -> None:
    """Random bytes read as Latin-1, and as UTF-8 with lone surrogates for what is none, stay."""
    raw = random.Random(7).randbytes(200_000)
    for text in (raw.decode("latin-1"), raw.decode("utf-8", "surrogateescape")):
        masked = MASKER.mask(text)
        assert masked.text is text, masked.findings


def test_lone_surrogates_around_a_finding_stay() -> None:
    """JSON can carry half a character; masking neither fails nor mends it."""
    assert MASKER.mask("\ud83d kim@example.com \ude00").text == "\ud83d [EMAIL] \ude00"


def test_masked_text_is_not_masked_again() -> None:
    """Labels are no findings, and no words that call what stands beside them a finding."""
    text = "[PHONE] 4155550132 [US_SSN] 123456789 [API_KEY]: abcdefghij0123456789 [NHS] [IBAN]"
    assert MASKER.mask(text).text is text


def test_of_overlapping_findings_nothing_is_left() -> None:
    """They become one, under the name of the longest; of equally long ones, the more specific."""
    rank = {"iban": 0, "card": 1, "phone": 2}
    found = [
        Finding(0, 10, "phone"),
        Finding(5, 25, "card"),
        Finding(30, 40, "phone"),
        Finding(30, 40, "iban"),
        Finding(50, 60, "card"),
        Finding(60, 61, "phone"),
    ]
    expected = [
        Finding(0, 25, "card"),
        Finding(30, 40, "iban"),
        Finding(50, 60, "card"),
        Finding(60, 61, "phone"),
    ]
    assert merged(found, rank) == expected
    assert merged(reversed(found), rank) == expected


def test_an_invisible_character_neither_hides_a_number_nor_glues_it_to_a_word() -> None:
    """It may stand within a number, or part it from its neighbour."""
    assert MASKER.mask("4111\u200b1111\u200b1111\u200b1111").text == "[CARD]"
    assert MASKER.mask("kim@example.com\u200b4111111111111111").text == "[EMAIL]\u200b[CARD]"


def test_detectors_can_be_left_out_by_name() -> None:
    """Only what is wanted is looked for."""
    text = "kim@example.com 4111111111111111 ssn 123456789"
    assert TextMasker(["email"]).mask(text).findings == {"email": 1}
    assert TextMasker(["us-ssn"]).mask(text).findings == {"us-ssn": 1}
    assert TextMasker([]).mask(text).text is text


def test_an_unknown_detector_is_refused_by_its_name() -> None:
    """The sentence says which there are."""
    with pytest.raises(ValueError, match=r"no detector is called 'cards'; there are: .*card.*"):
        TextMasker(["card", "cards"])


def test_every_detector_has_its_own_label() -> None:
    """Two names never share one."""
    assert len({label(name) for name in DETECTORS}) == len(DETECTORS)


def test_a_text_that_would_be_masked_for_ever_is_refused() -> None:
    """Each round here makes the next finding: such a text is not passed on."""
    masker = TextMasker([], [("gone", r"\Ba\b")])
    assert masker.mask("aaa").text == "a[GONE][GONE]"
    with pytest.raises(MaskError, match="after 8 rounds"):
        masker.mask("a" * 40)
