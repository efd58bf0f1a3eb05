"""One direction of a TCP connection: segments in any order in, the byte stream out. Sans I/O.

Rules:
1. Bytes come out in their order, once. Where segments overlap, the bytes that came first count.
2. A byte that was not captured is never guessed at: a hole is waited for, and given up (`LOST`)
   when the receiver acknowledged it (so it will not be sent again), when the buffer is full, or
   when it has lasted too long. What comes after it is the stream again.
3. The end (FIN) and the reset (RST) have their places in the stream and happen when it gets there.
4. Positions are the sequence number without its wrap: an integer that only grows.
5. Bytes that waited for a hole come with the time at which it was filled, for the receiver could
   not read them before. After a hole that only we have, they come with their own.
"""

from __future__ import annotations

from bisect import bisect_right

BYTES, LOST, END, RESET = 0, 1, 2, 3
Event = tuple[int, int, bytes | int]
"""(what, monotonic ns, the bytes or the number of bytes lost)"""
FIN, RST = 0x01, 0x04

MASK = 0xFFFFFFFF
HALF = 1 << 31
FAR = 1 << 30
"""TCP's largest window: a segment further ahead than that belongs to no such stream."""
FAR_BEHIND = 1 << 26
"""A repeated segment is at most a window old; nobody configures more than 64 MiB. Further behind,
it is another connection's, whose beginning was not captured."""

PIECE_BYTES = 128
"""What a piece that waits costs beside its bytes, so that tiny ones are bounded too."""

NEW, OLD, AHEAD = 0, 1, 2
"""How a segment's bytes relate to what is known: the next ones, (in part) known ones, or later ones
than expected."""


