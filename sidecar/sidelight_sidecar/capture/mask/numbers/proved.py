"""Finds numbers that their digits prove: cards and national numbers.

One pattern finds every shape; the groups of a candidate, and each shorter beginning of it, are then
looked up among the shapes. "1234 4111 1111 1111 1111" fails as it begins, so the search goes on
behind its first group: at most seven times for one candidate.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.numbers.cards import CARD
from sidelight_sidecar.capture.mask.numbers.kind import Kind, Shape
from sidelight_sidecar.capture.mask.numbers.national import KINDS
from sidelight_sidecar.capture.mask.scan import HEAD, WORD, Verdict, compiled, scan, unescaped

_ALL: tuple[Kind, ...] = (CARD, *KINDS)

# First digits are those that occur: a time in milliseconds begins with 1, as no card does.
_WRITINGS = (
    rb"\d{11}|756\d{10}|[12]\d{14}|[1-8]\d{16}[\dXx]",
    rb"[2-689]\d{3}(?:[ -]?\d{4}){3}(?:[ -]?\d{1,3})?",
    rb"3\d{3}[ -]?\d{6}[ -]?\d{4,5}",
    rb"\d{3}-\d\d-\d{4}|\d\d \d{3} \d{3} \d{3}|[12] \d\d \d\d \d\d \d{3} \d{3} \d\d",
    rb"\d\d\.\d\d\.\d\d-\d{3}\.\d\d|\d{6}-\d{3}[.-]\d\d|\d{6} \d{5}|\d{6}-[1-8]\d{6}",
    rb"756\.\d{4}\.\d{4}\.\d\d|\d{3}\.\d{3}\.\d{3}-\d\d",
)
_SOURCE = HEAD + rb"(?:" + rb"|".join(_WRITINGS) + rb")\b"
_PATTERN = compiled(_SOURCE)

# Python's own `re`, on candidates of at most 24 bytes, and linear on any.
_GROUP = re.compile(rb"\d+[Xx]?")


class ProvedNumbers:
    """Finds cards and the national numbers that need no word beside them."""

    names = tuple(kind.name for kind in _ALL)
    pattern = _SOURCE

    def __init__(self, wanted: Collection[str]) -> None:
        self._kinds: dict[Shape, tuple[Kind, ...]] = {}
        for kind in _ALL:
            for shape in kind.shapes if kind.name in wanted else ():
                self._kinds[shape] = (*self._kinds.get(shape, ()), kind)

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_PATTERN, data, self._judge)

    def _judge(self, data: bytes, start: int, end: int) -> Verdict:
        spans = _groups(data, unescaped(data, start), end)
        if follows_on(data, spans[0][0]):
            return None, spans[0][1]
        for count in range(len(spans), 0, -1):
            stop = spans[count - 1][1]
            kind = self._kind(data, spans[:count]) if ends(data, stop) else None
            if kind is not None:
                return Finding(spans[0][0], stop, kind), stop
        return None, spans[0][1]

    def _kind(self, data: bytes, spans: list[tuple[int, int]]) -> str | None:
        between = b"".join(data[before[1] : after[0]] for before, after in pairwise(spans))
        kinds = self._kinds.get((tuple(end - start for start, end in spans), between))
        if kinds is None:
            return None
        digits = b"".join(data[start:end] for start, end in spans).upper()
        return next((kind.name for kind in kinds if kind.proof(digits)), None)


def _groups(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """Return where the groups of digits are; most candidates are one group behind one byte."""
    if data[start + 1 : end].isdigit():
        return [(start if data[start] in WORD else start + 1, end)]
    return [match.span() for match in _GROUP.finditer(data, start, end)]


def follows_on(data: bytes, start: int) -> bool:
    """Say whether what begins here goes on from before: the last part of a UUID, say."""
    return start > 1 and data[start - 1] == 0x2D and data[start - 2] in WORD


def ends(data: bytes, stop: int) -> bool:
    """Say whether what stops here is whole: no dash or point leads on to more of it."""
    return stop + 1 >= len(data) or data[stop] not in b"-." or data[stop + 1] not in b"0123456789"
