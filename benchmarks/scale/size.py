"""How much of everything; the shape of the run stays the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """One run of `benchmarks.scale`."""

    pods: tuple[int, ...]
    models: int
    created: int
    """Pods of the burst, in `created_seconds`."""
    created_seconds: float
    interval: int
    """Seconds between two rounds of a controller; the chart's is 10."""
    quiet: float
    """Seconds in which nothing changes."""


EVERYTHING = Size(
    (500, 2000, 5000), models=50, created=500, created_seconds=10, interval=10, quiet=30
)
LITTLE = Size((200,), models=10, created=100, created_seconds=2, interval=2, quiet=4)
