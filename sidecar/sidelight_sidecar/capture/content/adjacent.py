"""Text in several parts that belong together: what is split over them is found too.

Each part is masked by itself, and the parts joined. What was found either way is taken out: of the
joined text only what reaches over a border, for the rest was found in the part itself. So nothing
gets away by a split, and nothing because of what happens to come after it. What is left is looked
at in the same way until there is nothing to be found: a token in the place of a number may be what
made the digits before it one.

`NEAR_CHARACTERS` to each side of a border are looked at, so the cost is linear; of something
longer that reaches over a border only that much is sure to be found.
"""

import bisect
import itertools
from collections.abc import Callable, Iterator

from sidelight_sidecar.capture.content import markers
from sidelight_sidecar.capture.content.spans import Span, spans

NEAR_CHARACTERS = 8192
"""A private key of 8,192 bits has 6,400 characters."""
_ROUNDS = 5

Mask = Callable[[str], str]


def mask_adjacent(parts: list[str], mask: Mask, look: Mask) -> tuple[list[str], list[str]]:
    """The parts masked, as many as there were, and the tokens of what was found over a border.

    Args:
        parts: the texts.
        mask: masks a part.
        look: masks joined ones, to see what is found.
    """
    tokens: list[str] = []
    clean: set[str] = set()
    for _ in range(_ROUNDS):
        each = [part if part in clean else mask(part) for part in parts]
        clean.update(each)  # a masker changes nothing in what it has masked
        over = _over_borders(parts, look)
        if not over and each == parts:
            return parts, tokens
        tokens += [one.token for one in over]
        parts = _without(parts, each, over)
    return [markers.TEXT for _ in parts], tokens


def _over_borders(parts: list[str], mask: Mask) -> list[Span]:
    """What is found in the joined parts across a border."""
    borders = list(itertools.accumulate(map(len, parts)))
    joined = "".join(parts)
    found = []
    for start, end in _windows(borders[:-1], len(joined)):
        window = joined[start:end]
        for one in spans(window, mask(window)):
            begin, finish = one.start + start, one.end + start
            after = bisect.bisect_right(borders, begin)
            if after < len(borders) and borders[after] < finish:
                found.append(Span(begin, finish, one.token))
    return found


def _windows(borders: list[int], length: int) -> Iterator[tuple[int, int]]:
    """Ranges of the joined text around all borders; such as touch are one."""
    start = end = -1
    for border in borders:
        if start >= 0 and border - NEAR_CHARACTERS <= end:
            end = min(border + NEAR_CHARACTERS, length)
            continue
        if start >= 0:
            yield start, end
        start, end = max(border - NEAR_CHARACTERS, 0), min(border + NEAR_CHARACTERS, length)
    if start >= 0:
        yield start, end


def _without(parts: list[str], each: list[str], over: list[Span]) -> list[str]:
    """The parts without what was found in any way; a token stands where its finding begins."""
    found = list(over)
    start = 0
    starts = []
    for part, masked in zip(parts, each, strict=True):
        starts.append(start)
        found += [
            Span(one.start + start, one.end + start, one.token) for one in spans(part, masked)
        ]
        start += len(part)
    united = _united(sorted(found))
    return [_one_without(part, begin, united) for part, begin in zip(parts, starts, strict=True)]


def _united(found: list[Span]) -> list[Span]:
    """Findings that overlap are one."""
    united: list[Span] = []
    for one in found:
        if united and one.start < united[-1].end:
            last = united[-1]
            united[-1] = Span(last.start, max(last.end, one.end), last.token)
        else:
            united.append(one)
    return united


def _one_without(part: str, begin: int, united: list[Span]) -> str:
    """One part of the joined text, which begins there."""
    end = begin + len(part)
    pieces = []
    at = begin
    place = max(bisect.bisect_right(united, begin, key=_start_of) - 1, 0)
    while place < len(united) and united[place].start < end:
        one = united[place]
        place += 1
        if one.end <= begin:
            continue
        pieces.append(part[at - begin : max(one.start, at) - begin])
        if one.start >= begin:
            pieces.append(one.token)
        at = min(one.end, end)
    pieces.append(part[at - begin :])
    return "".join(pieces)


def _start_of(one: Span) -> int:
    return one.start
