"""Folding: the plain ASCII that a text's look-alikes stand for, with the way back to the text.

A card number in full-width or Arabic digits, with no-break spaces or an invisible character in it,
is still that number. Here digits of every script become 0-9, full-width and mathematical letters
plain ones, unusual spaces and dashes plain ones, and invisible characters nothing. The rest stays,
byte by byte.
"""

from __future__ import annotations

import string
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import re2

_SPACES = "\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_DASHES = "\u2212\ufe58\ufe63" + "".join(map(chr, range(0x2010, 0x2016)))
_INVISIBLE = "\u00ad\u034f\u180e\u20e3\ufeff" + "".join(
    chr(code)
    for first, last in ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2069), (0xFE00, 0xFE0F))
    for code in range(first, last + 1)
)
# No comma, no full stop of sentences: Chinese text is full of them, and no finding has one.
_FULL_WIDTH = string.digits + string.ascii_letters + "@._-+/:=()"
_ZERO_WIDTH_SPACE = "\u200b".encode()
_MATHEMATICAL = range(0x1D400, 0x1D800)
_LAST_DIGIT = 0x20000  # no script beyond has digits: what follows is Chinese characters


def _table() -> dict[str, str]:
    """Return what each character that folds becomes."""
    table = {chr(ord(plain) + 0xFEE0): plain for plain in _FULL_WIDTH}
    table |= dict.fromkeys(_SPACES, " ") | dict.fromkeys(_DASHES, "-")
    table |= dict.fromkeys(_INVISIBLE, "") | {"\ufe52": ".", "\u2024": ".", "\ufe6b": "@"}
    for code in range(0x80, _LAST_DIGIT):
        digit = unicodedata.decimal(chr(code), None)
        if digit is not None:
            table[chr(code)] = str(digit)
    for code in _MATHEMATICAL:
        plain = unicodedata.normalize("NFKC", chr(code))
        if plain.isascii() and plain != chr(code):
            table[chr(code)] = plain
    return table


def _ranges(characters: list[int]) -> Iterator[str]:
    """Yield the ranges of a character class of RE2."""
    first = last = characters[0]
    for code in [*characters[1:], -1]:
        if code != last + 1:
            yield f"\\x{{{first:x}}}-\\x{{{last:x}}}"
            first = code
        last = code


_TABLE = _table()
_BYTES = {character.encode(): plain.encode() for character, plain in _TABLE.items()}
_TRANSLATION = str.maketrans(_TABLE)
# One pass of C for each kind of character up to here; beyond, one slower pass for all.
_MANY_KINDS = 24
_FOLDS = re2.compile("[" + "".join(_ranges(sorted(map(ord, _TABLE)))) + "]")


class Folded:
    """Folded bytes of a text, and the way back: it is made when something was found."""

    __slots__ = ("_at", "_from", "_text", "data", "joined")

    def __init__(self, text: bytes, data: bytes, *, joined: bool = False) -> None:
        self.data = data
        self.joined = joined  # a zero-width space was taken out: what it parted is one now
        self._text = text
        self._at: list[int] = []  # positions in the folded bytes, rising
        self._from: list[int] = []  # the same places in the text's bytes

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the text has what is folded to these bytes."""
        if self.data is self._text:
            return start, end
        if not self._at:
            self._map()
        return self._start(start), self._end(end)

    def _map(self) -> None:
        gone = 0  # by how much the folded bytes are shorter so far
        for match in _FOLDS.finditer(self._text):
            start, end = match.span()
            size = len(_BYTES[self._text[start:end]])
            self._at += (start - gone, start - gone + size)
            self._from += (start, end)
            gone += end - start - size

    def _start(self, position: int) -> int:
        index = bisect_right(self._at, position) - 1
        return self._from[index] + position - self._at[index] if index >= 0 else position

    def _end(self, position: int) -> int:
        index = bisect_left(self._at, position)
        if index < len(self._at) and self._at[index] == position:
            return self._from[index]
        return self._from[index - 1] + position - self._at[index - 1] if index else position


def fold(text: str, data: bytes) -> Folded:
    """Fold a text, given as UTF-8 too (lone surrogates may be in it, as three bytes each)."""
    if text.isascii():
        return Folded(data, data)
    folded = data
    position, joined = 0, False
    for _ in range(_MANY_KINDS):
        match = _FOLDS.search(folded, position)
        if match is None:
            return Folded(data, folded, joined=joined)
        position, end = match.span()
        character = folded[position:end]
        folded = folded.replace(character, _BYTES[character])
        joined = joined or character == _ZERO_WIDTH_SPACE
    translated = text.translate(_TRANSLATION).encode("utf-8", "surrogatepass")
    return Folded(data, translated, joined=True)
