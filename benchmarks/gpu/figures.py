"""What the samples of a phase say: pure, and tried on samples that are made up (tests/nvml)."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from sidelight_sidecar.observer.accelerators.source import Sample

_NS = 1e9
MEANS = (
    "power_watts", "utilization", "sm_active", "tensor_active", "dram_active", "clock_hertz",
    "temperature_celsius", "memory_temperature_celsius", "memory_used_bytes",
)  # fmt: skip


def integrated_joules(samples: Sequence[Sample]) -> float | None:
    """Power over time, by trapezes; None: power is not told."""
    points = [(s.at_ns, s.power_watts) for s in samples if s.power_watts is not None]
    if len(points) < 2:
        return None
    return sum((b + a) / 2 * (t - s) / _NS for (s, a), (t, b) in pairwise(points))


def counted_joules(samples: Sequence[Sample]) -> float | None:
    """By the device's counter; None: it has none, or it began anew."""
    counts = [s.energy_joules for s in samples if s.energy_joules is not None]
    if len(counts) < 2 or any(b < a for a, b in pairwise(counts)):
        return None
    return counts[-1] - counts[0]


def renewed_every_ms(samples: Sequence[Sample], value: Callable[[Sample], Any]) -> float | None:
    """How far apart a value changes, in the median: the device renews it so often, about."""
    changes = [b.at_ns for a, b in pairwise(samples) if value(a) != value(b)]
    gaps = [b - a for a, b in pairwise(changes)]
    return round(median(gaps) / 1e6, 1) if gaps else None


def spacing(samples: Sequence[Sample], period_seconds: float) -> dict[str, float]:
    """How far samples are apart, and what share of rounds was left out."""
    gaps = sorted((b.at_ns - a.at_ns) / 1e6 for a, b in pairwise(samples))
    if not gaps:
        return {}
    rounds = (samples[-1].at_ns - samples[0].at_ns) / _NS / period_seconds
    return {
        "median_ms": round(median(gaps), 3),
        "p99_ms": round(gaps[int(0.99 * (len(gaps) - 1))], 3),
        "worst_ms": round(gaps[-1], 3),
        "left_out": round(max(0.0, 1 - len(gaps) / rounds), 4),
    }


def phase(samples: Sequence[Sample]) -> dict[str, Any]:
    """All of one phase."""
    found: dict[str, Any] = {"samples": len(samples)}
    for name in MEANS:
        told = [value for s in samples if (value := getattr(s, name)) is not None]
        found[name] = round(fmean(told), 4) if told else None
    counted, integral = counted_joules(samples), integrated_joules(samples)
    found["seconds"] = round((samples[-1].at_ns - samples[0].at_ns) / _NS, 3) if samples else 0
    found["counted_joules"] = counted and round(counted, 3)
    found["integrated_joules"] = integral and round(integral, 3)
    if counted and integral:
        found["integrated_against_counted"] = round(integral / counted - 1, 4)
    found["power_renewed_every_ms"] = renewed_every_ms(samples, lambda s: s.power_watts)
    found["counter_renewed_every_ms"] = renewed_every_ms(samples, lambda s: s.energy_joules)
    found["utilization_renewed_every_ms"] = renewed_every_ms(samples, lambda s: s.utilization)
    found["clock_events"] = shares(s.clock_events or () for s in samples)
    return found


def shares(sets: Iterable[Iterable[str]]) -> dict[str, float]:
    """In what share of samples each word is."""
    every = [set(one) for one in sets]
    words = sorted(set().union(*every))
    return {word: round(fmean(word in one for one in every), 4) for word in words}
