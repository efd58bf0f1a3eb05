"""What a sidecar reports of its devices: figures of the window, energy and faults since the start.

Rules:
1. The window is a ring of slices, as the tally's is; an interval is in the slice of its end.
2. A device that other pods use, too, is in no sum of power or memory: they would be added up once
   for each pod. Memory of an instance (MIG) is its own.
"""

from collections.abc import Iterable

from sidelight_contract.gpu import Activity, GpuReport, GpuState, Phase
from sidelight_sidecar.observer.accelerators.faults import name_of
from sidelight_sidecar.observer.accelerators.guard import BROKEN
from sidelight_sidecar.observer.accelerators.intervals import HEAT, Interval
from sidelight_sidecar.observer.accelerators.source import Sample, SourceState
from sidelight_sidecar.observer.energy.told import Told

SLICES = 30
_MODEL_LENGTH = 64
_WHY_LENGTH = 400


class _Slice:
    __slots__ = ("hot", "report")

    def __init__(self) -> None:
        self.report = GpuReport()
        self.hot: dict[str, tuple[int, int]] = {}
        """By device: how long heat held it, and of how long it is known."""


class GpuWindow:
    """The figures of the window."""

    def __init__(self, window_seconds: int) -> None:
        self._slice_ns = window_seconds * 1_000_000_000 // SLICES
        self._slices: dict[int, _Slice] = {}

    def resize(self, window_seconds: int) -> None:
        """Let it be of another length; what it held is forgotten, for slices differ."""
        slice_ns = window_seconds * 1_000_000_000 // SLICES
        if slice_ns != self._slice_ns:
            self._slice_ns = slice_ns
            self._slices.clear()

    def add(self, interval: Interval, state: GpuState, phase: Phase) -> None:
        """Count an interval of one device."""
        number = interval.until_ns // self._slice_ns
        if number not in self._slices:
            self._slices[number] = _Slice()
            self._forget(max(self._slices))
        if (into := self._slices.get(number)) is not None:
            count(into.report, interval, state, phase)
            _count_heat(into.hot, interval)

    def report(self, now_ns: int) -> GpuReport:
        """What the slices hold, merged."""
        self._forget(now_ns // self._slice_ns)
        merged = GpuReport()
        for one in self._slices.values():
            merged.merge(one.report)
        return merged

    def hot(self) -> dict[str, float]:
        """Share of the window in which heat held each device."""
        sums: dict[str, tuple[int, int]] = {}
        for one in self._slices.values():
            for device, (hot_ns, of_ns) in one.hot.items():
                before = sums.get(device, (0, 0))
                sums[device] = before[0] + hot_ns, before[1] + of_ns
        return {device: hot_ns / of_ns for device, (hot_ns, of_ns) in sums.items() if of_ns}

    def _forget(self, newest: int) -> None:
        for number in [number for number in self._slices if number <= newest - SLICES]:
            del self._slices[number]


def count(report: GpuReport, interval: Interval, state: GpuState, phase: Phase) -> None:
    """Add one interval to a report."""
    span_ms = round(interval.span_ns / 1e6)
    activity = report.by_phase.setdefault(phase.value, Activity())
    activity.span_ms += span_ms
    for name in ("utilization", "sm_active", "tensor_active", "dram_active"):
        value = getattr(interval, name)
        if value is not None:
            getattr(report, name).add(value, span_ms)
            getattr(activity, name).add(value, span_ms)
    if interval.power_watts is not None and not interval.device.shared:
        report.power_watts.add(interval.power_watts, span_ms)
    report.states_ms[state.value] = report.states_ms.get(state.value, 0) + span_ms
    if interval.held_ns is not None:
        for reason, ns in interval.held_ns.items():
            held_ms = round(ns / 1e6)
            report.throttled_ms[reason] = report.throttled_ms.get(reason, 0) + held_ms
        report.throttled.add(interval.held_share or 0.0, span_ms)


def _count_heat(hot: dict[str, tuple[int, int]], interval: Interval) -> None:
    if interval.held_ns is None:
        return
    ns = max((ns for reason, ns in interval.held_ns.items() if reason in HEAT), default=0)
    before = hot.get(name_of(interval.device), (0, 0))
    hot[name_of(interval.device)] = before[0] + ns, before[1] + interval.span_ns


def tell_state(report: GpuReport, state: SourceState) -> None:
    """Say whether the source is fresh, and if not, why."""
    report.sidecars = 1
    if state.fresh:
        report.seen = 1
        report.sources = {state.source.value: 1}
    else:
        report.whys = {state.reason.value: 1}
        report.why = state.message[:_WHY_LENGTH]


def broken_report() -> GpuReport:
    """After a mistake of our own."""
    report = GpuReport()
    tell_state(report, BROKEN)
    return report


def tell_devices(report: GpuReport, newest: Iterable[Sample]) -> None:
    """Say which devices there are, and what memory they have."""
    for sample in newest:
        device = sample.device
        model = device.model[:_MODEL_LENGTH] or "unknown"
        report.merge(GpuReport(devices={model: 1}, shared=int(device.shared)))
        if not device.shared or device.instance:
            report.memory_used_bytes += sample.memory_used_bytes or 0
            report.memory_total_bytes += sample.memory_total_bytes or 0


def tell_energy(report: GpuReport, told: Told) -> None:
    """Say where the joules went."""
    report.energy.merge(told.total)
    for model, energy in sorted(told.by_model.items(), key=lambda pair: -pair[1].requests_mj):
        report.energy_of(model).merge(energy)
    report.energy_level = told.level
    report.energy_integrated = int(told.integrated)
    report.residual.merge(told.residual)
