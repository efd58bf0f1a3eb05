"""Streams that are there as a whole: server-sent events and JSON lines.

Events are split as browsers do (WHATWG HTML, 9.2.6): lines end at LF, CRLF or CR, never at U+2028
or the like, and `data` of several lines is joined. Unlike there, an event without a blank line
after it counts, for some servers end so, and a field named `error` is data of an event of that
name (TGI, llama.cpp of 2024).
"""

from collections.abc import Iterator
from functools import partial
from itertools import takewhile
from typing import Protocol

Event = tuple[bytes, bytes]
"""An event's name, which is mostly empty, and its data."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_NAME = 64
_BEGIN_BYTES = 8
"""By so much of its beginning the next event is found."""
_WINDOW = 1 << 15
"""So far ahead is looked for events that are alike: a look is paid for by what it finds."""


class Stream(Protocol):
    """Events of a body, one after the other."""

    def __iter__(self) -> Iterator[Event]:
        """Each event."""
        ...

    def alike(self, name: bytes, head: bytes, tail: bytes) -> list[bytes]:
        """Of those that come next, as long as they have a name, a head and a tail: the rest.

        They are not taken: `skip` does. Of what is between, nothing is known but that no line ends
        there.
        """
        ...

    def skip(self) -> None:
        """Go on after those that `alike` found."""
        ...

    def following(self, name: bytes) -> bytes:
        """The data of the event that comes next, as it will be if it has that name and one line of
        data; else anything, or nothing.
        """
        ...


class _Lines:
    """Lines, one at a time: a body of empty ones is no list of millions."""

    _ends = b"\n"

    def __init__(self, body: bytes) -> None:
        if b"\r" in body:
            body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._body = body
        self._at = self._to = 0

    def _lines(self) -> Iterator[bytes]:
        body = self._body
        while (end := body.find(b"\n", self._at)) >= 0:
            start, self._at = self._at, end + 1
            yield body[start:end]
        if self._at < len(body):
            start, self._at = self._at, len(body)
            yield body[start:]

    def skip(self) -> None:
        """Go on after those that `alike` found."""
        self._at = self._to

    def _following(self, before: bytes) -> bytes:
        """What comes next behind some bytes, to the event's end; empty: something else does."""
        if not self._body.startswith(before, self._at):
            return b""
        end = self._body.find(self._ends, self._at)
        return self._body[self._at + len(before) : end] if end >= 0 else b""

    def _alike(self, head: bytes, tail: bytes) -> list[bytes]:
        """See `Stream`; the head begins where a line does."""
        self._to = self._at
        if b"\n" in tail or not self._body.startswith(head, self._at):
            return []
        begin, rest = head[:_BEGIN_BYTES], head[_BEGIN_BYTES:]
        border = self._ends + begin
        events = self._body[self._at + len(begin) : self._at + _WINDOW].split(border)
        last, ended, _ = events.pop().partition(self._ends)
        if ended:
            events.append(last)
        found = _insides(events, rest, tail, border)
        self._to += sum(map(len, found)) + len(found) * (len(head) + len(tail + self._ends))
        return found


def _insides(events: list[bytes], head: bytes, tail: bytes, border: bytes) -> list[bytes]:
    """What is between a head and a tail in the first of some events, as long as they have both and
    no line ends there.

    Events are split by their beginnings, which are short: for what is long Python prepares its
    search anew for each piece. Then they are compared all at once, for mostly all but the last few
    are alike.
    """
    while events and not (events[-1].startswith(head) and events[-1].endswith(tail)):
        events.pop()
    inside = slice(len(head), -len(tail))
    found = [one[inside] for one in events]
    alike = b"".join((head, (tail + border + head).join(found), tail)) == border.join(events)
    if alike and b"\n" not in b"".join(found):
        return found
    fit = takewhile(partial(_is_alike, head=head, tail=tail), events)
    return [one[inside] for one in fit]


def _is_alike(event: bytes, head: bytes, tail: bytes) -> bool:
    return (
        event.startswith(head)
        and event.endswith(tail)
        and len(event) >= len(head) + len(tail)
        and event.find(b"\n", len(head)) < 0
    )


class JsonLines(_Lines):
    """Each line that is not empty; they have no names."""

    def __iter__(self) -> Iterator[Event]:
        """Each line."""
        for line in self._lines():
            if line.strip():
                yield b"", line

    def alike(self, _name: bytes, head: bytes, tail: bytes) -> list[bytes]:
        """See `Stream`."""
        return self._alike(head, tail)

    def following(self, _name: bytes) -> bytes:
        """See `Stream`."""
        return self._following(b"")


class Events(_Lines):
    """Server-sent events."""

    _ends = b"\n\n"

    def __init__(self, body: bytes) -> None:
        super().__init__(body.removeprefix(_BYTE_ORDER_MARK))

    def __iter__(self) -> Iterator[Event]:
        """Each event."""
        name = b""
        data: list[bytes] = []
        for line in self._lines():
            if not line:
                if data:
                    yield name, b"\n".join(data)
                    data = []
                name = b""
                continue
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"event":
                name = value[:_MOST_NAME]
            elif field in (b"data", b"error"):
                name = b"error" if field == b"error" else name
                data.append(value)
        if data:
            yield name, b"\n".join(data)

    def alike(self, name: bytes, head: bytes, tail: bytes) -> list[bytes]:
        """See `Stream`; as servers write events that have but a name and a line of data."""
        if b"\n" in head:
            return []
        before = _before_data(name)
        spaced = self._alike(before + b" " + head, tail)
        return spaced or self._alike(before + head, tail)

    def following(self, name: bytes) -> bytes:
        """See `Stream`."""
        return self._following(_before_data(name)).removeprefix(b" ")


def _before_data(name: bytes) -> bytes:
    """How an event begins that has a name and a line of data."""
    return b"event: %b\ndata:" % name if name else b"data:"
