"""What a spool is to those who fill it and those who ship from it, and the one in memory.

Rules:
1. Entries have numbers, one after the other. Every reader reads all of them, at its own pace, and
   says up to which number it is done.
2. Never more than the limit: the oldest entries go first, read or not; a reader that had not read
   them is told how many (`Reader.lost`).
3. At least once: what was not acknowledged is read again by whoever comes next.
4. Nothing waits for ever: what came before a time goes by `expire`.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Protocol

ENTRY_OVERHEAD = 128
"""Bytes of memory that an entry costs beside its record."""


class Entry(NamedTuple):
    """A record with its number, and when it came (Unix seconds)."""

    number: int
    record: bytes
    at: float


class Spool(Protocol):
    """Where records wait."""

    def append(self, record: bytes, at: float) -> bool:
        """Let one more wait that came at a time; False: it has no room, and never will."""

    def read(self, reader: str, *, most: int, most_bytes: int) -> list[Entry]:
        """The next entries after the last that `reader` is done with: at least one if there is one,
        then so many, and of so many bytes, at most.
        """

    def done(self, reader: str, number: int) -> None:
        """`reader` needs no entry up to this number any more."""

    def waiting(self, reader: str) -> int:
        """How many entries `reader` is not done with."""

    def oldest(self, reader: str) -> float | None:
        """When the first entry came that `reader` is not done with; None: none waits."""

    def lost(self, reader: str) -> int:
        """How many entries went before `reader` was done with them."""

    def expire(self, before: float) -> None:
        """Let go of what came before a time."""

    @property
    def size(self) -> int:
        """Bytes that are taken."""


class Places:
    """How far each reader is, and what it lost."""

    def __init__(self, readers: Iterable[str]) -> None:
        self.next = dict.fromkeys(readers, 0)
        """By reader, the number of the entry that it is to read next."""
        self.lost = dict.fromkeys(self.next, 0)
        """By reader, how many entries it was not done with when they went."""

    def done(self, reader: str, number: int) -> None:
        """It needs nothing up to `number`."""
        self.next[reader] = max(self.next[reader], number + 1)

    def gone(self, first: int, after: int) -> None:
        """Entries from `first` until before `after` are there no more, nor any before them."""
        for reader, place in self.next.items():
            if place < after:
                self.lost[reader] += after - max(place, first)
                self.next[reader] = after

    @property
    def all_done(self) -> int:
        """Nobody needs an entry before this number."""
        return min(self.next.values(), default=0)


class MemorySpool:
    """Waits in memory, and ends with the process.

    Args:
        readers: their names.
        limit: bytes, the overhead of entries included.
    """

    def __init__(self, readers: Iterable[str], limit: int) -> None:
        self._limit = limit
        self._entries: deque[tuple[float, bytes]] = deque()
        self._first = 0
        self._places = Places(readers)
        self.size = 0

    def append(self, record: bytes, at: float) -> bool:
        """See `Spool`."""
        cost = len(record) + ENTRY_OVERHEAD
        if cost > self._limit:
            return False
        while self.size + cost > self._limit:
            self._drop_oldest()
        self._entries.append((at, record))
        self.size += cost
        return True

    def read(self, reader: str, *, most: int, most_bytes: int) -> list[Entry]:
        """See `Spool`."""
        found: list[Entry] = []
        total = 0
        for number in range(self._places.next[reader], self._first + len(self._entries)):
            at, record = self._entries[number - self._first]
            total += len(record)
            if found and (len(found) >= most or total > most_bytes):
                break
            found.append(Entry(number, record, at))
        return found

    def done(self, reader: str, number: int) -> None:
        """See `Spool`."""
        self._places.done(reader, min(number, self._first + len(self._entries) - 1))
        while self._first < self._places.all_done:
            self._drop_oldest()

    def waiting(self, reader: str) -> int:
        """See `Spool`."""
        return self._first + len(self._entries) - self._places.next[reader]

    def oldest(self, reader: str) -> float | None:
        """See `Spool`."""
        waits = self.waiting(reader)
        return self._entries[-waits][0] if waits else None

    def lost(self, reader: str) -> int:
        """See `Spool`."""
        return self._places.lost[reader]

    def expire(self, before: float) -> None:
        """See `Spool`."""
        while self._entries and self._entries[0][0] < before:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.size -= len(self._entries.popleft()[1]) + ENTRY_OVERHEAD
        self._first += 1
        self._places.gone(self._first - 1, self._first)
