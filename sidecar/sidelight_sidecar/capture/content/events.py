"""Streams that are there as a whole: server-sent events and JSON lines.

Events are split as browsers do (WHATWG HTML, 9.2.6): lines end at LF, CRLF or CR, never at U+2028
or the like, and `data` of several lines is joined. Unlike there, an event without a blank line
after it counts, for some servers end so, and a field named `error` is data of an event of that
name (TGI, llama.cpp of 2024).
"""

from collections.abc import Iterator
from typing import Protocol

Event = tuple[bytes, bytes]
"""An event's name, which is mostly empty, and its data."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_NAME = 64
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

    def _alike(self, head: bytes, tail: bytes) -> list[bytes]:
        """See `Stream`; the head begins where a line does."""
        self._to = self._at
        if b"\n" in tail or not self._body.startswith(head, self._at):
            return []
        tail += self._ends
        found = self._body[self._at + len(head) : self._at + _WINDOW].split(tail + head)
        last = next((at for at, one in enumerate(found) if b"\n" in one), len(found) - 1)
        del found[last + 1 :]
        found[last], ended, _ = found[last].partition(tail)
        if not ended or b"\n" in found[last]:
            del found[last]
        self._to += sum(map(len, found)) + len(found) * (len(head) + len(tail))
        return found


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
        before = b"event: " + name + b"\n" if name else b""
        spaced = self._alike(before + b"data: " + head, tail)
        return spaced or self._alike(before + b"data:" + head, tail)
