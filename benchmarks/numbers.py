"""Percentiles and medians, written out so that it is plain which ones they are."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the sorted values that at least this share does not exceed."""
    return values[max(0, -int(-share * len(values) // 1) - 1)]


def milliseconds(name: str, nanoseconds: list[int]) -> dict[str, float]:
    """Return median and 99th percentile in milliseconds under this name; nothing of nothing."""
    if not nanoseconds:
        return {}
    values = sorted(nanoseconds)
    return {
        f"{name}_p50_ms": percentile(values, 0.5) / 1e6,
        f"{name}_p99_ms": percentile(values, 0.99) / 1e6,
    }
