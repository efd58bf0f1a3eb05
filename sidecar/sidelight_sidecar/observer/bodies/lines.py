"""Bodies that are a sequence of things without SSE: JSON lines, and gRPC's messages."""

import struct

MAX_LINE_BYTES = 1 << 20
"""Ollama's last line holds the context of the conversation: some hundred kilobytes."""
_PREFIX = struct.Struct(">BI")


class TooLongError(ValueError):
    """A line or message exceeds `MAX_LINE_BYTES`."""


class LineStream:
    """JSON lines, cut anywhere.

    Attributes:
        pending: bytes of a line that is not whole yet.
    """

    __slots__ = ("_rest", "pending")

    def __init__(self) -> None:
        self._rest = bytearray()
        self.pending = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are whole now, without empty ones.

        Raises:
            TooLongError: a line is longer than anything that is one.
        """
        head, newline, tail = data.rpartition(b"\n")
        if not newline:
            self._keep(data)
            return []
        if self._rest:
            head = bytes(self._rest) + head
            self._rest.clear()
        self.pending = 0
        if tail:
            self._keep(tail)
        return [line for line in head.split(b"\n") if line.strip()]

    def flush(self) -> list[bytes]:
        """The last line, where no newline came after it."""
        rest = bytes(self._rest)
        self._rest.clear()
        self.pending = 0
        return [rest] if rest.strip() else []

    def _keep(self, part: bytes) -> None:
        self._rest += part
        self.pending += len(part)
        if self.pending > MAX_LINE_BYTES:
            raise TooLongError


class MessageStream:
    """gRPC's length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message").

    Attributes:
        pending: bytes of a message that is not whole yet.
        compressed: a message was compressed; such are not read.
    """

    __slots__ = ("_buffer", "compressed", "pending")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.pending = 0
        self.compressed = False

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now.

        Raises:
            TooLongError: a message says that it is longer than what is read.
        """
        buffer = self._buffer
        buffer += data
        messages = []
        start = 0
        while len(buffer) - start >= _PREFIX.size:
            compressed, length = _PREFIX.unpack_from(buffer, start)
            if length > MAX_LINE_BYTES:
                raise TooLongError
            end = start + _PREFIX.size + length
            if end > len(buffer):
                break
            if compressed:
                self.compressed = True
            else:
                messages.append(bytes(buffer[start + _PREFIX.size : end]))
            start = end
        del buffer[:start]
        self.pending = len(buffer)
        return messages
