"""The frame format: one header and a payload, sans I/O.

A frame is ``<IBQII`` (little endian, 21 bytes: flow id, kind, monotonic ns, write delay ns,
payload length) and then the payload. ``FrameDecoder`` takes bytes in any segmentation and gives
back whole frames; it decodes a whole buffer in one loop, for the observer reads more than
100 000 frames a second with it.
"""

from __future__ import annotations

from struct import Struct

HEADER = Struct("<IBQII")
HEADER_BYTES = HEADER.size
MAX_PAYLOAD_BYTES = 1 << 20
"""Far above what the relay sends (one read, 64 KiB): a longer payload means a damaged stream."""
NO_DELAY = 0xFFFFFFFF
"""The write delay of bytes that had to wait for the other side, and of frames without bytes."""
MAX_DELAY_NS = NO_DELAY - 1

OPEN = ord("O")
CLIENT_BYTES = ord("c")
ENGINE_BYTES = ord("s")
CLIENT_EOF = ord("C")
ENGINE_EOF = ord("S")
RESET = ord("R")
CLOSED = ord("X")
GAP = ord("G")
STATS = ord("T")
KINDS = frozenset(b"OcsCSRXGT")

Frame = tuple[int, int, int, int, bytes]
"""(flow id, kind, monotonic ns, write delay ns, payload); `kind` is one of the constants above."""


class FrameError(ValueError):
    """Bytes that are no frame; says what is wrong and at which offset of the stream."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(f"{what} at byte {offset}")
        self.what = what
        self.offset = offset


def encode(
    flow: int, kind: int, at_ns: int, delay_ns: int = NO_DELAY, payload: bytes = b""
) -> bytes:
    """Return one frame as bytes."""
    return HEADER.pack(flow, kind, at_ns, delay_ns, len(payload)) + payload


class FrameDecoder:
    """Decode a stream of frames that arrives in pieces.

    Args:
        offset: where the first byte that is fed stands in its stream; only errors show it.
    """

    __slots__ = ("_error", "_offset", "_rest")

    def __init__(self, offset: int = 0) -> None:
        self._rest = b""
        self._offset = offset
        self._error: FrameError | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole now.

        Raises:
            FrameError: the next bytes are no frame. Whole frames before them are returned first;
                the error then comes from the next `feed` or from `close`.
        """
        if self._error is not None:
            raise self._error
        buffer = self._rest + data if self._rest else data
        frames: list[Frame] = []
        append = frames.append
        unpack = HEADER.unpack_from
        kinds = KINDS
        start = 0
        size = len(buffer)
        last_header = size - HEADER_BYTES
        while start <= last_header:
            flow, kind, at_ns, delay_ns, length = unpack(buffer, start)
            if kind not in kinds or length > MAX_PAYLOAD_BYTES:
                self._error = _wrong_header(kind, length, self._offset + start)
                break
            body = start + HEADER_BYTES
            end = body + length
            if end > size:
                break
            append((flow, kind, at_ns, delay_ns, buffer[body:end]))
            start = end
        self._rest = buffer[start:]
        self._offset += start
        if self._error is not None and not frames:
            raise self._error
        return frames

    def close(self) -> None:
        """Say that the stream has ended.

        Raises:
            FrameError: it ended inside a frame, or was damaged before.
        """
        if self._error is not None:
            raise self._error
        if self._rest:
            raise FrameError(f"the stream ends {len(self._rest)} bytes into a frame", self._offset)


def _wrong_header(kind: int, length: int, offset: int) -> FrameError:
    if kind not in KINDS:
        return FrameError(f"unknown frame kind {kind}", offset)
    return FrameError(f"payload of {length} bytes (the limit is {MAX_PAYLOAD_BYTES})", offset)
