"""Precision and recall of each detector over the corpus."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.redaction.corpus import Case

from sidelight_sidecar.capture.mask.text import TextMasker


@dataclass(slots=True)
class Score:
    """What a detector did over the corpus.

    Args:
        there: spans that are its own.
        masked: of these, how many were masked whole, under whatever name.
        found: its findings.
        right: of these, how many lie on a span that is somebody's.
        wrong: some of the others.
    """

    there: int = 0
    masked: int = 0
    found: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Return the share of right ones among its findings."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Return the share of its spans that were masked."""
        return self.masked / self.there if self.there else 1.0


def measured(cases: Iterable[Case], masker: TextMasker) -> tuple[dict[str, Score], Counter[str]]:
    """Return each detector's score, and how many cases, characters and spans there were."""
    scores: dict[str, Score] = defaultdict(Score)
    totals: Counter[str] = Counter()
    for case in cases:
        totals.update(cases=1, characters=len(case.text), spans=len(case.spans))
        found = masker.findings(case.text)
        for start, end, name in case.spans:
            score = scores[name]
            score.there += 1
            if any(first <= start and end <= last for first, last, _ in found):
                score.masked += 1
            else:
                score.missed.append(case.text[start:end])
        for first, last, name in found:
            score = scores[name]
            score.found += 1
            if any(start < last and first < end for start, end, _ in case.spans):
                score.right += 1
            else:
                score.wrong.append(case.text[first:last])
    return dict(scores), totals
