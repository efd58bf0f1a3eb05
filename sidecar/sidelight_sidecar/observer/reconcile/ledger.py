"""What lies between samples of the engine's metrics, and what lies across them.

Rules:
1. An exchange surely lies in a span when it began after the span's first sample was answered, and
   had ended `GRACE_NS` before its last one was asked for. One that was in flight at either may have
   been counted on either side: it is a straddler.
2. Memory is bounded: exchanges are added up by the samples that they lie between, of which
   `MAX_MARKS` are known; older ones are forgotten, and with them the spans that begin there.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.reconcile.counts import LOST, Counts, counts_of

GRACE_NS = 250_000_000
"""An engine may count a request a little after its client had the last byte."""
BUCKET_NS = 250_000_000
"""Ends are told apart this finely until the next sample is there."""
MAX_MARKS = 96
MAX_RECENT = 2048
"""With more, while an engine does not answer, all of them count as one that lasted throughout."""
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class Mark(NamedTuple):
    """A sample, and what else there was at its instant."""

    sample: EngineSample
    unobserved: int
    """Connections of which not everything was observed, in all until then."""
    opaque: int = 0
    """Of those that are open, the ones that are not read."""


class Between(NamedTuple):
    """What lies between two samples."""

    counts: Counts
    """Of all exchanges; those of straddlers from nothing up."""
    straddlers: int


class Ledger(Consumer):
    """Adds exchanges up. Samples are named by their number, the first of all being 0."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()
        self._first = 0
        self._open: dict[int, int] = {}
        self._cells: dict[tuple[int, int], Counts] = {}
        self._recent: dict[tuple[int, int], Counts] = {}

    # --- exchanges --------------------------------------------------------------------------
    def started(self, exchange: Exchange) -> None:
        """It is under way; health checks and scrapes are none of it."""
        if exchange.method not in _BODILESS:
            self._open[id(exchange)] = exchange.start_ns

    def finished(self, exchange: Exchange) -> None:
        """Count it, if no tokens will be counted for it any more."""
        if not exchange.generating and exchange.prompt_tokens is None:
            self.counted(exchange)

    def counted(self, exchange: Exchange) -> None:
        """Count it."""
        self._open.pop(id(exchange), None)
        counts = counts_of(exchange)
        if counts.exchanges:
            self._add(exchange, counts)

    def dropped(self, exchange: Exchange) -> None:
        """It was lost sight of: nothing is known of it but that it was."""
        if self._open.pop(id(exchange), None) is not None:
            self._add(exchange, LOST)

    def _add(self, exchange: Exchange, counts: Counts) -> None:
        if not self._marks:  # it ended before any span begins
            return
        begun = self._first + bisect_right(self._marks, exchange.start_ns, key=_answered)
        bucket = max(exchange.stop_ns, exchange.start_ns) // BUCKET_NS
        ended_ns = (bucket + 1) * BUCKET_NS + GRACE_NS
        number = self._first + bisect_right(self._marks, ended_ns, key=_asked)
        if number < self._end:
            _put(self._cells, (begun, number), counts)
            return
        if len(self._recent) >= MAX_RECENT:
            self._recent = {_widest(self._recent): _sum(self._recent.values())}
        _put(self._recent, (begun, bucket), counts)

    # --- samples ----------------------------------------------------------------------------
    @property
    def _end(self) -> int:
        return self._first + len(self._marks)

    @property
    def newest(self) -> int:
        """The number of the newest sample; -1: there is none."""
        return self._end - 1

    @property
    def oldest(self) -> int:
        """The number of the oldest sample that is known."""
        return self._first

    def mark(self, number: int) -> Mark:
        """The sample of a number."""
        return self._marks[number - self._first]

    def add(self, mark: Mark) -> None:
        """A sample was taken."""
        number = self._end
        self._marks.append(mark)
        for (begun, bucket), counts in self._recent.items():
            late = (bucket + 1) * BUCKET_NS + GRACE_NS > mark.sample.asked_ns
            _put(self._cells, (begun, number + late), counts)
        self._recent = {}
        if len(self._marks) > MAX_MARKS:
            self.forget(self._first + 1)

    def forget(self, before: int) -> None:
        """Samples before this number are no longer needed."""
        while self._first < before and self._marks:
            self._marks.popleft()
            self._first += 1
        for key in [key for key in self._cells if key[1] <= self._first]:
            del self._cells[key]

    # --- spans ------------------------------------------------------------------------------
    def open_across(self, number: int) -> bool:
        """Whether an exchange that had begun by a sample has not ended yet."""
        answered_ns = self.mark(number).sample.at_ns
        return any(start_ns < answered_ns for start_ns in self._open.values())

    def across(self, number: int) -> int:
        """Exchanges that were in flight at a sample, of those that have ended."""
        return sum(
            counts.exchanges + counts.lost
            for (begun, ended), counts in self._cells.items()
            if begun <= number < ended
        )

    def between(self, first: int, last: int) -> Between:
        """What lies between two samples."""
        whole, straddlers = Counts(), 0
        for (begun, ended), counts in self._cells.items():
            if ended <= first or begun > last:
                continue
            if begun > first and ended <= last:
                whole = whole.plus(counts)
            else:
                whole = whole.plus(counts.maybe())
                straddlers += counts.exchanges + counts.lost
        return Between(whole, straddlers)


def _put(cells: dict[tuple[int, int], Counts], key: tuple[int, int], counts: Counts) -> None:
    before = cells.get(key)
    cells[key] = counts if before is None else before.plus(counts)


def _sum(counts: Iterable[Counts]) -> Counts:
    whole = Counts()
    for one in counts:
        whole = whole.plus(one)
    return whole


def _widest(keys: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The earliest beginning and the latest end."""
    begun, ended = zip(*keys, strict=True)
    return min(begun), max(ended)


def _answered(mark: Mark) -> int:
    return mark.sample.at_ns


def _asked(mark: Mark) -> int:
    return mark.sample.asked_ns
