"""The bodies of an exchange as they pass, kept until it is decided whether it becomes a record.

Rules:
1. Up to a limit each, from the start; what is longer is cut, and `size` says how long it was.
2. All together within a budget of their own, so that captured bodies never take room from what the
   observer reads. Without room a body is cut where it is.
"""

from sidelight_sidecar.observer.budget import Budget, Held
from sidelight_sidecar.records.handover import Payload

CAPTURE_BYTES = 32 << 20
"""Default 32 MiB: 256 streams with prompts of 100 kB each at a time."""
BLOCK = 4096
"""Room is asked for in blocks of so many bytes."""
MAX_WORD = 128
MAX_DIGITS = 9


class KeptBody:
    """One side's body."""

    __slots__ = (
        "_buffer", "_full", "_held", "_limit", "_room", "coding", "ended", "json_bytes",
        "media_type", "size",
    )  # fmt: skip

    def __init__(self, budget: Budget, limit: int) -> None:
        self._held = Held(budget)
        self._buffer = bytearray()
        self._limit = limit
        self._full = False
        self._room = 0  # bytes for which nothing is to be asked; none where it is full
        self.size = 0
        self.media_type = ""
        self.coding = ""
        self.ended = False
        self.json_bytes = 0

    def head(self, media_type: bytes, coding: bytes, json_bytes: bytes = b"") -> None:
        """Note what it says of itself."""
        if json_bytes.isdigit() and len(json_bytes) <= MAX_DIGITS:
            self.json_bytes = int(json_bytes)
        self.media_type = media_type[:MAX_WORD].decode("latin-1").partition(";")[0].strip().lower()
        self.coding = coding[:MAX_WORD].decode("latin-1").strip().lower()

    def add(self, data: bytes) -> None:
        """A further piece of it."""
        size = len(data)
        self.size += size
        if size <= self._room:
            self._room -= size
            self._buffer += data
        elif not self._full:
            self._ask(data)

    def _ask(self, data: bytes) -> None:
        """Keep a piece that there is no room for yet."""
        left = self._limit - len(self._buffer)
        if len(data) > left:
            data, self._full = data[:left], True
        wanted = len(self._buffer) + len(data)
        while self._held.size < wanted:
            if not self._held.grow(BLOCK):
                self._full = True
                break
        self._buffer += data[: self._held.size - len(self._buffer)]
        end = len(self._buffer) if self._full else min(self._held.size, self._limit)
        self._room = end - len(self._buffer)

    def payload(self) -> Payload:
        """It, as it is handed over."""
        return Payload(
            bytes(self._buffer), self.media_type, self.coding, self.size, self.ended,
            self.json_bytes,
        )  # fmt: skip

    def release(self) -> None:
        """Keep it no longer."""
        self._full = True
        self._room = 0
        self._buffer.clear()
        self._held.release()


class Bodies:
    """Both sides'."""

    __slots__ = ("request", "response")

    def __init__(self, budget: Budget, limit: int) -> None:
        self.request = KeptBody(budget, limit)
        self.response = KeptBody(budget, limit)

    def release(self) -> None:
        """Keep them no longer."""
        self.request.release()
        self.response.release()
