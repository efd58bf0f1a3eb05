"""A mergeable summary of a distribution of durations: logarithmic buckets, exact merge.

The idea and the error bound are DDSketch's (Masson, Rim, Lee: "DDSketch: a fast and
fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019): a value lies in the
bucket `ceil(log(value) / log(GAMMA))`, so a quantile is off by at most 1 % of itself. Unlike the
paper's collapsing store, values are clamped to a fixed range, so the number of buckets is bounded
(about 1,300) and merging is exactly associative and commutative: it adds integers.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

RELATIVE_ERROR = 0.01
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
SMALLEST = 1e-6
"""Seconds; anything shorter counts as this."""
LARGEST = 1e5
"""Seconds, a good day; anything longer counts as this."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Index = Annotated[int, msgspec.Meta(ge=-1000, le=1000)]
"""Buckets of the range above lie well within; others are nobody's."""

_LOG_GAMMA = math.log(GAMMA)
_NANO = 1_000_000_000


class Sketch(msgspec.Struct, omit_defaults=True):
    """Durations in seconds. `count` of them, their sum in whole nanoseconds, counts by bucket.

    The sum is an integer so that adding many sketches gives the same in any order.
    """

    count: Count = 0
    sum_ns: Count = 0
    buckets: dict[Index, Count] = {}

    def add(self, seconds: float) -> None:
        """Count one duration; negative ones (a clock fault) count as the smallest."""
        clamped = min(max(seconds, SMALLEST), LARGEST)
        index = math.ceil(math.log(clamped) / _LOG_GAMMA)
        self.buckets[index] = self.buckets.get(index, 0) + 1
        self.count += 1
        self.sum_ns += round(clamped * _NANO)

    def add_all(self, durations: Sequence[float]) -> None:
        """Count each of `durations` (seconds), as `add` would; made for many at once."""
        get, buckets = self.buckets.get, self.buckets
        log, ceil = math.log, math.ceil
        total = 0
        for seconds in durations:
            clamped = SMALLEST if seconds < SMALLEST else min(seconds, LARGEST)
            index = ceil(log(clamped) / _LOG_GAMMA)
            buckets[index] = get(index, 0) + 1
            total += round(clamped * _NANO)
        self.count += len(durations)
        self.sum_ns += total

    def merge(self, other: "Sketch") -> None:
        """Add all of `other`, as if its durations had been added here."""
        self.count += other.count
        self.sum_ns += other.sum_ns
        buckets, get = self.buckets, self.buckets.get
        for index, count in other.buckets.items():
            buckets[index] = get(index, 0) + count

    def quantile(self, q: float) -> float | None:
        """The duration in seconds that a share `q` (0 to 1) of all does not exceed.

        Within 1 % of the true one; None when nothing was counted.
        """
        if self.count == 0 or not self.buckets:
            return None
        rank = q * (self.count - 1)
        seen = 0
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            if seen > rank:
                return 2 * GAMMA**index / (GAMMA + 1)
        return 2 * GAMMA ** max(self.buckets) / (GAMMA + 1)

    @property
    def mean(self) -> float | None:
        """The exact mean in seconds (of clamped values); None when nothing was counted."""
        return self.sum_ns / self.count / _NANO if self.count else None


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """A new sketch of everything in `sketches`."""
    result = Sketch()
    for sketch in sketches:
        result.merge(sketch)
    return result
