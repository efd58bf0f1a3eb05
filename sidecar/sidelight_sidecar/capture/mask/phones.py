"""Telephone numbers whose writing proves them: E.164, and how countries print their own.

A bare run of digits is a telephone number only beside a word that says so (`numbers/weak.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.numbers.proved import ends, follows_on
from sidelight_sidecar.capture.mask.scan import HEAD, WORD, Verdict, body, compiled, scan

# Digits behind the calling code, where a country has one length or few; 6 to 12 else.
_LENGTHS = {
    b"1": (10, 10), b"7": (10, 10), b"20": (8, 10), b"27": (9, 9), b"30": (10, 10), b"31": (9, 9),
    b"32": (8, 9), b"33": (9, 9), b"34": (9, 9), b"36": (8, 9), b"39": (6, 11), b"40": (9, 9),
    b"41": (9, 9), b"43": (7, 12), b"44": (9, 10), b"45": (8, 8), b"46": (7, 10), b"47": (8, 8),
    b"48": (9, 9), b"49": (6, 12), b"52": (10, 11), b"54": (10, 11), b"55": (10, 11),
    b"61": (9, 9), b"64": (8, 10), b"65": (8, 8), b"81": (9, 10), b"82": (8, 10), b"86": (9, 11),
    b"90": (10, 10), b"91": (10, 10), b"92": (9, 10), b"98": (10, 10), b"351": (9, 9),
    b"353": (7, 9), b"358": (6, 11), b"380": (9, 9), b"420": (9, 9), b"852": (8, 8),
    b"971": (8, 9), b"972": (8, 9),
}  # fmt: skip
_ANY = (6, 12)
# Calling codes that are given to nobody.
_NOBODY = frozenset(
    b"210 214 215 217 219 259 28 384 422 424 425 426 427 428 429 671 684 693 694 695 696 697 "
    b"698 699 801 802 803 804 805 806 807 809 83 851 854 857 858 859 871 872 873 874 875 876 "
    b"877 879 884 885 887 889 89 978 990 997".split()
)

_WRITINGS = (
    rb"\+[1-9](?:[ ()./-]{0,2}\d){6,16}",
    # North America, and the same behind its 1.
    rb"(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[ .-]\d{4}",
    rb"[78][ -]?\(\d{3}\) ?\d{3}[ -]?\d\d[ -]?\d\d",  # Russia, Kazakhstan
    rb"\([1-9]\d\) ?9?\d{4}[ -]\d{4}",  # Brazil
    rb"1[3-9]\d[ -]\d{4}[ -]\d{4}",  # China's mobiles
    # Behind a trunk 0: France in pairs, area codes in brackets or before a slash or dash, and the
    # groups of Britain, Germany, Australia, Japan, Korea.
    rb"0[1-9](?: \d\d){4}|0[1-9](?:\.\d\d){4}|0[1-9](?:-\d\d){4}",
    rb"\(0[1-9]\d{0,3}\) ?\d{3,8}(?:[ -]\d{2,5}){0,2}",
    rb"0[1-9]\d{1,3} ?[/-] ?\d{5,8}|0[1-9]\d{1,3} ?/ ?\d{2,4}(?: \d{2,4}){1,3}",
    rb"0[1-9][ -]\d{4}[ -]\d{4}|0[1-9]\d[ -]\d{3,4}[ -]\d{4}|0[1-9]\d\d[ -]\d{3}[ -]\d{3,4}",
    rb"0[1-9]\d{3} \d{3} \d{3}|0[1-9]\d{2,3} \d{6,8}|0[1-9]\d{2,3} \d{3} \d\d \d\d",
)
_SOURCE = HEAD + rb"(?:" + rb"|".join(_WRITINGS) + rb")\b"
_PATTERN = compiled(_SOURCE)

# Python's own `re`, on candidates of at most 52 bytes, and linear on any.
_GROUP = re.compile(rb"\d+")


class Phones:
    """Finds telephone numbers as they are printed."""

    names = ("phone",)
    pattern = _SOURCE

    def __init__(self, wanted: Collection[str]) -> None:
        del wanted  # it has one name only

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_PATTERN, data, _judge)


def _judge(data: bytes, start: int, end: int) -> Verdict:
    start = body(data, start)
    spans = [match.span() for match in _GROUP.finditer(data, start, end)]
    if data[start] == 0x2B:
        stop = _international(data, spans)
        if stop is not None and ends(data, stop):
            return Finding(start, stop, "phone"), stop
        return None, spans[0][1]
    count = sum(last - first for first, last in spans)
    if 9 <= count <= 12 and _is_alone(data, start, spans) and ends(data, end):
        return Finding(start, end, "phone"), end
    return None, spans[0][1]


def _is_alone(data: bytes, start: int, spans: list[tuple[int, int]]) -> bool:
    """Say whether it begins here, as no part of a path, and is more than bytes: 01 02 03 04 05."""
    return not (
        follows_on(data, start)
        or (start > 1 and data[start - 1] == 0x2F and data[start - 2] in WORD)
        or (len(spans) == 5 and all(data[first] == 0x30 for first, _ in spans))
    )


def _international(data: bytes, spans: list[tuple[int, int]]) -> int | None:
    """Return where a number behind + ends: the most groups that make a length of its country."""
    for count in range(len(spans), 0, -1):
        # "(0)" is not dialled from abroad.
        dialled = (span for span in spans[:count] if data[span[0] - 1 : span[1] + 1] != b"(0)")
        if _is_international(b"".join(data[first:last] for first, last in dialled)):
            return spans[count - 1][1]
    return None


def _is_international(digits: bytes) -> bool:
    """Say whether calling code and count of digits go together."""
    for size in (1, 2, 3):
        if digits[:size] in _LENGTHS or (size > 1 and digits[:size] in _NOBODY):
            break
    if digits[:size] in _NOBODY:
        return False
    least, most = _LENGTHS.get(digits[:size], _ANY)
    return least <= len(digits) - size <= most
