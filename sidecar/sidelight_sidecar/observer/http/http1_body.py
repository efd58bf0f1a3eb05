"""Bodies of HTTP/1.x messages: with a length, in chunks, or until the connection ends.

Each takes bytes in any segmentation. `feed` gives back what they bring of the body; when `done`,
`rest` is what came after it.
"""

import re

from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.dialects.base import Headers
from sidelight_sidecar.observer.flows.opaque import AMBIGUOUS, TOO_LONG, NotFollowedError
from sidelight_sidecar.observer.http.http1_head import HeadBuffer, parse_fields

MAX_SIZE_LINE_BYTES = 4096
"""A chunk's size with its extensions; signatures in them are some hundred bytes."""

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_EXTENDED_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\0\r\n]*)?\r\n")


class LengthBody:
    """So many bytes."""

    __slots__ = ("_left", "done", "rest", "trailers")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = False
        self.rest = b""
        self.trailers: Headers = {}

    def feed(self, data: bytes) -> bytes:
        """Take bytes; see the module."""
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            return data
        self.done = True
        self.rest = data[left:]
        return data[:left] if self.rest else data

    def release(self) -> None:
        """Nothing is kept."""


class OpenBody:
    """Everything there is until the connection ends."""

    __slots__ = ()
    done = False
    rest = b""
    trailers: Headers = {}  # noqa: RUF012 - nobody writes to it

    def feed(self, data: bytes) -> bytes:
        """Take bytes; see the module."""
        return data

    def release(self) -> None:
        """Nothing is kept."""


class ChunkedBody:
    """Chunks (RFC 9112, 7.1), extensions ignored, and trailers.

    Sizes and chunks must end in CRLF: with a bare LF, where one implementation sees an end another
    sees an extension.
    """

    __slots__ = ("_budget", "_left", "_line", "_trailing", "done", "rest", "trailers")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._left = 0  # of the present chunk, its CRLF included
        self._line = b""  # of a size that is not whole yet
        self._trailing: HeadBuffer | None = None
        self.done = False
        self.rest = b""
        self.trailers: Headers = {}

    def feed(self, data: bytes) -> bytes:
        """Take bytes; see the module.

        Raises:
            NotFollowedError: they are no chunks.
        """
        if not (self._left or self._line or self._trailing):
            found = _SIZE_LINE.match(data)
            if found is not None:
                start = found.end()
                stop = start + int(found[1], 16)
                if stop + 2 == len(data) and stop > start and data.endswith(b"\r\n"):
                    return data[start:stop]  # one whole chunk in one read: nearly all are
        return self._cut(data)

    def release(self) -> None:
        """Give back what is kept of trailers."""
        if self._trailing is not None:
            self._trailing.release()

    def _cut(self, data: bytes) -> bytes:
        if self._trailing is not None:
            self._trailer(self._trailing, data)
            return b""
        if self._line:
            data = self._line + data
            self._line = b""
        pieces = []
        position = 0
        size = len(data)
        while position < size:
            left = self._left
            if left:
                stop = min(position + left, size)
                self._left = left = left - (stop - position)
                piece_end = stop - max(0, 2 - left)
                _check_end(data[max(position, piece_end) : stop], left)
                if piece_end > position:
                    pieces.append(data[position:piece_end])
                position = stop
            else:
                position = self._size(data, position)
                if position < 0:
                    break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _size(self, data: bytes, position: int) -> int:
        """Read a size; return where it ends, or -1: what follows of `data` is taken care of."""
        found = _EXTENDED_SIZE_LINE.match(data, position)
        if found is None:
            self._line = data[position:]
            if b"\n" in self._line:
                raise NotFollowedError(AMBIGUOUS)
            if len(self._line) > MAX_SIZE_LINE_BYTES:
                raise NotFollowedError(TOO_LONG)
            return -1
        size = int(found[1], 16)
        if size:
            self._left = size + 2
            return found.end()
        self._trailing = HeadBuffer(self._budget)
        # A line end before them, so that no trailers at all end as any others do.
        self._trailer(self._trailing, b"\0\n" + data[found.end() :])
        return -1

    def _trailer(self, trailing: HeadBuffer, data: bytes) -> None:
        taken = trailing.take(data, 0)
        if taken is not None:
            block, self.rest = taken
            self.done = True
            self.trailers = parse_fields(block, 2)


def _check_end(end: bytes, left: int) -> None:
    """Check what came of a chunk's CRLF; `left` of its bytes are still to come."""
    if end not in (b"", b"\r\n", b"\n" if not left else b"\r"):
        raise NotFollowedError(AMBIGUOUS)
