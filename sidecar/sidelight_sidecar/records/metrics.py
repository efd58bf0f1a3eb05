"""The observer's metrics at one moment, as they are handed to the capture process.

All counts are since `start_unix_ns`, or since whatever counts them began: nothing is a difference,
so a snapshot that is lost costs nothing.
"""

from typing import Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram", "summary"]


class Point(msgspec.Struct, array_like=True, frozen=True):
    """One series."""

    labels: list[str]
    """Values, in the order of the family's names."""
    value: float
    """Of histograms and summaries: the sum."""
    count: int = 0
    """Of those: how many values."""
    buckets: list[int] = []
    """Of histograms: how many values are in each, the one without an upper bound last."""


class Family(msgspec.Struct, array_like=True, frozen=True):
    """All series of one name."""

    name: str
    kind: Kind
    text: str
    """What it means."""
    labels: list[str]
    bounds: list[float]
    """Of a histogram: the upper bounds of all buckets but the last; a value at one is below it."""
    points: list[Point]


class Snapshot(msgspec.Struct, frozen=True, tag="metrics"):
    """To the capture process: all metrics, where a sink wants them."""

    start_unix_ns: int
    """When the observer began to count."""
    unix_ns: int
    own: list[Family]
    """What `/metrics` has."""
    gen_ai: list[Family]
    """What OpenTelemetry's conventions for generative AI ask for, by their names, with labels that
    are the sidecar's: `model`, `operation`, `api`, and `error` or `token`."""
