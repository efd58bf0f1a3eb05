"""A histogram as a program exports it, and what can be told from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Histogram:
    """How many values lay below each bound, and their sum."""

    below: dict[float, float]
    total: float

    def since(self, before: Histogram) -> Histogram:
        """Only what was added after `before`."""
        below = {bound: n - before.below.get(bound, 0) for bound, n in self.below.items()}
        return Histogram(below, self.total - before.total)

    @property
    def count(self) -> float:
        """How many values."""
        return self.below.get(math.inf, 0)

    @property
    def mean(self) -> float:
        """Their mean, exactly."""
        return self.total / self.count

    def quantile(self, share: float) -> float:
        """Between two bounds by a straight line, as PromQL does; exact only at the bounds."""
        low, under = 0.0, 0.0
        for bound, n in sorted(self.below.items()):
            if n >= share * self.count:
                if math.isinf(bound):
                    return low
                return low + (bound - low) * (share * self.count - under) / max(n - under, 1e-9)
            low, under = bound, n
        return low

    def bounds(self, share: float) -> tuple[float, float]:
        """Between which bounds the quantile surely is."""
        low = 0.0
        for bound, n in sorted(self.below.items()):
            if n >= share * self.count:
                return low, bound
            low = bound
        return low, math.inf


def read(text: str, name: str, **labels: str) -> Histogram:
    """The sum of all histograms of a name that have these labels."""
    below: dict[float, float] = {}
    total = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.name == name else ():
            if labels.items() <= sample.labels.items():
                if sample.name == f"{name}_bucket":
                    bound = float(sample.labels["le"])
                    below[bound] = below.get(bound, 0) + sample.value
                elif sample.name == f"{name}_sum":
                    total += sample.value
    return Histogram(below, total)
