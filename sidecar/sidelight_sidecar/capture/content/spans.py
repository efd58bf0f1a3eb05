"""Where in a text a masker has found something, from the text and what became of it alone.

A masked text is the original with disjoint pieces replaced by tokens. The literal text between
tokens is looked for from the left as early as it can be, and from the right as late as it can be;
where both agree, there is no other place for it. Where they do not, the literal counts as found
too: too much may be said to be a finding, but never too little.
"""

import re
from typing import NamedTuple

from sidelight_sidecar.capture.content.dropped import Dropped, DroppedError

TOKEN = re.compile(r"\[[A-Z][^\[\]\n]{0,99}\]")
"""What a masker puts for a finding, and what markers look like."""


class Span(NamedTuple):
    """A piece of the original, and what stands for it."""

    start: int
    end: int
    token: str


def spans(original: str, masked: str) -> list[Span]:
    """The pieces that were replaced, in order.

    Raises:
        DroppedError: the masked text cannot have come from the original that way.
    """
    if original == masked:
        return []
    found = list(TOKEN.finditer(masked))
    edges = [0, *(edge for one in found for edge in one.span()), len(masked)]
    literals = [masked[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2)]
    early = _early(original, literals)
    late = _late(original, literals)
    result = []
    start = len(literals[0])
    for i, token in enumerate(found, 1):
        if early[i] != late[i]:
            continue  # not known where the literal is: the next piece begins where this one does
        if original[start : early[i]] != token[0]:
            result.append(Span(start, early[i], token[0]))
        start = early[i] + len(literals[i])
    return result


def _early(original: str, literals: list[str]) -> list[int]:
    """The earliest place of each literal; the last one is at the end."""
    last = len(literals) - 1
    if not last or not original.startswith(literals[0]) or not original.endswith(literals[last]):
        raise DroppedError(Dropped.FAILED)
    places, position = [0], len(literals[0])
    for literal in literals[1:last]:
        place = original.find(literal, position + 1)
        if place < 0:
            raise DroppedError(Dropped.FAILED)
        places.append(place)
        position = place + len(literal)
    end = len(original) - len(literals[last])
    if end <= position:
        raise DroppedError(Dropped.FAILED)
    return [*places, end]


def _late(original: str, literals: list[str]) -> list[int]:
    """The latest place of each literal."""
    position = len(original) - len(literals[-1])
    places = [position]
    for literal in reversed(literals[1:-1]):
        position = original.rfind(literal, 0, position - 1)
        if position < 0:
            raise DroppedError(Dropped.FAILED)
        places.append(position)
    return [0, *reversed(places)]
