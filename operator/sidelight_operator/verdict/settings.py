"""`spec.compare` as numbers."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sidelight_contract.durations import parse_duration
from sidelight_contract.spec import Compare
from sidelight_operator.verdict.matched import Figure


@dataclass(frozen=True, slots=True)
class Settings:
    """What a verdict is judged by."""

    tolerance: Mapping[Figure, float]
    """As differences are: of logarithms, and of errors' shares."""
    shown: Mapping[Figure, str]
    alpha: float
    """For one figure: the false-alarm rate is split evenly between them (Bonferroni)."""
    min_requests: int
    patience: timedelta
    mark: str
    """Another one for other settings."""


def settings_of(compare: Compare) -> Settings:
    """What `compare` says."""
    tolerated = compare.tolerance
    shown = {
        Figure.TIME_TO_FIRST_TOKEN: tolerated.time_to_first_token,
        Figure.TIME_PER_OUTPUT_TOKEN: tolerated.time_per_output_token,
        Figure.DURATION: tolerated.duration,
        Figure.ERRORS: tolerated.errors,
    }
    return Settings(
        tolerance={
            figure: share(text) if figure is Figure.ERRORS else math.log1p(share(text))
            for figure, text in shown.items()
        },
        shown=shown,
        alpha=share(compare.false_alarm_rate) / len(Figure),
        min_requests=compare.min_requests,
        patience=timedelta(seconds=parse_duration(compare.patience)),
        mark=hashlib.sha256(compare.model_dump_json().encode()).hexdigest()[:12],
    )


def share(percent: str) -> float:
    """`5%` as 0.05."""
    return float(percent.removesuffix("%")) / 100
