"""One direction of an HTTP/2 connection, cut into frames (RFC 9113, 4 and 6).

Rules:
1. Data is given out as it comes: what one read brought of a frame does not wait for the rest.
   Everything else is given out whole; header blocks are joined with their CONTINUATION frames.
2. What a passive reader needs nothing of (PING, WINDOW_UPDATE, PRIORITY, unknown types) is skipped
   without being kept.
3. Lengths that the receiver has not allowed, a header block that something else interrupts, and
   the like are `malformed`: the receiver would close the connection.
"""

from struct import Struct
from typing import NamedTuple

from sidelight_sidecar.observer.budget import Budget, Held
from sidelight_sidecar.observer.flows.opaque import MALFORMED, MEMORY, TOO_LONG, NotFollowedError

DATA = 0
HEADERS = 1
RST_STREAM = 3
SETTINGS = 4
PUSH_PROMISE = 5
GOAWAY = 7
CONTINUATION = 9

ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
_PRIORITY = 0x20

DEFAULT_FRAME_BYTES = 1 << 14
MAX_BLOCK_BYTES = 256 * 1024
"""A compressed header block; as much as a head of HTTP/1.1."""
MAX_CONTINUATIONS = 64
"""Frames of one header block: empty ones could come for ever (CVE-2024-27316 and the like)."""
FREE_BYTES = 1024
"""What may be kept of a frame without asking the budget."""

_HEADER = Struct(">BHBBI")
_HEADER_BYTES = _HEADER.size
_ON_STREAM = frozenset({DATA, HEADERS, RST_STREAM, PUSH_PROMISE, CONTINUATION})
_ON_CONNECTION = frozenset({SETTINGS, GOAWAY})
_KNOWN = _ON_STREAM | _ON_CONNECTION


