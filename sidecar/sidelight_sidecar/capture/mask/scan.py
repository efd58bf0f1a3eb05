"""Walking a text with RE2: the one place where built-in patterns are compiled and run.

Patterns are of bytes, in RE2's Latin-1 mode: a byte above 127 is no word character, so that a
number within Chinese text has its borders, and no byte sequence is invalid. There are no captures:
without them RE2 stays with its automata, 600 MB/s and more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import re2

from sidelight_sidecar.capture.mask.finding import Finding


class Match(Protocol):
    """What re2 says of a match, as far as it is used here."""

    def span(self) -> tuple[int, int]:
        """Return where it is."""

    def start(self) -> int:
        """Return where it begins."""

    def end(self) -> int:
        """Return where it ends."""


class Pattern(Protocol):
    """A compiled pattern of re2, which ships no types."""

    def finditer(
        self, text: bytes, pos: int | None = None, endpos: int | None = None
    ) -> Iterator[Match]:
        """Yield the matches from left to right."""

    def search(
        self, text: bytes, pos: int | None = None, endpos: int | None = None
    ) -> Match | None:
        """Return the first match."""

    def match(self, text: bytes, pos: int | None = None) -> Match | None:
        """Return a match that begins here."""

    def fullmatch(self, text: bytes) -> Match | None:
        """Return a match of all."""


# For a pattern and its automata, which grow with the texts seen; RE2's own default is 8 MiB.
PATTERN_MEMORY_BYTES = 2 << 20

# A finding and where to go on. Behind the candidate, or, if it was none, behind its first part.
Verdict = tuple[Finding | None, int]
Judge = Callable[[bytes, int, int], Verdict]

WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")

# JSON within JSON: what looks like a letter before a candidate may be the end of an escape.
_ESCAPE = rb"\\(?:[nrt]|u[0-9A-Fa-f]{4})"
# What may stand before a candidate that begins with a letter, and before one of digits, where a
# decimal point may not. It is part of the match, so a judge moves the start: `body`.
EDGE = rb"(?:\b|" + _ESCAPE + rb")"
HEAD = rb"(?:^|[^\w.]|\D\.|" + _ESCAPE + rb")"


def compiled(pattern: bytes, memory_bytes: int = PATTERN_MEMORY_BYTES) -> Pattern:
    """Compile a pattern of bytes."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    options.log_errors = False  # or RE2 writes the pattern to the standard error
    options.max_mem = memory_bytes
    result: Pattern = re2.compile(pattern, options)
    return result


_UNICODE = compiled(rb"\\u[0-9A-Fa-f]{4}")


def scan(
    pattern: Pattern,
    data: bytes,
    judge: Judge,
    start: int = 0,
    end: int | None = None,
) -> Iterator[Finding]:
    """Yield what the judge makes of each candidate, from left to right, none over another."""
    position, moved = start, True
    while moved:
        moved = False
        for match in pattern.finditer(data, position, end):
            begin, stop = match.span()
            finding, position = judge(data, begin, stop)
            if finding is not None:
                yield finding
            if position != stop:
                moved = True
                break


def unescaped(data: bytes, start: int) -> int:
    """Return where a candidate found behind EDGE really begins."""
    if data[start] != 0x5C or data[start + 1] not in b"nrtu":
        return start
    return start + (6 if data[start + 1] == 0x75 else 2)


def body(data: bytes, start: int) -> int:
    """Return where a candidate found behind HEAD really begins."""
    past = unescaped(data, start)
    if past != start:
        return past
    first, second = data[start], data[start + 1]
    if second == 0x2E and first not in b"0123456789":
        return start + 2
    if first in WORD or (start == 0 and first in b"(+" and second != 0x2B):
        return start
    return start + 1


def is_escape(data: bytes, position: int) -> bool:
    """Say whether an escape ends at this place."""
    return (
        position > 1 and data[position - 2] == 0x5C and data[position - 1] in b"nrt"
    ) or _UNICODE.match(data, position - 6) is not None


def token_end(run: Pattern, data: bytes, position: int) -> int:
    """Return where the run (a pattern that matches one byte class, repeated) ends."""
    match = run.match(data, position)
    return position if match is None else match.end()
