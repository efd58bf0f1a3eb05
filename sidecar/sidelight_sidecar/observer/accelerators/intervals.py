"""From a device's samples to intervals of about a second: what it did from one time to another.

Rules:
1. A sample tells of the time from the one before it to its own. Samples that are close together are
   taken together until `STEP_NS` have passed: means over time, so none of ten a second is lost.
2. Of a gap nothing is told: two samples that are much farther apart than the source's usual are no
   interval, and nothing is made up for the time between.
3. What held the clocks is in nanoseconds by reason: of samples that are close together by what each
   of them said, which is newer than counters that a source reads more rarely; else by the source's
   counters of time, where it has them.
4. Bounded: `MAX_DEVICES`; further ones are not looked at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sidelight_sidecar.observer.accelerators.source import Device, Sample

STEP_NS = 900_000_000
"""An NVML utilisation is itself a mean over a sixth to a whole second: finer intervals would tell
nothing more."""
GAPS = 3.5
"""So many of the source's periods are a gap."""
LEAST_GAP_NS = 3_000_000_000
MOST_GAP_NS = 120_000_000_000
"""While the period is not known yet, and at most: an exporter's own period is 30 s by default."""
MAX_DEVICES = 32
"""Default 32: a pod has eight devices, or some instances of one; the metrics of more would not fit
into a scrape (`tests/observer/test_series_budget.py`)."""
CLOSE_NS = 1_500_000_000
"""Of samples farther apart what one says is a chance; counters have what was between."""
HEAT = frozenset({"sw_thermal", "hw_thermal"})
REASONS = (
    "sw_power_cap", "sw_thermal", "hw_thermal", "hw_power_brake", "hw_slowdown", "idle",
    "applications_clocks", "sync_boost", "display_clock",
)  # fmt: skip
NO_THROTTLE = frozenset({"idle", "applications_clocks", "sync_boost", "display_clock"})
"""Reasons that are neither heat nor power: there is nothing to do, or somebody set the clocks."""
HOLDING = frozenset(REASONS) - NO_THROTTLE
"""A word that is none of ours (a newer driver's) may mean anything, and is neither."""
_MEANS = ("utilization", "sm_active", "tensor_active", "dram_active", "power_watts", "clock_hertz")


@dataclass(frozen=True, slots=True)
class Interval:
    """See the module. Means over time; None: not told."""

    device: Device
    since_ns: int
    until_ns: int
    utilization: float | None = None
    sm_active: float | None = None
    tensor_active: float | None = None
    dram_active: float | None = None
    power_watts: float | None = None
    clock_hertz: float | None = None
    power_limit_watts: float | None = None
    max_clock_hertz: float | None = None
    held_ns: Mapping[str, int] | None = None
    """How long each reason held the clocks down by heat or power; None: the source does not say."""

    @property
    def span_ns(self) -> int:
        """How long it is."""
        return self.until_ns - self.since_ns

    @property
    def held_share(self) -> float | None:
        """Share of it in which something held the clocks down: the reason that did longest."""
        if self.held_ns is None:
            return None
        return max(self.held_ns.values(), default=0) / self.span_ns


class _Open:
    """An interval that grows."""

    __slots__ = ("first", "held", "last", "spans", "sums")

    def __init__(self, first: Sample) -> None:
        self.first = self.last = first
        self.sums = dict.fromkeys(_MEANS, 0.0)
        self.spans = dict.fromkeys(_MEANS, 0)
        self.held: dict[str, int] | None = None

    def add(self, sample: Sample) -> None:
        """Take the time from the last sample to this."""
        span = sample.at_ns - self.last.at_ns
        for name in _MEANS:
            value = getattr(sample, name)
            if value is not None:
                self.sums[name] += value * span
                self.spans[name] += span
        held = held_between(self.last, sample)
        if held is not None:
            self.held = self.held if self.held is not None else {}
            for reason, ns in held.items():
                self.held[reason] = self.held.get(reason, 0) + ns
        self.last = sample

    def closed(self) -> Interval:
        """What it came to."""
        last, held = self.last, self.held
        whole = last.at_ns - self.first.at_ns
        if held is not None:  # counters that are read rarely grow by more than the time between
            held = {reason: min(ns, whole) for reason, ns in held.items()}
        means = {n: self.sums[n] / self.spans[n] if self.spans[n] else None for n in _MEANS}
        return Interval(
            last.device, self.first.at_ns, last.at_ns, **means,
            power_limit_watts=last.power_limit_watts, max_clock_hertz=last.max_clock_hertz,
            held_ns=held,
        )  # fmt: skip


class Intervals:
    """Of all devices of one source."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def add(self, samples: Iterable[Sample], period_seconds: float) -> list[Interval]:
        """Take samples in the order of their times; the intervals that became whole."""
        gap_ns = min(max(int(GAPS * period_seconds * 1e9), LEAST_GAP_NS), MOST_GAP_NS)
        if period_seconds <= 0:
            gap_ns = MOST_GAP_NS
        done = []
        for sample in samples:
            key = sample.device.uuid
            growing = self._open.get(key)
            if growing is None and len(self._open) >= MAX_DEVICES:
                continue
            if growing is None or not 0 < sample.at_ns - growing.last.at_ns <= gap_ns:
                if growing is None or sample.at_ns > growing.last.at_ns:
                    self._open[key] = _Open(sample)
                continue
            growing.add(sample)
            if sample.at_ns - growing.first.at_ns >= STEP_NS:
                done.append(growing.closed())
                self._open[key] = _Open(sample)
        return done


def held_between(first: Sample, last: Sample) -> dict[str, int] | None:
    """How long heat or power held the clocks from one sample to the next, by reason; None: it is
    not told.
    """
    span = last.at_ns - first.at_ns
    counted = bool(last.throttled_seconds and first.throttled_seconds)
    if last.clock_events is not None and (span <= CLOSE_NS or not counted):
        return {reason: span for reason in last.clock_events if reason in HOLDING}
    if not counted:
        return None
    return {
        reason: ns
        for reason, seconds in last.throttled_seconds.items()
        if reason in HOLDING
        and reason in first.throttled_seconds
        and (ns := round((seconds - first.throttled_seconds[reason]) * 1e9)) > 0
    }  # one that began anew did not grow
