"""A spool on disk, which outlives the process (not the node: nothing is synced).

Rules:
1. A directory of segments, named by the number of their first entry. Only the newest grows, up to
   a sixteenth of the limit; the oldest go whole, when all readers are done or room is needed.
2. How far the readers are is a small file of JSON, replaced whole. If it is lost or damaged, they
   begin at the oldest entry: twice rather than never. So they do at what they had set aside.
3. A damaged end of a segment is skipped, and counted. After a start a new segment is begun: nothing
   is written behind what a crash left half written.
4. A disk that is full: the oldest segment goes, and the entry is tried once more.
5. What is too old goes a segment at a time, and a segment grows for a sixteenth of the longest age
   at most: nothing waits longer than a seventeenth over it.
6. A directory has one owner, by a lock: the process before this one may still be shipping.
Memory: sixteen bytes for each entry, and one segment while it is looked through at a start.
"""

import contextlib
import json
import os
from array import array
from collections.abc import Iterable
from pathlib import Path

from sidelight_sidecar.capture.spool.lock import Lock
from sidelight_sidecar.capture.spool.queue import Entry, Places
from sidelight_sidecar.capture.spool.segment import HEADER_BYTES, Read, encode, entries

SEGMENTS = 16
_PLACES = "places.json"
_SUFFIX = ".records"


class _Segment:
    """A file, the number of its first entry, and where each entry ends."""

    __slots__ = ("ends", "first", "path", "times")

    def __init__(self, path: Path, first: int, held: Iterable[Read] = ()) -> None:
        self.path = path
        self.first = first
        self.ends = array("Q")
        self.times = array("d")
        for read in held:
            self.ends.append(read.end)
            self.times.append(read.at)

    @property
    def next(self) -> int:
        return self.first + len(self.ends)

    @property
    def size(self) -> int:
        return self.ends[-1] if self.ends else 0

    def span(self, number: int) -> tuple[int, int]:
        """Where an entry begins and ends."""
        place = number - self.first
        return self.ends[place - 1] if place else 0, self.ends[place]

    def append(self, entry: bytes, at: float) -> bool:
        """Whether it is there whole; else nothing of it is."""
        try:
            with self.path.open("ab", buffering=0) as file:
                file.truncate(self.size)
                if file.write(entry) == len(entry):
                    self.ends.append(self.size + len(entry))
                    self.times.append(at)
                    return True
        except OSError:
            pass
        with contextlib.suppress(OSError):
            os.truncate(self.path, self.size)
        return False

    def read(self, number: int) -> Entry | None:
        """An entry; None: it cannot be read any more."""
        start, end = self.span(number)
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(start)
                found = next(entries(file.read(end - start)), None)
                return Entry(number, found.record, found.at) if found else None
        except OSError:
            return None


