"""What all blocks of a comparison have said so far about one figure: sums, so that it can go on
from a status after a restart.
"""

import math
from dataclasses import dataclass, fields

from sidelight_operator.verdict.matched import Block, Side

FULL_PAIRS = 100.0
"""`pairs` at which a block counts half of what it would if requests were all that varies: minutes
vary too, and one with very many requests is still one minute."""
BATCH = 5
"""Blocks to a batch. What lasts for some minutes in the pods of one version makes neighbouring
blocks err together; their variance is then taken from batches."""
DIGITS = 12
"""Significant digits that are kept in a status."""


@dataclass(slots=True)
class Evidence:
    """Sums over blocks; w is a block's weight, d its difference."""

    blocks: float = 0
    w: float = 0
    ww: float = 0
    wd: float = 0
    wwd: float = 0
    wwdd: float = 0
    baseline_requests: float = 0
    baseline_spread: float = 0
    baseline_freedom: float = 0
    baseline_share: float = 0
    """Of w^2 times the side's share."""
    candidate_requests: float = 0
    candidate_spread: float = 0
    candidate_freedom: float = 0
    candidate_share: float = 0
    open_blocks: float = 0
    """Of the batch that is not full yet, as the two below."""
    open_w: float = 0
    open_wd: float = 0
    batches: float = 0
    batch_ww: float = 0
    """Of the squares of a batch's sum of w; the two below likewise."""
    batch_wwd: float = 0
    batch_wwdd: float = 0
    last_w: float = 0
    """Of the batch that was closed last; each batch is multiplied with the one before."""
    last_wd: float = 0
    next_ww: float = 0
    next_wwd: float = 0
    """Of one's w times the other's wd, both ways."""
    next_wwdd: float = 0

    def add(self, block: Block) -> None:
        """Take one more block."""
        weight = block.pairs / (1 + block.pairs / FULL_PAIRS)
        weighted = weight * block.difference
        self.blocks += 1
        self.w += weight
        self.ww += weight * weight
        self.wd += weighted
        self.wwd += weight * weighted
        self.wwdd += weighted * weighted
        self._add_sides(block.baseline, block.candidate, weight * weight)
        self.open_blocks += 1
        self.open_w += weight
        self.open_wd += weighted
        if self.open_blocks >= BATCH:
            self._close_batch()

    def _add_sides(self, baseline: Side, candidate: Side, ww: float) -> None:
        self.baseline_requests += baseline.requests
        self.baseline_spread += baseline.spread
        self.baseline_freedom += baseline.freedom
        self.baseline_share += ww * baseline.share
        self.candidate_requests += candidate.requests
        self.candidate_spread += candidate.spread
        self.candidate_freedom += candidate.freedom
        self.candidate_share += ww * candidate.share

    def _close_batch(self) -> None:
        self.batches += 1
        self.batch_ww += self.open_w * self.open_w
        self.batch_wwd += self.open_w * self.open_wd
        self.batch_wwdd += self.open_wd * self.open_wd
        self.next_ww += self.last_w * self.open_w
        self.next_wwd += self.last_w * self.open_wd + self.last_wd * self.open_w
        self.next_wwdd += self.last_wd * self.open_wd
        self.last_w, self.last_wd = self.open_w, self.open_wd
        self.open_blocks = self.open_w = self.open_wd = 0

    def told(self) -> str:
        """All sums in their order, for a status."""
        return " ".join(f"{getattr(self, part.name):.{DIGITS}g}" for part in fields(self))


_NEVER_NEGATIVE = [
    part.name
    for part in fields(Evidence)
    if not part.name.endswith(("wd", "next_wwdd")) or part.name == "wwdd"
]
"""All but what differences are in to an odd power, and products of neighbours."""


def evidence_of(told: str) -> Evidence:
    """What `told` says; what is not of this release's making says nothing."""
    try:
        numbers = [float(word) for word in told.split()]
    except ValueError:
        return Evidence()
    if len(numbers) != len(fields(Evidence)) or not all(map(math.isfinite, numbers)):
        return Evidence()
    found = Evidence(*numbers)
    return found if all(getattr(found, name) >= 0 for name in _NEVER_NEGATIVE) else Evidence()
