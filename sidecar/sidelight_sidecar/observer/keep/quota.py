"""At most so many records a minute, and with what probability the next one is kept.

Rules:
1. The probability is fixed before the exchange is looked at, by what came before it. So a record's
   weight, one by its probability, is right on average whatever the traffic does (Horvitz and
   Thompson, 1952): the sum of weights estimates the number of all that were asked about.
2. A minute has levels. On each the probability is a quarter of that of the level before, until a
   part of the quota is used up: a half at the first level, a quarter at the next, and so on. So a
   burst is thinned, not cut off.
3. A minute begins with the probability at which one like the minute before it would just use up
   the first level: a steady stream is sampled evenly over the minute.
4. When the last level is used up nothing is kept any more: with a quota of 64, that takes a burst
   of half a hundred thousand.
"""

MINUTE_NS = 60_000_000_000
THINNING = 4


class Quota:
    """One class of records.

    Args:
        per_minute: records, at most.
        share: the greatest probability, 0 to 1.
    """

    def __init__(self, per_minute: int, share: float = 1.0) -> None:
        self._per_minute = per_minute
        self._share = share
        self._minute = -1
        self._level = 0
        self._left = 0
        self._asked = 0
        self._probability = 0.0

    def probability(self, at_ns: int) -> float:
        """With what probability the next one is to be kept, at a time; 0: never."""
        minute = at_ns // MINUTE_NS
        if minute > self._minute:  # a clock that goes back does not open a minute again
            self._open(minute)
        return self._probability

    def asked(self, *, kept: bool) -> None:
        """Take note of an exchange that `probability` was asked for."""
        self._asked += 1
        if kept:
            self._left -= 1
            if self._left <= 0:
                self._deepen()

    def _open(self, minute: int) -> None:
        expected = self._asked if minute == self._minute + 1 else 0
        self._minute, self._asked, self._level = minute, 0, 0
        self._left = max(self._per_minute // 2, 1)
        self._probability = min(self._share, self._left / expected if expected else 1.0)

    def _deepen(self) -> None:
        self._level += 1
        self._left = self._per_minute >> (self._level + 1)
        self._probability = self._probability / THINNING if self._left else 0.0
