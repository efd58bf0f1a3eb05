"""How long an exchange must take to be among the slowest hundredth of its kind lately.

Bounded: `MAX_KINDS` kinds (model and operation), two sketches each; others are never slowest.
"""

from sidelight_contract.sketch import GAMMA, Sketch

MAX_KINDS = 64
SPAN_NS = 300_000_000_000
"""Five minutes: then the older half of what counts is forgotten."""
ENOUGH = 200
"""With fewer, the slowest hundredth is one or two, and says nothing."""
EVERY = 50
"""The threshold is found again after so many."""
QUANTILE = 0.99
_TO_EDGE = (GAMMA + 1) / 2 * (1 + 1e-9)
"""From the middle of a sketch's bucket to its upper edge. Where all take the same time, all are in
one bucket, and above its middle: they would all be slowest."""


class _Kind:
    __slots__ = ("before", "now", "since_ns", "threshold", "until_next")

    def __init__(self, since_ns: int) -> None:
        self.before = Sketch()
        self.now = Sketch()
        self.since_ns = since_ns
        self.threshold: float | None = None
        self.until_next = ENOUGH

    def learn(self, seconds: float, at_ns: int) -> None:
        if at_ns - self.since_ns >= SPAN_NS:
            self.before, self.now, self.since_ns = self.now, Sketch(), at_ns
        self.now.add(seconds)
        self.until_next -= 1
        if self.until_next <= 0:
            self.until_next = EVERY
            self._find()

    def _find(self) -> None:
        both = Sketch()
        both.merge(self.before)
        both.merge(self.now)
        found = both.quantile(QUANTILE)
        if found is not None and both.count >= ENOUGH:
            self.threshold = found * _TO_EDGE
        else:
            self.threshold = None


class Slowest:
    """Learns durations by kind."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def is_slowest(self, kind: tuple[str, str], seconds: float) -> bool:
        """Whether it took longer than 99 of 100 before it; never while there were too few."""
        known = self._kinds.get(kind)
        return known is not None and known.threshold is not None and seconds > known.threshold

    def learn(self, kind: tuple[str, str], seconds: float, at_ns: int) -> None:
        """Take one more."""
        known = self._kinds.get(kind)
        if known is None:
            if len(self._kinds) >= MAX_KINDS:
                return
            known = self._kinds[kind] = _Kind(at_ns)
        known.learn(seconds, at_ns)
