"""Where the header of a weight file ends: of safetensors and GGUF, from untrusted bytes.

Rules:
1. The header names all tensors, with type, shape and place; in GGUF the tokenizer and the chat
   template as well. What follows are the weights themselves, which are never read.
2. Nothing is kept: a header is read once, from front to end, in pieces.
3. What is no header after all, or is longer than `MAX_HEADER_BYTES`, is `NotAHeaderError`.
"""

import struct
from collections.abc import Callable

MAX_HEADER_BYTES = 64 << 20
"""Default 64 MiB: the longest known (GGUF with 260,000 tokens and as many merges) have some 15."""
_PIECE = 1 << 16
_MAX_TEXT = 16 << 20
"""Of one string in a GGUF."""
_MAX_DEPTH = 4
_FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Sizes of GGUF's types of numbers."""
_STRING, _ARRAY = 8, 9
_MAX_DIMENSIONS = 16
_MAX_TENSORS = 1_000_000
_MAX_VALUES = 100_000

Read = Callable[[int], bytes]
"""Returns the next bytes, at most so many; nothing at the end."""


class NotAHeaderError(ValueError):
    """These bytes are no header of the format."""


class Front:
    """A file's first bytes, read in order; all that was gone over is told to `take`."""

    def __init__(self, read: Read, take: Callable[[bytes], None]) -> None:
        self._read = read
        self._take = take
        self._buffer = b""
        self._at = 0
        self._left = MAX_HEADER_BYTES

    def next(self, count: int) -> bytes:
        """The next `count` bytes, all of them.

        Raises:
            NotAHeaderError: the file ends before, or the header is too long.
        """
        if count > self._left:
            raise NotAHeaderError("too long")
        end = self._at + count
        if end > len(self._buffer):
            self._fill(count)
            end = count
        found = self._buffer[self._at : end]
        self._at = end
        self._left -= count
        return found

    def skip(self, count: int) -> None:
        """Go over `count` bytes."""
        while count:
            step = min(count, _PIECE)
            self.next(step)
            count -= step

    def number(self, form: str) -> int:
        """The next number, little-endian."""
        (value,) = struct.unpack(f"<{form}", self.next(struct.calcsize(form)))
        return int(value)

    def end(self) -> None:
        """Tell what was gone over last: the header ends here."""
        self._take(self._buffer[: self._at])
        self._buffer, self._at = self._buffer[self._at :], 0

    def _fill(self, count: int) -> None:
        self.end()
        while len(self._buffer) < count:
            piece = self._read(_PIECE)
            if not piece:
                raise NotAHeaderError("cut off")
            self._buffer += piece


def read_safetensors(front: Front, size: int) -> None:
    """Read a safetensors header: its length in eight bytes, then JSON.

    Raises:
        NotAHeaderError: it is none.
    """
    length = front.number("Q")
    if not 2 <= length <= size - 8:
        raise NotAHeaderError("longer than the file")
    if front.next(1) != b"{":
        raise NotAHeaderError("no JSON")
    front.skip(length - 1)
    front.end()


def read_gguf(front: Front) -> None:
    """Read a GGUF header: magic, version, metadata, names, shapes and types of the tensors.

    Raises:
        NotAHeaderError: it is none, or of a version before 2.
    """
    if front.next(4) != b"GGUF" or not 2 <= front.number("I") < 1 << 16:
        raise NotAHeaderError("no GGUF")
    tensors, values = front.number("Q"), front.number("Q")
    if tensors > _MAX_TENSORS or values > _MAX_VALUES:
        raise NotAHeaderError("more tensors or values than there can be")
    for _ in range(values):
        _string(front)
        _value(front, front.number("I"), 0)
    for _ in range(tensors):
        _string(front)
        dimensions = front.number("I")
        if dimensions > _MAX_DIMENSIONS:
            raise NotAHeaderError("a tensor of too many dimensions")
        front.skip(8 * dimensions + 4 + 8)
    front.end()


def _string(front: Front) -> None:
    length = front.number("Q")
    if length > _MAX_TEXT:
        raise NotAHeaderError("a string that is too long")
    front.skip(length)


def _value(front: Front, kind: int, depth: int) -> None:
    if kind in _FIXED:
        front.skip(_FIXED[kind])
    elif kind == _STRING:
        _string(front)
    elif kind == _ARRAY and depth < _MAX_DEPTH:
        inner, count = front.number("I"), front.number("Q")
        if inner in _FIXED:
            front.skip(min(_FIXED[inner] * count, MAX_HEADER_BYTES + 1))
            return
        for _ in range(count):
            _value(front, inner, depth + 1)
    else:
        raise NotAHeaderError("a value of no known type")
