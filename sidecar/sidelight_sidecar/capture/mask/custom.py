"""Patterns of the user's own: RE2 syntax, compiled within limits, refused with a reason.

They see the text as it is, not folded, in UTF-8. A pattern that may look far ahead and match
little, such as `a.*b|a`, would make every search linear and all of them together quadratic. So a
search sees at most a window, and a match is at most half of one: the work stays linear, with that
constant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import re2

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.scan import Pattern

MAX_PATTERNS = 32
MAX_PATTERN_CHARACTERS = 512
MAX_MATCH_BYTES = 2048
WINDOW_BYTES = 2 * MAX_MATCH_BYTES
# For a program and its automata. A pattern that needs more is refused when it is compiled.
MAX_MEMORY_BYTES = 1 << 20

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*\Z")  # on names from the configuration
_MAX_NAME_CHARACTERS = 32


class PatternError(ValueError):
    """A pattern of the user's that cannot be used; the message is for the user."""


class CustomPattern:
    """One named pattern."""

    def __init__(self, name: str, pattern: str) -> None:
        self.names = (name,)
        if len(name) > _MAX_NAME_CHARACTERS or not _NAME.match(name):
            raise PatternError(
                f"pattern {name[:40]!r}: a name has small letters, digits and single dashes, and "
                f"at most {_MAX_NAME_CHARACTERS} characters"
            )
        self._name = name
        self._regex = _compiled(name, pattern)

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in the bytes of a text."""
        position = 0
        while position < len(data):
            match = self._regex.search(data, position, min(position + WINDOW_BYTES, len(data)))
            if match is None:
                position += WINDOW_BYTES - MAX_MATCH_BYTES
                continue
            start, end = match.span()
            if start == end:
                position = start + 1
                continue
            yield Finding(_character_start(data, start), _character_end(data, end), self._name)
            position = end


def custom_patterns(
    patterns: Sequence[tuple[str, str]], taken: frozenset[str]
) -> list[CustomPattern]:
    """Compile the user's patterns (name and RE2 syntax).

    Raises:
        PatternError: one of them cannot be used.
    """
    if len(patterns) > MAX_PATTERNS:
        raise PatternError(f"{len(patterns)} patterns; there may be {MAX_PATTERNS}")
    seen: set[str] = set()
    for name, _ in patterns:
        if name in taken or name in seen:
            raise PatternError(f"pattern {name[:40]!r}: the name is taken")
        seen.add(name)
    return [CustomPattern(name, pattern) for name, pattern in patterns]


def _compiled(name: str, pattern: str) -> Pattern:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise PatternError(
            f"pattern {name!r} has {len(pattern)} characters; {MAX_PATTERN_CHARACTERS} are the most"
        )
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = MAX_MEMORY_BYTES
    try:
        regex: Pattern = re2.compile(pattern, options)
    except UnicodeEncodeError as error:
        raise PatternError(f"pattern {name!r} is no text that UTF-8 can carry") from error
    except re2.error as error:
        raise PatternError(f"pattern {name!r}: {_reason(pattern, error)}") from error
    if regex.fullmatch(b"") is not None:
        raise PatternError(f"pattern {name!r} matches nothing at all, and so everywhere")
    return regex


def _reason(pattern: str, error: re2.error) -> str:
    """Return RE2's words, with the place in the pattern that they are about."""
    text = error.args[0]
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    _, colon, part = text.partition(": ")
    if not colon or part not in pattern:
        return text
    return f"{text} (at character {pattern.index(part) + 1})"


def _character_start(data: bytes, position: int) -> int:
    """Move back to where a character begins: a pattern may match single bytes."""
    while position > 0 and data[position] & 0xC0 == 0x80:
        position -= 1
    return position


def _character_end(data: bytes, position: int) -> int:
    while position < len(data) and data[position] & 0xC0 == 0x80:
        position += 1
    return position
