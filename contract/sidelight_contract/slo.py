"""Service level objectives: what is asked for, and good and bad requests counted.

Rules:
1. Counting is exact and by request; no quantile and no bucket has a part in it.
2. Counts are of one set of thresholds, which a word names (`revision`); others begin anew.
3. Slices have numbers of Unix time, so those of several sidecars are added by number.
"""

import hashlib
from collections.abc import Iterable
from typing import Annotated

import msgspec

from sidelight_contract.sketch import Count

ALL = "all"
"""All that is configured holds (goodput)."""
SLOS = ("ttft", "tpot", "e2e", "errors", ALL)
FAULTS = (
    "overloaded", "rate_limited", "server_error", "stream_error", "timeout", "upstream_connect",
    "upstream_reset",
)  # fmt: skip
"""Classes of error that are the engine's, or its operator's, fault. `rate_limited` is among them:
an engine that refuses for want of room has failed whoever asked."""
RINGS = {10: 30, 60: 60, 900: 96}
"""Slices by their length in seconds: so many give 5 minutes, 1 hour and 24 hours."""
REVISION_LENGTH = 12

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class SloSettings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a request has to keep to; what is None or empty is not judged."""

    ttft: Seconds | None = None
    """Seconds to the first token; streams."""
    tpot: Seconds | None = None
    """Mean seconds for each token after the first; streams."""
    e2e: Seconds | None = None
    """Seconds from the first byte of the request to the last of the response."""
    errors: Annotated[list[str], msgspec.Meta(max_length=16)] = []
    """Classes of error that are bad."""
    objective: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.99
    """Share of requests that is to be good."""

    @property
    def thresholds(self) -> dict[str, float]:
        """Those that are set, by the name of the objective."""
        some = {"ttft": self.ttft, "tpot": self.tpot, "e2e": self.e2e}
        return {name: seconds for name, seconds in some.items() if seconds is not None}

    @property
    def revision(self) -> str:
        """A word for what decides whether a request is good; the objective has no part in it."""
        said = [self.ttft, self.tpot, self.e2e, sorted(self.errors)]
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:REVISION_LENGTH]


class SloCount(msgspec.Struct, array_like=True):
    """Requests that kept to something, and those that did not."""

    good: Count = 0
    bad: Count = 0

    @property
    def requests(self) -> int:
        """Both."""
        return self.good + self.bad


Counts = dict[str, SloCount]
"""By the name of the objective, of `SLOS`."""


def add(mine: Counts, theirs: Counts) -> None:
    """Add counts to others; what is no objective's name is left out."""
    for name, count in theirs.items():
        if name in SLOS:
            into = mine.get(name)
            if into is None:
                mine[name] = SloCount(count.good, count.bad)
            else:
                into.good += count.good
                into.bad += count.bad


def _take_away(mine: Counts, theirs: Counts) -> None:
    """Names of which nothing is left are left out."""
    for name, count in theirs.items():
        if (from_ := mine.get(name)) is not None:
            from_.good = max(0, from_.good - count.good)
            from_.bad = max(0, from_.bad - count.bad)
            if not from_.requests:
                del mine[name]


class SloSlice(msgspec.Struct, array_like=True):
    """What ended in one slice of time."""

    number: int
    """Unix time divided by the slice's length."""
    counts: Counts


class SloHistory(msgspec.Struct, omit_defaults=True):
    """Rings of slices, the newest times in the finest. Bounded: `RINGS` slices of five counts,
    some 20 kB of JSON at most.
    """

    rings: dict[int, list[SloSlice]] = {}
    """By the slices' length in seconds; slices without requests are left out."""

    def take(self, unix_seconds: float, counts: Counts) -> None:
        """Add what ended at a time."""
        for length, most in RINGS.items():
            number = int(unix_seconds // length)
            self._put(length, number, counts)
            self._forget(length, self.rings[length][-1].number - most)

    def shift(self, seconds: float) -> None:
        """Tell it by a clock that is so much ahead; to the nearest slice."""
        for length in RINGS:
            for part in self.rings.get(length, ()):
                part.number += round(seconds / length)

    def merge(self, other: "SloHistory") -> None:
        """Add all of `other`."""
        for length in RINGS:
            for part in other.rings.get(length, ()):
                self._put(length, part.number, part.counts)

    def without(self, parts: Iterable["SloHistory"]) -> "SloHistory":
        """What is left of it without `parts`, which one observer counted beside it."""
        left = SloHistory()
        left.merge(self)
        for part in parts:
            for length, ring in left.rings.items():
                less = {there.number: there.counts for there in part.rings.get(length, ())}
                for mine in ring:
                    _take_away(mine.counts, less.get(mine.number, {}))
        for length, ring in left.rings.items():
            left.rings[length] = [mine for mine in ring if mine.counts]
        return left

    def forget(self, unix_seconds: float) -> None:
        """Drop what is older than its ring is long, and what is not yet: a clock that is ahead by
        more than a slice is wrong.
        """
        for length, most in RINGS.items():
            newest = int(unix_seconds // length)
            self._forget(length, newest - most)
            ring = self.rings.get(length)
            while ring and ring[-1].number > newest + 1:
                ring.pop()

    def over(self, length: int, unix_seconds: float) -> Counts:
        """The sum of the ring of that slice, up to a time."""
        newest = int(unix_seconds // length)
        found: Counts = {}
        for part in self.rings.get(length, ()):
            if newest - RINGS[length] < part.number <= newest + 1:  # a clock may be ahead
                add(found, part.counts)
        return found

    def _put(self, length: int, number: int, counts: Counts) -> None:
        ring = self.rings.setdefault(length, [])
        place = len(ring)
        while place and ring[place - 1].number > number:
            place -= 1
        if not place or ring[place - 1].number != number:
            ring.insert(place, SloSlice(number, {}))
            place += 1
        add(ring[place - 1].counts, counts)

    def _forget(self, length: int, last: int) -> None:
        ring = self.rings.get(length)
        if ring:
            while ring and ring[0].number <= last:
                del ring[0]


class SloReport(msgspec.Struct, omit_defaults=True):
    """What a sidecar counted under its present thresholds."""

    revision: str = ""
    """`SloSettings.revision` of them; empty: there are none."""
    since: float = 0.0
    """Unix seconds at which they came into force."""
    counts: Counts = {}
    """Since then."""
    history: SloHistory = msgspec.field(default_factory=SloHistory)
    """Only for who asks for `/summary?slo_history=1`, as `adapters` is."""
    adapters: dict[str, SloHistory] = {}
    """The parts of `history` that are of the adapters in `SidecarState.adapters`, where they had
    judged requests."""
    at: float = 0.0
    """Unix seconds when this was told, by the clock that `history` goes by, which is set once: a
    machine that sleeps, or that is given another time of day, leaves it behind. 0: not said."""
