"""Look-alikes are folded for finding, and what is found is replaced in the text as it was."""

# ruff: noqa: RUF001 - texts as people write them
from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.capture.mask.folding import fold
from sidelight_sidecar.capture.mask.text import TextMasker

MASKER = TextMasker()


@pytest.mark.parametrize(
    "value",
    [
        "４１１１１１１１１１１１１１１１",
        "٤١١١ ١١١١ ١١١١ ١١١١",
        "४१११-११११-११११-११११",
        "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
        "4111\u00a01111\u202f1111\u30001111",
        "4111\u20101111\u22121111\u20131111",
        "4\u200b1\u200c1\u200d1\u00ad1\u2060111\ufeff11111111",
        "4️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1",
    ],
)
def test_no_writing_of_its_signs_hides_a_card(value: str) -> None:
    """Digits of any script, unusual spaces and dashes, invisible characters."""
    assert MASKER.mask(f"a {value} b").text == "a [CARD] b"


@pytest.mark.parametrize(
    "value", ["kim＠example.com", "kim@exam\u00adple.com", "ｋｉｍ@ｅｘａｍｐｌｅ．ｃｏｍ"]
)
def test_no_writing_of_its_signs_hides_an_address(value: str) -> None:
    """Full-width letters, at sign and point; a soft hyphen."""
    assert MASKER.mask(f"邮箱：{value}。").text == "邮箱：[EMAIL]。"


def test_the_rest_of_the_text_is_not_folded() -> None:
    """Only what was found is replaced."""
    text = "Ｃａｒｄ\u00a0№ 4111\u00a01111\u00a01111\u00a01111 – ＯＫ\u200b!"
    assert MASKER.mask(text).text == "Ｃａｒｄ\u00a0№ [CARD] – ＯＫ\u200b!"


@given(st.text(st.sampled_from("a1 ４\u00a0\u200b\u2013é电\ud800😀𝟒"), max_size=60), st.data())
def test_every_place_leads_back_to_the_text(text: str, data: st.DataObject) -> None:
    """A span of folded bytes is the span of the text that folds to just these bytes."""
    raw = text.encode("utf-8", "surrogatepass")
    folded = fold(text, raw)
    start = data.draw(st.integers(0, len(folded.data)))
    end = data.draw(st.integers(start, len(folded.data)))
    first, last = folded.span(start, end)
    assert 0 <= first <= len(raw)
    if start < end:
        whole = raw[first:last].decode("utf-8", "replace")
        if "\ufffd" not in whole:  # both ends are those of characters
            again = fold(whole, whole.encode("utf-8", "surrogatepass"))
            assert again.data == folded.data[start:end]


def test_many_kinds_of_characters_fold_as_few_do() -> None:
    """Beyond some, one slower way takes over."""
    digits = [
        chr(code) for code in range(sys.maxunicode) if unicodedata.decimal(chr(code), None) == 1
    ]
    assert len(digits) > 60
    text = " ".join(digits)
    assert fold(text, text.encode()).data == b" ".join([b"1"] * len(digits))
