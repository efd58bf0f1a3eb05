"""Finds numbers that need a word beside them: the words first, then what stands around each.

Text without such a word costs one pass, however many numbers it has. Around a word the number may
stand up to 48 bytes behind it or 32 before; places that touch are looked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.numbers.kind import Contextual
from sidelight_sidecar.capture.mask.numbers.proved import ends, follows_on
from sidelight_sidecar.capture.mask.numbers.weak import KINDS
from sidelight_sidecar.capture.mask.scan import HEAD, Pattern, Verdict, body, compiled, scan

BEFORE_BYTES = 32
BEHIND_BYTES = 48

_NUMBERS = (b"number", b"nummer", b"num", b"no", b"nr", b"id")
_NUMBER = rb"(?:[ _-]?(?:" + b"|".join(_NUMBERS) + rb"))?"
# What is no part of a word: what a space in it stands for, and the borders.
_BORDERS = bytes(code for code in range(128) if not chr(code).isalnum())
# Scripts that part words by spaces, but whose letters have no border in RE2: Greek to Thai.
_SPACED = range(0x370, 0x0E00)
_LABEL = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class ContextualNumbers:
    """Finds numbers whose kind the text itself says."""

    names = tuple(dict.fromkeys(kind.name for kind in KINDS))

    def __init__(self, wanted: Collection[str]) -> None:
        kinds = [kind for kind in KINDS if kind.name in wanted]
        self._by_word: dict[bytes, list[int]] = {}
        for index, kind in enumerate(kinds):
            for word in kind.words:
                self._by_word.setdefault(_plain(word.encode()), []).append(index)
        self.pattern = _word_pattern(kinds)
        self._words = compiled(self.pattern)
        self._kinds = [
            (compiled(HEAD + rb"(?:" + kind.pattern + rb")(?:\b|$)"), partial(_judge, kind))
            for kind in kinds
        ]

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        places: dict[int, list[tuple[int, int]]] = {}
        for match in self._words.finditer(data):
            start, end = match.span()
            if not _in_label(data, start, end):
                for index in self._indices(data[start:end]):
                    _add(places.setdefault(index, []), start - BEFORE_BYTES, end + BEHIND_BYTES)
        return self._around(data, places)

    def _around(
        self, data: bytes, places: Mapping[int, list[tuple[int, int]]]
    ) -> Iterator[Finding]:
        for index, spans in places.items():
            pattern, judge = self._kinds[index]
            yield from _within(pattern, data, judge, spans)

    def _indices(self, word: bytes) -> list[int]:
        """Return the kinds of a word as it stands in the text, "number" and borders included."""
        plain = _plain(word.lower())
        for tail in (b"", *_NUMBERS):
            if plain.endswith(tail) and plain.removesuffix(tail) in self._by_word:
                return self._by_word[plain.removesuffix(tail)]
        return []


def _within(
    pattern: Pattern,
    data: bytes,
    judge: Callable[[bytes, int, int], Verdict],
    spans: list[tuple[int, int]],
) -> Iterator[Finding]:
    for start, end in spans:
        yield from scan(pattern, data, judge, start, min(end, len(data)))


def _judge(kind: Contextual, data: bytes, start: int, end: int) -> Verdict:
    start = body(data, start)
    compact = bytes(byte for byte in data[start:end].upper() if byte not in b" ./()-+")
    if not follows_on(data, start) and ends(data, end) and kind.proof(compact):
        return Finding(start, end, kind.name), end
    return None, end


def _add(spans: list[tuple[int, int]], start: int, end: int) -> None:
    """Add a place; they come in the order of the text."""
    start = max(start, 0)
    if spans and start <= spans[-1][1]:
        spans[-1] = (spans[-1][0], max(spans[-1][1], end))
    else:
        spans.append((start, end))


def _in_label(data: bytes, start: int, end: int) -> bool:
    """Say whether a word is (part of) a label such as [PHONE], which says nothing of the text."""
    first = max(start - 40, 0)
    while start > first and data[start - 1] in _LABEL:
        start -= 1
    last = min(end + 40, len(data))
    while end < last and data[end] in _LABEL:
        end += 1
    return data[start - 1 : start] == b"[" and data[end : end + 1] == b"]"


def _plain(word: bytes) -> bytes:
    return word.translate(None, _BORDERS)


def _word_pattern(kinds: list[Contextual]) -> bytes:
    words = sorted({word for kind in kinds for word in kind.words}, key=len, reverse=True)
    return rb"(?i)(?:" + rb"|".join(map(_word, words or ["\0"])) + rb")"


def _word(word: str) -> bytes:
    source = rb"[ _-]?".join(part.encode() for part in word.split(" "))
    before = behind = b""  # Chinese, Japanese and Korean: nothing parts words
    if word[0].isascii():
        before = rb"(?:\b|_)"
    elif ord(word[0]) in _SPACED:
        before = rb"(?:^|[\x00-\x7f])"
    if word[-1].isascii():
        behind = _NUMBER + rb"(?:\b|_|$)"
    elif ord(word[-1]) in _SPACED:
        behind = rb"(?:[\x00-\x7f]|$)"
    return before + source.replace(b".", rb"\.") + behind
