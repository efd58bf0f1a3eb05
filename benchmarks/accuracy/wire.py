"""HTTP/1.1 answers as a client reads them, each piece of body with the read that brought it.

Written for the proof of accuracy and for it alone: nothing here is shared with the observer.
"""

from __future__ import annotations

from typing import NamedTuple


class Read(NamedTuple):
    """One read of a socket."""

    user_ns: int
    """The monotonic clock after it returned."""
    kernel_ns: int
    """When the kernel got the last of its bytes, on the same clock."""
    end: int
    """Bytes of the connection's answers up to here, this read's included."""


class Piece(NamedTuple):
    """Bytes of a body, and where they came from."""

    data: bytes
    read: Read
    end: int
    """Bytes of the connection's answers up to the end of this piece."""


class Answer:
    """One answer; `feed` it until it is done.

    Attributes:
        status: of the answer; 0 while its head is not whole.
        done: it has ended, as its framing says.
        begun: the read that brought its first byte.
        ended: the read that brought its last byte.
        closes: the server ends the connection after it.
    """

    def __init__(self, begins_at: int) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[Piece] = []
        self.begun: Read | None = None
        self.ended: Read | None = None
        self.ended_at = 0
        self.done = False
        self._at = begins_at  # offset of the first byte in `_rest`
        self._rest = b""
        self._left = 0  # bytes that the body, or a chunk, still has
        self._chunked = False
        self._in_chunk = False

    @property
    def closes(self) -> bool:
        """Whether the server said so."""
        return self.headers.get("connection", "").lower() == "close"

    @property
    def body(self) -> bytes:
        """All of it, without its framing."""
        return b"".join(piece.data for piece in self.pieces)

    def feed(self, data: bytes, read: Read) -> None:
        """Take what one read brought."""
        self.begun = self.begun or read
        self._rest += data
        if not self.status and not self._head():
            return
        if self._chunked:
            self._chunks(read)
        else:
            self._take(min(self._left, len(self._rest)), read)
            if not self._left:
                self._finish(read)

    def _skip(self, size: int) -> None:
        self._rest = self._rest[size:]
        self._at += size

    def _take(self, size: int, read: Read) -> None:
        if size:
            self.pieces.append(Piece(self._rest[:size], read, self._at + size))
            self._left -= size
            self._skip(size)

    def _finish(self, read: Read) -> None:
        self.done, self.ended, self.ended_at = True, read, self._at

    def _head(self) -> bool:
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = self._rest[:end].decode("latin-1").split("\r\n")
        self.status = int(first.split(" ", 2)[1])
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self._skip(end + 4)
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self._left = int(self.headers.get("content-length", "0"))
        return True

    def _chunks(self, read: Read) -> None:
        while not self.done:
            if self._in_chunk:
                self._take(min(self._left, len(self._rest)), read)
                if self._left or len(self._rest) < 2:
                    return
                self._skip(2)
                self._in_chunk = False
            line = self._rest.find(b"\r\n")
            if line < 0:
                return
            size = int(self._rest[:line].split(b";", 1)[0], 16)
            if size:
                self._skip(line + 2)
                self._left, self._in_chunk = size, True
            elif b"\r\n\r\n" in self._rest:  # no engine of ours sends trailers
                self._skip(self._rest.index(b"\r\n\r\n") + 4)
                self._finish(read)
            else:
                return
