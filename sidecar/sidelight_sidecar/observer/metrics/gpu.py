"""What devices do, as metrics: theirs as their source has them, and what is made of them.

Rules:
1. What is of now is there while its device's newest sample is; a source that falls silent leaves no
   frozen values behind. What is counted here stays: seconds of states, joules of requests.
2. Every series of a device has the labels `gpu`, `uuid`, `gpu_instance_id`, `mig_profile` and
   `shared`; the last three are empty, which is none, but for instances and for devices that other
   pods use, too. The figures of those are not to be added up over pods.
3. Bounded: 32 devices, 8 XIDs of each.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidelight_contract.gpu import GpuState, Phase
from sidelight_sidecar.observer.accelerators.guard import BROKEN, Guard
from sidelight_sidecar.observer.accelerators.intervals import REASONS
from sidelight_sidecar.observer.accelerators.joined import ACTIVITIES, Accelerators, OfDevice
from sidelight_sidecar.observer.accelerators.source import Device, Sample, SourceState

MAX_XIDS = 8
LABELS = ("gpu", "uuid", "gpu_instance_id", "mig_profile", "shared")
_FACTS = ("vendor", "driver_version", "cuda_version", "pci_bus_id")

_GAUGES: tuple[tuple[str, str, str], ...] = (
    ("utilization_ratio", "utilization", "Share of time in which any kernel ran."),
    ("sm_active_ratio", "sm_active", "Share of the multiprocessors' cycles with work on them."),
    ("tensor_active_ratio", "tensor_active", "Share of cycles in which tensor pipes were active."),
    ("dram_active_ratio", "dram_active", "Share of cycles in which memory moved data."),
    ("memory_used_bytes", "memory_used_bytes", "Memory in use; engines take most at their start."),
    ("memory_reserved_bytes", "memory_reserved_bytes", "Memory that the driver keeps for itself."),
    ("memory_total_bytes", "memory_total_bytes", "Memory in all."),
    ("power_watts", "power_watts", "Power."),
    ("power_limit_watts", "power_limit_watts", "Power limit in force."),
)
_MORE: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    ("temperature_celsius", "sensor", "Temperature.",
     (("gpu", "temperature_celsius"), ("memory", "memory_temperature_celsius"))),
    ("clock_hertz", "domain", "Clocks.",
     (("sm", "clock_hertz"), ("mem", "memory_clock_hertz"))),
)  # fmt: skip
_COUNTERS: tuple[tuple[str, str, str, str], ...] = (
    ("ecc_errors", "type", "ecc_errors", "Memory errors since the driver was loaded."),
    ("nvlink_bytes", "direction", "nvlink_bytes", "Bytes over NVLink."),
    ("pcie_bytes", "direction", "pcie_bytes", "Bytes over PCIe."),
)


class GpuCollector(Collector):
    """See the module.

    Args:
        accelerators: what is made of samples.
        guard: of mistakes.
        now_ns: the frames' clock.
    """

    def __init__(self, accelerators: Accelerators, guard: Guard, now_ns: Callable[[], int]) -> None:
        self._accelerators = accelerators
        self._guard = guard
        self._now_ns = now_ns

    def collect(self) -> Iterator[Metric]:
        """All families; without a source they have no series."""
        broken: list[Metric] = [_source_up(BROKEN)]
        yield from self._guard.call(lambda: list(self._families()), broken)

    def _families(self) -> Iterator[Metric]:
        now_ns = self._now_ns()
        fresh = list(self._accelerators.fresh(now_ns))
        yield from self._source()
        yield _info(fresh)
        samples = [known.newest for known in fresh]
        yield from _gauges(samples)
        yield from _clock_events(samples)
        yield from _counters(samples)
        yield _age(samples, now_ns)
        yield from _made(list(self._accelerators.devices.values()))
        yield from _phases(self._accelerators.phases)

    def _source(self) -> Iterator[Metric]:
        period = GaugeMetricFamily(
            "sidelight_gpu_source_period_seconds", "How far the source's samples are apart, about."
        )
        state = self._accelerators.state
        if state is not None and state.fresh and state.period_seconds:
            period.add_metric((), state.period_seconds)
        refused = CounterMetricFamily(
            "sidelight_gpu_told_refused",
            "Words about exporters that were told and are none: kind=ADDRESS:PORT is one.",
            self._accelerators.words_refused,
        )
        yield from (_source_up(state), period, refused)


def _source_up(state: SourceState | None) -> Metric:
    up = GaugeMetricFamily(
        "sidelight_gpu_source_up",
        "Whether the source of device figures is read, and why not (a word as in the status).",
        labels=("source", "reason"),
    )
    if state is not None:
        up.add_metric((state.source.value, state.reason.value), float(state.fresh))
    return up


def _of(device: Device) -> list[str]:
    shared = "true" if device.shared else ""
    return [device.index, device.uuid, device.instance, device.profile, shared]


def _gauge(name: str, said: str, *more: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sidelight_gpu_{name}", said, labels=(*LABELS, *more))


def _counter(name: str, said: str, *more: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"sidelight_gpu_{name}", said, labels=(*LABELS, *more))


def _info(fresh: Sequence[OfDevice]) -> Metric:
    info = _gauge("info", "1 for each device, with what it is.", "model_name", *_FACTS)
    for known in fresh:
        device = known.device
        facts = [device.facts.get(name, "") for name in _FACTS]
        info.add_metric((*_of(device), device.model, *facts), 1.0)
    return info


def _gauges(samples: Sequence[Sample]) -> Iterator[Metric]:
    for name, attribute, said in _GAUGES:
        family = _gauge(name, said)
        for sample in samples:
            if (value := getattr(sample, attribute)) is not None:
                family.add_metric(_of(sample.device), value)
        yield family
    for name, label, said, kinds in _MORE:
        family = _gauge(name, said, label)
        for sample in samples:
            for kind, attribute in kinds:
                if (value := getattr(sample, attribute)) is not None:
                    family.add_metric((*_of(sample.device), kind), value)
        yield family


def _clock_events(samples: Sequence[Sample]) -> Iterator[Metric]:
    active = _gauge("clock_event_active", "1 for what holds the clocks now.", "reason")
    for sample in samples:
        if sample.clock_events is not None:
            for reason in REASONS:
                active.add_metric(
                    (*_of(sample.device), reason), float(reason in sample.clock_events)
                )
    last = _gauge("last_xid", "The last XID error, where its source tells no counts; 0: none.")
    remap = _gauge("row_remap_failed", "1: a bad row of its memory could not be remapped.")
    for sample in samples:
        if not sample.xid_errors:
            last.add_metric(_of(sample.device), sample.last_xid)
        if sample.row_remap_failed is not None:
            remap.add_metric(_of(sample.device), float(sample.row_remap_failed))
    yield from (active, last, remap)


def _counters(samples: Sequence[Sample]) -> Iterator[Metric]:
    energy = _counter("energy_joules", "Energy since the driver was loaded, by its counter.")
    xid = _counter("xid_errors", "XID errors since the source began.", "xid")
    for sample in samples:
        if sample.energy_joules is not None:
            energy.add_metric(_of(sample.device), sample.energy_joules)
        for code, count in sorted(sample.xid_errors.items())[:MAX_XIDS]:
            xid.add_metric((*_of(sample.device), str(code)), count)
    yield from (energy, xid)
    for name, label, attribute, said in _COUNTERS:
        family = _counter(name, said, label)
        for sample in samples:
            told: Mapping[str, int] = getattr(sample, attribute)
            for kind, count in sorted(told.items())[:2]:
                family.add_metric((*_of(sample.device), kind), count)
        yield family


def _age(samples: Sequence[Sample], now_ns: int) -> Metric:
    age = _gauge("sample_age_seconds", "Age of the newest sample; what is too old is not shown.")
    for sample in samples:
        age.add_metric(_of(sample.device), max(0.0, (now_ns - sample.at_ns) / 1e9))
    return age


def _made(devices: Sequence[OfDevice]) -> Iterator[Metric]:
    states = _counter("state_seconds", "Time in each state (gpu-states.md).", "state")
    held = _counter("throttled_seconds", "Time in which it held the clocks down.", "reason")
    for known in devices:
        for state in GpuState:
            states.add_metric((*_of(known.device), state.value), known.states.get(state, 0.0))
        for reason, seconds in sorted(known.held.items()):
            held.add_metric((*_of(known.device), reason), seconds)
    yield from (states, held)


def _phases(phases: Mapping[Phase, Mapping[str, float]]) -> Iterator[Metric]:
    seconds = CounterMetricFamily(
        "sidelight_gpu_phase_seconds",
        "Device time by what dominated among the requests: prefill, decode, mixed, none.",
        labels=("phase",),
    )
    activity = CounterMetricFamily(
        "sidelight_gpu_phase_activity_seconds",
        "The same times how active devices were: utilization, sm_active, tensor_active, "
        "dram_active.",
        labels=("phase", "activity"),
    )
    for phase, sums in phases.items():
        seconds.add_metric((phase.value,), sums["seconds"])
        for name in ACTIVITIES:
            if name in sums:  # what no device tells is no activity of nought
                activity.add_metric((phase.value, name), sums[name])
    yield from (seconds, activity)
