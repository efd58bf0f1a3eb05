"""What the reads of one stream say: when each event came, how late, and what came merged.

Pure. The engine wrote into every event when it sent it, on the clock that the client reads too, so
that an event's delay is well defined, and a gap's deviation is the difference of two delays.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from benchmarks.engine import LAST_CHUNK

EVENT = re.compile(rb'data: (?:\{[^\n]*"at-(\d{19})"[^\n]*|\[DONE\])\n\n')
APART_NS = 5_000_000
"""Events sent further apart than this, of a beat of 20 ms, left at different beats."""

Read = tuple[int, bytes]
"""The time right after a read, and what it brought."""


class BrokenStreamError(Exception):
    """What arrived is not the answer that was sent."""


@dataclass
class Arrivals:
    """The events of one stream in order: when each was sent and when its last byte was read."""

    sent_ns: list[int] = field(default_factory=list)
    read_ns: list[int] = field(default_factory=list)
    merged_reads: int = 0
    """Reads that completed events which had left at different beats."""

    def delays_ns(self) -> list[int]:
        """From the engine's send to the client's read, for each event."""
        return [read - sent for sent, read in zip(self.sent_ns, self.read_ns, strict=True)]

    def gap_deviations_ns(self) -> list[int]:
        """By how much each gap between beats differs at the client from the engine's."""
        beats = [
            (sent, read)
            for number, (sent, read) in enumerate(zip(self.sent_ns, self.read_ns, strict=True))
            if not number or sent - self.sent_ns[number - 1] > APART_NS
        ]
        return [abs((b[1] - a[1]) - (b[0] - a[0])) for a, b in pairwise(beats)]


def arrivals(reads: list[Read], tokens: int) -> Arrivals:
    """Return the arrivals of a stream of so many tokens.

    Raises:
        BrokenStreamError: the events are not those of such a stream, each once and in order.
    """
    body, offsets = _body(b"".join(data for _, data in reads))
    ends = list(accumulate(len(data) for _, data in reads))
    found = Arrivals()
    last_read = -1
    for match in EVENT.finditer(body):
        if match[1] is None:
            continue
        sent = int(match[1])
        read = bisect_left(ends, _raw_end(offsets, match.end()))
        if read == last_read and sent - found.sent_ns[-1] > APART_NS:
            found.merged_reads += 1
        last_read = read
        found.sent_ns.append(sent)
        found.read_ns.append(reads[read][0])
    if len(found.sent_ns) != tokens + 3 or not body.endswith(b"data: [DONE]\n\n"):
        raise BrokenStreamError(f"{len(found.sent_ns)} of {tokens + 3} events")
    if found.sent_ns != sorted(found.sent_ns):
        raise BrokenStreamError("events out of order")
    return found


def _body(raw: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """Take off head and chunked coding; also (body offset, raw offset) of each piece's start."""
    head = raw.find(b"\r\n\r\n") + 4
    if not raw.startswith(b"HTTP/1.1 200 ") or b"chunked" not in raw[:head].lower():
        raise BrokenStreamError("no chunked 200 response")
    pieces, offsets, length, at = [], [], 0, head
    while True:
        line = raw.find(b"\r\n", at)
        try:
            size = int(raw[at:line], 16)
        except ValueError as error:
            raise BrokenStreamError("damaged chunked coding") from error
        if not size:
            if raw[at:] != LAST_CHUNK:
                raise BrokenStreamError("no proper end")
            return b"".join(pieces), offsets
        offsets.append((length, line + 2))
        pieces.append(raw[line + 2 : line + 2 + size])
        length += size
        at = line + 2 + size + 2


def _raw_end(offsets: list[tuple[int, int]], end: int) -> int:
    """Return where in the raw bytes the body's first `end` bytes end."""
    body, raw = offsets[bisect_left(offsets, (end, 0)) - 1]
    return raw + end - body
