"""What a spool is to those who fill it and those who ship from it, and the one in memory.

Rules:
1. Entries have numbers, one after the other. Every reader reads all of them, at its own pace, and
   says up to which number it is done.
2. Never more than the limit: the oldest entries go first, read or not; a reader that had not read
   them is told how many (`Reader.lost`).
3. At least once: what was not acknowledged is read again by whoever comes next.
4. Nothing waits for ever: what came before a time goes by `expire`.
5. A reader may set an entry aside: it reads on behind it, and that one waits like any other until
   it is settled.
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

    def set_aside(self, reader: str, number: int) -> None:
        """`reader` reads on behind this one, and is not done with it."""

    def read_aside(self, reader: str, number: int) -> Entry | None:
        """One that was set aside; None: it is there no more."""

    def settle(self, reader: str, number: int) -> None:
        """`reader` needs no more what it had set aside."""

    def unread(self, reader: str) -> int:
        """How many entries `read` still has for `reader`: without those set aside."""

    def waiting(self, reader: str) -> int:
        """How many entries `reader` is not done with."""

    def oldest(self, reader: str, *, aside: bool = True) -> float | None:
        """When the first entry came that `reader` is not done with, or, without those set aside,
        has not read; None: none waits.
        """

    def lost(self, reader: str) -> int:
        """How many entries went before `reader` was done with them."""

    def expire(self, before: float) -> None:
        """Let go of what came before a time."""

    @property
    def size(self) -> int:
        """Bytes that are taken."""


class Places:
    """How far each reader is, what it has set aside, and what it lost."""

    def __init__(self, readers: Iterable[str]) -> None:
        self.next = dict.fromkeys(readers, 0)
        """By reader, the number of the entry that it is to read next."""
        self.aside: dict[str, set[int]] = {reader: set() for reader in self.next}
        """By reader, numbers before that which it is not done with."""
        self.lost = dict.fromkeys(self.next, 0)
        """By reader, how many entries it was not done with when they went."""

    def done(self, reader: str, number: int) -> None:
        """It needs nothing up to `number`, but what it has set aside."""
        self.next[reader] = max(self.next[reader], number + 1)

    def set_aside(self, reader: str, number: int) -> None:
        """It reads on behind `number`."""
        self.aside[reader].add(number)
        self.done(reader, number)

    def gone(self, first: int, after: int) -> None:
        """Entries from `first` until before `after` are there no more, nor any before them."""
        for reader, place in self.next.items():
            kept = {number for number in self.aside[reader] if number >= after}
            self.lost[reader] += len(self.aside[reader]) - len(kept)
            self.aside[reader] = kept
            if place < after:
                self.lost[reader] += after - max(place, first)
                self.next[reader] = after

    def first(self, reader: str) -> int:
        """It is done with all before this number."""
        return min(self.aside[reader], default=self.next[reader])

    @property
    def all_done(self) -> int:
        """Nobody needs an entry before this number."""
        return min(map(self.first, self.next), default=0)


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
        if not self._places.next:  # nobody reads
            return True
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
            entry = self._entry(number)
            total += len(entry.record)
            if found and (len(found) >= most or total > most_bytes):
                break
            found.append(entry)
        return found

    def done(self, reader: str, number: int) -> None:
        """See `Spool`."""
        self._places.done(reader, min(number, self._first + len(self._entries) - 1))
        self._drop_done()

    def set_aside(self, reader: str, number: int) -> None:
        """See `Spool`."""
        self._places.set_aside(reader, number)

    def read_aside(self, reader: str, number: int) -> Entry | None:
        """See `Spool`."""
        return self._entry(number) if number in self._places.aside[reader] else None

    def settle(self, reader: str, number: int) -> None:
        """See `Spool`."""
        self._places.aside[reader].discard(number)
        self._drop_done()

    def unread(self, reader: str) -> int:
        """See `Spool`."""
        return self._first + len(self._entries) - self._places.next[reader]

    def waiting(self, reader: str) -> int:
        """See `Spool`."""
        return self.unread(reader) + len(self._places.aside[reader])

    def oldest(self, reader: str, *, aside: bool = True) -> float | None:
        """See `Spool`."""
        number = self._places.first(reader) if aside else self._places.next[reader]
        there = number < self._first + len(self._entries)
        return self._entry(number).at if there else None

    def lost(self, reader: str) -> int:
        """See `Spool`."""
        return self._places.lost[reader]

    def expire(self, before: float) -> None:
        """See `Spool`."""
        while self._entries and self._entries[0][0] < before:
            self._drop_oldest()

    def _entry(self, number: int) -> Entry:
        at, record = self._entries[number - self._first]
        return Entry(number, record, at)

    def _drop_done(self) -> None:
        while self._first < self._places.all_done:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.size -= len(self._entries.popleft()[1]) + ENTRY_OVERHEAD
        self._first += 1
        self._places.gone(self._first - 1, self._first)
