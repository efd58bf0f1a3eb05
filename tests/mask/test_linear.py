"""Twice the text is twice the work, whatever the text: counted, not timed.

Work is every call that Python makes, and every byte that RE2 is led over: what a search passes to
where it ends, again for each search that begins anew. RE2 itself is linear in that.
"""

# ruff: noqa: E501, RUF001 - a table of texts
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
import re2

from sidelight_sidecar.capture.mask import credentials
from sidelight_sidecar.capture.mask.custom import WINDOW_BYTES
from sidelight_sidecar.capture.mask.scan import compiled
from sidelight_sidecar.capture.mask.text import TextMasker

# Beginnings of findings that never come, findings side by side, and what looks ahead far.
UNITS = [
    "a", "1", "1 ", "4111 ", "4111 1111 1111 1111 ", "4111-", "11111111111 ", "123-45-6789-",
    "aa00 ", "DE89 3704 0044 0532 0130 01 ", "DE89", "@", "a@", "a@a.", "a@b.cc ", "ssn ", "phone ",
    "ssn 123456788 ", "token=", "password=a1", "password=\"", "api_key=Ab3dEf6hIj9kLm2n ", "bearer ",
    "://a:", "https://a:b", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n" + "A" * 64,
    "eyJ", "eyJhbGciOi.", "eyJaaaaaaaa-", "eyJhbGciOiJIUzI1NiJ9.", "sk-aaaaaaaaaaaaaaaaaaaa-", "sk-",
    "ghp_" + "a1" * 20 + " ", "1.1.", "1.2.3.4.", ":", "a:", "::", "fe80::1:", "[CARD]", "[", "+1",
    "+1 ", "+1415555267", "(0", "0171 ", "\\n", "\n", "电话", "тел ", "\u200b", "1\u200b", "１", "\ud800",
]  # fmt: skip
BYTES = 3000
MANY_BYTES = 3 * WINDOW_BYTES  # of which the first and last window are few


class Work:
    """Counts what is done while it is entered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        walk = re2._Regexp._match

        def counted(
            regex: Any, anchor: Any, text: bytes, pos: int | None = None, endpos: int | None = None
        ) -> Iterator[Any]:
            position = pos or 0
            for match in walk(regex, anchor, text, pos, endpos):
                self.steps += match.end() - position
                position = match.end()
                yield match
            if anchor is re2._Anchor.UNANCHORED:
                self.steps += (len(text) if endpos is None else endpos) - position

        monkeypatch.setattr(re2._Regexp, "_match", counted)

    def of(self, action: Callable[[], object]) -> int:
        """Return the work of an action."""
        self.steps = 0

        def called(frame: FrameType, event: str, argument: object) -> None:
            self.steps += event in ("call", "c_call")

        sys.setprofile(called)
        try:
            action()
        finally:
            sys.setprofile(None)
        return self.steps


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """A counter of what RE2 and Python do."""
    return Work(monkeypatch)


def growth(work: Work, masker: TextMasker, unit: str, size: int = BYTES) -> float:
    """Return by what factor the work grows when the text doubles."""
    text = unit * (size // len(unit.encode("utf-8", "surrogatepass")) + 1)
    masker.mask(text)  # caches are filled
    return work.of(lambda: masker.mask(text + text)) / work.of(lambda: masker.mask(text))


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
def test_twice_the_text_is_twice_the_work(work: Work, unit: str) -> None:
    """For every text that was thought of to make a detector work in vain."""
    assert growth(work, TextMasker(), unit) < 2.3


@pytest.mark.parametrize("pattern", ["a.*b|a", "(a+a+)+b", "a{1,100}b|a", "(?s)a.*", "a+$"])
@pytest.mark.parametrize("unit", ["a", "ba\n"])
def test_a_pattern_of_the_users_cannot_change_that(work: Work, pattern: str, unit: str) -> None:
    """Not even one that looks ahead to the end of the text for every letter."""
    assert growth(work, TextMasker([], [("mine", pattern)]), unit, MANY_BYTES) < 2.3


def test_the_count_notices_more_than_linear_work(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With values of a password that have no end, each of many looks at all the others."""
    monkeypatch.setattr(credentials, "_VALUE", compiled(rb"[^ ]*"))
    assert growth(work, TextMasker(["credential"]), "token=") > 3