class Stream:
    """Segments of one direction, put in order.

    Attributes:
        next: position of the byte that comes next.
        acked: position up to which the receiver has acknowledged.
        waiting: something after a hole is known.
        hole_since_ns: when the present hole was first seen.
        buffered_bytes: what the payload that waits for the hole costs.
        ended: the end has been reached.
    """

    __slots__ = (
        "_fin_at",
        "_pieces",
        "_rst_at",
        "_starts",
        "acked",
        "buffered_bytes",
        "ended",
        "hole_since_ns",
        "next",
        "waiting",
    )

    def __init__(self, start: int) -> None:
        self.next = start
        self.acked = start
        self.waiting = False
        self.ended = False
        self.hole_since_ns = 0
        self.buffered_bytes = 0
        self._starts: list[int] = []
        self._pieces: list[tuple[bytes, int]] = []
        self._fin_at: int | None = None
        self._rst_at: int | None = None

    def place(self, seq: int) -> int:
        """Return the position nearest to `next` that has this sequence number."""
        ahead = (seq - self.next) & MASK
        return self.next + ahead - (MASK + 1 if ahead >= HALF else 0)

    def take(
        self, at_ns: int, seq: int, flags: int, payload: bytes, length: int
    ) -> tuple[int, list[Event]]:
        """Take a segment of any kind; return what it was and what comes of it.

        The common one is better handled outside: nothing `waiting`, not `ended`, `seq` is `next`,
        neither FIN nor RST; then `next` moves on by the payload.
        """
        place = self.place(seq)
        if flags & RST:
            return NEW, self._reset(place, at_ns)
        if self.ended:
            return OLD if length else NEW, []
        events: list[Event] = []
        if not -FAR_BEHIND < place - self.next < FAR:
            if not length:
                return NEW, []
            events += self._forget(place, at_ns)
        was = self._classify(place, length)
        if flags & FIN and self._fin_at is None and place + length >= self.next:
            self._fin_at = place + length
        if payload:
            self._insert(place, payload, at_ns)
        events += self._drain(at_ns)
        self._look(at_ns, progressed=bool(events))
        return was, events

    def acknowledge(self, ack: int, at_ns: int) -> list[Event]:
        """Take note of what the receiver has; give up holes in it."""
        place = self.place(ack)
        if self.acked < place < self.next + FAR:
            self.acked = place
        if place <= self.next or place >= self.next + FAR:
            return []
        return self._skip_to(place, at_ns)

    def give_up(self, at_ns: int) -> list[Event]:
        """Wait for no hole any more: everything that is known comes out."""
        return self._skip_to(max([self.next, *self._starts[-1:], *self._marks()]), at_ns)

    def _marks(self) -> list[int]:
        return [mark for mark in (self._fin_at, self._rst_at) if mark is not None]

    def _classify(self, place: int, length: int) -> int:
        if not length:
            return NEW
        if place > self.next:
            return AHEAD
        probe = length <= 1 and place == self.next - 1  # a keep-alive's byte is no data
        return NEW if place == self.next or probe else OLD

    def _reset(self, place: int, at_ns: int) -> list[Event]:
        """RFC 5961: a reset counts at the place that the receiver expects."""
        if self.acked <= place <= self.next or (self.ended and place == self.next - 1):
            return [(RESET, at_ns, 0)]
        if self.next < place < self.next + FAR and not self.ended:
            self._rst_at = place
            self._look(at_ns, progressed=False)
        return []

    def _forget(self, place: int, at_ns: int) -> list[Event]:
        """Begin anew at a place that cannot be of this stream's window."""
        self._clear()
        self._fin_at = self._rst_at = None
        self.next = self.acked = place
        return [(LOST, at_ns, 0)]

    def _insert(self, place: int, payload: bytes, at_ns: int) -> None:
        """Keep what is not known yet of these bytes."""
        end = place + len(payload)
        if self._fin_at is not None:
            end = min(end, self._fin_at)
        start = max(place, self.next)
        while start < end:
            index = bisect_right(self._starts, start)
            if index:
                start = max(start, self._starts[index - 1] + len(self._pieces[index - 1][0]))
            stop = min(end, self._starts[index]) if index < len(self._starts) else end
            if start < stop:
                self._starts.insert(index, start)
                self._pieces.insert(index, (payload[start - place : stop - place], at_ns))
                self.buffered_bytes += stop - start + PIECE_BYTES
            start = max(start, stop)

    def _drain(self, at_ns: int | None) -> list[Event]:
        """Return what follows on without a hole; `at_ns` None: each piece at its own time."""
        events: list[Event] = []
        count = 0
        latest = 0
        for start, (piece, came_ns) in zip(self._starts, self._pieces, strict=True):
            if start != self.next:
                break
            latest = came_ns if at_ns is None else at_ns
            events.append((BYTES, latest, piece))
            self.next += len(piece)
            self.buffered_bytes -= len(piece) + PIECE_BYTES
            count += 1
        del self._starts[:count], self._pieces[:count]
        if self._fin_at is not None and self.next >= self._fin_at and not self.ended:
            self.next += 1
            self.ended = True
            self._clear()
            events.append((END, latest if at_ns is None else at_ns, 0))
        if self._rst_at is not None and self.next >= self._rst_at:
            self._rst_at = None
            events.append((RESET, latest if at_ns is None else at_ns, 0))
        elif self.ended:
            self._rst_at = None  # nothing comes after the end
        return events

    def _clear(self) -> None:
        self._starts.clear()
        self._pieces.clear()
        self.buffered_bytes = 0

    def _skip_to(self, place: int, at_ns: int) -> list[Event]:
        """Give up every hole before `place`."""
        events: list[Event] = []
        while self.next < place and not self.ended:
            stop = min([place, *self._starts[:1], *self._marks()])
            ended_by_piece = bool(self._starts) and stop == self._starts[0]
            hole_end_ns = self._pieces[0][1] if ended_by_piece else at_ns
            events.append((LOST, hole_end_ns, stop - self.next))
            self.next = stop
            events += self._drain(None)
        self._look(at_ns, progressed=True)
        return [(what, ns or at_ns, value) for what, ns, value in events]

    def _look(self, at_ns: int, *, progressed: bool) -> None:
        """See whether there is a hole now, and since when."""
        waits = bool(self._starts) or self._rst_at is not None
        waits = waits or (self._fin_at is not None and not self.ended)
        if waits and (progressed or not self.waiting):
            self.hole_since_ns = at_ns
        self.waiting = waits
