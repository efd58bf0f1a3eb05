"""Patterns of the user's own: found as they are written, refused with a reason, bounded."""

from __future__ import annotations

import pytest

from sidelight_sidecar.capture.mask import custom
from sidelight_sidecar.capture.mask.custom import PatternError
from sidelight_sidecar.capture.mask.text import TextMasker


def test_a_pattern_masks_under_its_own_name() -> None:
    """Beside the built-in ones."""
    masker = TextMasker(["email"], [("staff-number", r"\bE-\d{6}\b"), ("city", "(?i)köln")])
    masked = masker.mask("E-123456 from KÖLN, kim@example.com, E-1234567")
    assert masked.text == "[STAFF_NUMBER] from [CITY], [EMAIL], E-1234567"
    assert masked.findings == {"staff-number": 1, "city": 1, "email": 1}


@pytest.mark.parametrize(
    ("name", "pattern", "sentence"),
    [
        ("a", "x[a", r"pattern 'a': missing \]: \[a \(at character 2\)"),
        ("a", r"\d+(?=x)", r"pattern 'a': invalid perl operator: \(\?= \(at character 4\)"),
        ("a", r"(a)\1", r"pattern 'a': invalid escape sequence: .*\(at character 4\)"),
        ("a", "x**", "pattern 'a': bad repetition operator"),
        ("a", "x{2000}", "pattern 'a': invalid repetition size"),
        ("a", "x*", "pattern 'a' matches nothing at all, and so everywhere"),
        ("a", "", "pattern 'a' matches nothing at all"),
        ("a", "x" * 513, "pattern 'a' has 513 characters; 512 are the most"),
        ("a", r"(\pL{1,100}){1,10}", "pattern 'a': pattern too large"),
        ("a", "\ud800", "pattern 'a' is no text"),
        ("A b", "x", "pattern 'A b': a name has small letters"),
        ("a" * 33, "x", "a name has small letters"),
        ("card", "x", "pattern 'card': the name is taken"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused(name: str, pattern: str, sentence: str) -> None:
    """The sentence names the pattern, the reason and, where RE2 tells, the place."""
    with pytest.raises(PatternError, match=sentence):
        TextMasker(patterns=[(name, pattern)])


def test_two_of_one_name_or_too_many_are_refused() -> None:
    """Each finding has one name, and the number of passes a bound."""
    with pytest.raises(PatternError, match="'a': the name is taken"):
        TextMasker(patterns=[("a", "x"), ("a", "y")])
    with pytest.raises(PatternError, match="33 patterns; there may be 32"):
        TextMasker(patterns=[(f"a{number}", "x") for number in range(33)])


def test_a_refused_pattern_is_not_written_to_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    """RE2 itself would write it to the standard error."""
    with pytest.raises(PatternError):
        TextMasker(patterns=[("a", "(((")])
    assert capfd.readouterr().err == ""


def test_a_pattern_of_single_bytes_takes_whole_characters() -> None:
    """RE2 can match a part of a character; what is left of the text is still text."""
    assert TextMasker([], [("byte", r"\C")]).mask("é").text == "[BYTE]"
    assert TextMasker([], [("byte", r"a\C")]).mask("xaé!").text == "x[BYTE]!"


def test_a_match_over_the_edge_of_a_window_is_found() -> None:
    """Windows overlap by as much as a match may have."""
    masker = TextMasker([], [("long", "<[a-z]{10,900}>")])
    for size in range(custom.WINDOW_BYTES - 1000, custom.WINDOW_BYTES + 1000, 37):
        text = f"{'.' * size}<{'x' * 800}>..."
        assert masker.mask(text).text == f"{'.' * size}[LONG]..."


def test_borders_are_those_of_the_text_not_of_a_window() -> None:
    """A word that a window cuts is not taken for a whole one."""
    masker = TextMasker([], [("word", r"\b[a-z]{3}\b"), ("start", "^x")])
    text = "." + "a" * 20_000 + " xyz x"
    assert masker.mask(text).text == "." + "a" * 20_000 + " [WORD] x"