class Part(NamedTuple):
    """A frame, or what one read brought of a data frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    """Without padding and priority; of a header block, all of it."""
    start_ns: int
    """When the first byte of the frame came."""


class FrameCutter:
    """Takes the bytes in any segmentation.

    Attributes:
        max_frame_bytes: what the receiver allows (SETTINGS_MAX_FRAME_SIZE), at most so far.
    """

    __slots__ = (
        "_block", "_continuations", "_data", "_held", "_kept", "_left", "_need", "_padding",
        "_since_ns", "_skip", "max_frame_bytes",
    )  # fmt: skip

    def __init__(self, budget: Budget) -> None:
        self.max_frame_bytes = DEFAULT_FRAME_BYTES
        self._held = Held(budget)
        self._kept = bytearray()  # the beginning of a frame
        self._need = _HEADER_BYTES  # so many bytes make it worth a look
        self._since_ns = 0  # when its first byte came
        self._skip = 0  # bytes to pass over
        self._data: Part | None = None  # a data frame under way
        self._left = 0  # bytes of its data still to come
        self._padding = 0  # and of its padding
        self._block: Part | None = None  # a header block without its end
        self._continuations = 0

    def feed(self, data: bytes, at_ns: int) -> list[Part]:
        """Return what these bytes bring.

        Raises:
            NotFollowedError: they are no frames, or more than may be kept.
        """
        since_ns = at_ns
        if self._kept:
            self._kept += data
            if len(self._kept) < self._need:
                self._hold()
                return []
            data = bytes(self._kept)
            self._kept.clear()
            since_ns = self._since_ns
        parts: list[Part] = []
        position = self._go_on(data, 0, parts)
        size = len(data)
        while size - position >= _HEADER_BYTES:
            after = self._frame(data, position, since_ns, parts)
            if after == position:
                break
            position = after
            since_ns = at_ns
        if position < size:
            self._kept += data[position:] if position else data
            self._since_ns = since_ns
            self._hold()
        elif self._held.size:
            self._hold()
        return parts

    def release(self) -> None:
        """Forget what is kept."""
        self._kept.clear()
        self._block = None
        self._held.release()

    def _frame(self, data: bytes, position: int, since_ns: int, parts: list[Part]) -> int:
        """Read the frame at `position`; return where the next one begins: the same position when
        it is not whole, past the end of `data` when its rest is to be passed over.
        """
        high, low, kind, flags, stream = _HEADER.unpack_from(data, position)
        length: int = high << 16 | low
        stream &= 0x7FFFFFFF
        start = position + _HEADER_BYTES
        self._check(kind, length, stream)
        if kind == DATA:
            head = Part(kind, flags, stream, b"", since_ns)
            return self._data_frame(data, start, length, head, parts)
        end = start + length
        if kind not in _KNOWN:
            self._skip = max(0, end - len(data))
            return end
        if end > len(data):
            self._need = _HEADER_BYTES + length
            return position
        self._need = _HEADER_BYTES
        payload = data[start:end]
        if kind in (HEADERS, PUSH_PROMISE):
            payload = _without_padding(payload, flags)
            if kind == HEADERS and flags & _PRIORITY:
                payload = payload[5:]
        self._whole(Part(kind, flags, stream, payload, since_ns), parts)
        return end

    def _check(self, kind: int, length: int, stream: int) -> None:
        if length > self.max_frame_bytes:
            raise NotFollowedError(MALFORMED)
        if kind in _KNOWN and (stream == 0) is (kind in _ON_STREAM):
            raise NotFollowedError(MALFORMED)
        block = self._block
        continues = kind == CONTINUATION and block is not None and block.stream == stream
        if (block is not None or kind == CONTINUATION) and not continues:
            raise NotFollowedError(MALFORMED)
        if kind in _KNOWN and kind != DATA and length > MAX_BLOCK_BYTES:
            raise NotFollowedError(TOO_LONG)

    def _whole(self, part: Part, parts: list[Part]) -> None:
        """Give out a whole frame, or add it to its header block."""
        if part.kind not in (HEADERS, PUSH_PROMISE, CONTINUATION):
            parts.append(part)
            return
        block = self._block
        if block is not None:
            self._continuations += 1
            flags = block.flags | part.flags & END_HEADERS
            part = block._replace(flags=flags, payload=block.payload + part.payload)
        else:
            self._continuations = 0
        if part.flags & END_HEADERS:
            self._block = None
            parts.append(part)
            return
        if self._continuations == MAX_CONTINUATIONS or len(part.payload) > MAX_BLOCK_BYTES:
            raise NotFollowedError(TOO_LONG)
        self._block = part

    def _data_frame(
        self, data: bytes, start: int, length: int, head: Part, parts: list[Part]
    ) -> int:
        """Begin a data frame; the result is that of `_frame`."""
        padding = 0
        if head.flags & PADDED:
            if start == len(data) and length:
                self._need = _HEADER_BYTES + 1
                return start - _HEADER_BYTES
            padding = data[start] + 1 if length else 1
            if padding > length:
                raise NotFollowedError(MALFORMED)
            start += 1
        self._need = _HEADER_BYTES
        end = start + length - padding
        padding = max(0, padding - 1)  # without its own length
        if end + padding <= len(data):
            parts.append(head._replace(payload=data[start:end]))
            return end + padding
        self._data = head
        self._left = end - start
        self._padding = padding
        return self._go_on(data, start, parts)

    def _go_on(self, data: bytes, position: int, parts: list[Part]) -> int:
        """Go on with what is under way; return where the next frame begins, or a place past the
        end of `data`.
        """
        if self._skip:
            end = position + self._skip
            self._skip = max(0, end - len(data))
            return end
        head = self._data
        if head is None:
            return position
        end = position + self._left
        piece = data[position:end]
        self._left -= len(piece)
        padded = max(0, min(self._padding, len(data) - end))
        self._padding -= padded
        if self._left or self._padding:
            if piece:
                parts.append(head._replace(flags=head.flags & ~END_STREAM, payload=piece))
            return len(data)
        self._data = None
        parts.append(head._replace(payload=piece))
        return end + padded

    def _hold(self) -> None:
        kept = len(self._kept) + (len(self._block.payload) if self._block is not None else 0)
        if not self._held.set(kept if kept > FREE_BYTES else 0):
            raise NotFollowedError(MEMORY)


def _without_padding(payload: bytes, flags: int) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise NotFollowedError(MALFORMED)
    return payload[1 : len(payload) - payload[0]]