class DiskSpool:
    """See the module.

    Args:
        directory: made if it is not there.
        readers: their names.
        limit: bytes of all segments together.
        age_seconds: how long a record may wait: a day unless told otherwise.

    Attributes:
        damaged: segments whose end, and entries that, could not be read, since the start.

    Raises:
        BlockingIOError: another process has it.
        OSError: the directory cannot be made or read.
    """

    def __init__(
        self, directory: Path, readers: Iterable[str], limit: int, age_seconds: float = 86_400.0
    ) -> None:
        self._directory = directory
        self._limit = limit
        self._span_seconds = age_seconds / SEGMENTS
        self.damaged = 0
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(directory)
        self._segments = self._found()
        self._places = Places(readers)
        self._recall()
        last = self._segments[-1].next if self._segments else 0
        self._begin(max(last, *self._places.next.values(), 0))

    @property
    def size(self) -> int:
        """See `Spool`."""
        return sum(segment.size for segment in self._segments)

    def append(self, record: bytes, at: float) -> bool:
        """See `Spool`."""
        if len(record) + HEADER_BYTES > self._limit // SEGMENTS:
            return False
        entry = encode(record, at)
        newest = self._segments[-1]
        full = newest.size + len(entry) > self._limit // SEGMENTS
        if full or (newest.times and at - newest.times[0] > self._span_seconds):
            self._begin(newest.next)
        while self.size + len(entry) > self._limit and len(self._segments) > 1:
            self._drop_oldest()
        if self._segments[-1].append(entry, at):
            return True
        if len(self._segments) > 1:
            self._drop_oldest()
        return self._segments[-1].append(entry, at)

    def read(self, reader: str, *, most: int, most_bytes: int) -> list[Entry]:
        """See `Spool`."""
        found: list[Entry] = []
        total = 0
        place = self._places.next[reader]
        for segment in self._segments:
            for number in range(max(place, segment.first), segment.next):
                start, end = segment.span(number)
                total += end - start - HEADER_BYTES
                if found and (len(found) >= most or total > most_bytes):
                    return found
                if (entry := segment.read(number)) is not None:
                    found.append(entry)
                else:
                    self.damaged += 1
        return found

    def done(self, reader: str, number: int) -> None:
        """See `Spool`."""
        self._places.done(reader, min(number, self._segments[-1].next - 1))
        self._drop_done()

    def set_aside(self, reader: str, number: int) -> None:
        """See `Spool`."""
        self._places.set_aside(reader, number)
        self._remember()

    def read_aside(self, reader: str, number: int) -> Entry | None:
        """See `Spool`."""
        if number not in self._places.aside[reader]:
            return None
        found = None
        for segment in self._segments:
            if segment.first <= number < segment.next:
                found = segment.read(number)
        self.damaged += found is None
        return found

    def settle(self, reader: str, number: int) -> None:
        """See `Spool`."""
        self._places.aside[reader].discard(number)
        self._drop_done()

    def unread(self, reader: str) -> int:
        """See `Spool`."""
        place = self._places.next[reader]
        return sum(max(0, one.next - max(place, one.first)) for one in self._segments)

    def waiting(self, reader: str) -> int:
        """See `Spool`."""
        return self.unread(reader) + len(self._places.aside[reader])

    def oldest(self, reader: str, *, aside: bool = True) -> float | None:
        """See `Spool`."""
        place = self._places.first(reader) if aside else self._places.next[reader]
        for segment in self._segments:
            if place < segment.next:
                return segment.times[max(place, segment.first) - segment.first]
        return None

    def lost(self, reader: str) -> int:
        """See `Spool`."""
        return self._places.lost[reader]

    def expire(self, before: float) -> None:
        """See `Spool`."""
        while self._segments[0].times and self._segments[0].times[-1] < before:
            if len(self._segments) == 1:
                self._begin(self._segments[0].next)
            self._drop_oldest()

    def close(self) -> None:
        """Let another have the directory."""
        self._lock.close()

    def _found(self) -> list[_Segment]:
        segments = []
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            data = path.read_bytes()
            segment = _Segment(path, int(path.stem) if path.stem.isdecimal() else 0, entries(data))
            self.damaged += segment.size != len(data)
            if segment.ends and path.stem.isdecimal():
                segments.append(segment)
            else:
                path.unlink()
        return segments

    def _begin(self, number: int) -> None:
        path = self._directory / f"{number:020d}{_SUFFIX}"
        self._segments.append(_Segment(path, number))

    def _drop_done(self) -> None:
        """Let go of what all are done with, and note how far they are."""
        while len(self._segments) > 1 and self._segments[0].next <= self._places.all_done:
            self._drop_oldest()
        self._remember()

    def _drop_oldest(self) -> None:
        oldest = self._segments.pop(0)
        self._places.gone(oldest.first, oldest.next)
        with contextlib.suppress(OSError):  # its room is lost until the next start finds it
            oldest.path.unlink(missing_ok=True)

    def _recall(self) -> None:
        """Take up where the readers were."""
        try:
            told = json.loads((self._directory / _PLACES).read_bytes())
            for reader in self._places.next:
                if type(place := told.get(reader)) is int and place >= 0:
                    self._places.next[reader] = place
        except (OSError, ValueError, AttributeError):
            return

    def _remember(self) -> None:
        """Write where the readers are; where that fails they read something twice."""
        new = self._directory / f"{_PLACES}.new"
        with contextlib.suppress(OSError):
            new.write_text(json.dumps({one: self._places.first(one) for one in self._places.next}))
            new.replace(self._directory / _PLACES)
