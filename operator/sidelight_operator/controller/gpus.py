"""From `spec.gpu` and what sidecars tell of devices to their settings, a version's figures and the
condition GPUVisible. Pure. Nothing here is part of Ready: a model serves without figures of GPUs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from sidelight_contract import status
from sidelight_contract.config import SidecarConfig
from sidelight_contract.durations import round_significant
from sidelight_contract.gpu import (
    Activity,
    Energy,
    GpuReport,
    GpuSettings,
    GpuSource,
    GpuState,
    Mean,
    Phase,
)
from sidelight_contract.names import ConditionType, Reason
from sidelight_contract.spec_gpu import Gpu
from sidelight_operator.controller.facts import Member
from sidelight_operator.controller.judged import Judged
from sidelight_operator.controller.models import Model
from sidelight_operator.inject.gpu import NOT_ALLOWED

MAX_NAMED = 3
_MAX_WHY = 300
_MAX_WORD = 80
_MAX_THROTTLES = 8
_BYTES = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20))
_JOULES = (("GJ", 1e9), ("MJ", 1e6), ("kJ", 1e3))
_DEFAULT = SidecarConfig(version=1).gpu
"""The very object: only so it is left out of what is written, for sidecars of older releases."""
_REASONS = frozenset(
    {
        Reason.GPU_NOT_ASKED, Reason.NO_EXPORTER_FOUND, Reason.EXPORTER_UNREACHABLE,
        Reason.EXPORTER_NOT_UNDERSTOOD, Reason.NO_ROWS_OF_POD, Reason.DRIVER_NOT_FOUND,
        Reason.DRIVER_FAILED, Reason.OWN_DEVICES_UNKNOWN, Reason.GPU_STALE,
        Reason.GPU_SOURCE_STARTING, Reason.NO_DEVICE_CLAIM, Reason.VISIBLE_ALL_NOT_ALLOWED,
    }
)  # fmt: skip
"""What a sidecar, or the record of its injection, may say; another release may know more."""


def gpu_settings(gpu: Gpu, *, allow_visible_all: bool) -> GpuSettings:
    """What sidecars are told of `spec.gpu`."""
    source: Literal["Auto", "DCGM", "NVML", "AMD", "None"] = gpu.source.value
    settings = GpuSettings(source, gpu.nvml.unsafe_visible_all and allow_visible_all)
    return _DEFAULT if settings == _DEFAULT else settings


def has_gpu(member: Member) -> bool:
    """Whether a pod has devices: it asks for some, or its sidecar tells of some."""
    pod, summary = member
    return pod.gpu or summary.gpu.seen > 0 or bool(summary.gpu.devices)


def gpu_condition(
    model: Model, answered: Sequence[Member], *, allow_visible_all: bool, problem: str = ""
) -> tuple[Judged, ...]:
    """The condition GPUVisible.

    Args:
        model: whose.
        answered: its pods whose sidecars answered.
        allow_visible_all: whether sidecars may see every GPU of their node.
        problem: why exporters could not be looked for; empty: they could.
    """
    if model.spec is None:
        return ()
    kind = ConditionType.GPU_VISIBLE
    gpu = model.spec.gpu
    if gpu.source is GpuSource.NONE:
        message = "spec.gpu.source is None: nobody is asked what the GPUs do"
        return ((kind, "False", Reason.GPU_NOT_ASKED, message),)
    if not answered:
        message = "no sidecar has told of GPUs yet"
        return ((kind, "Unknown", Reason.NO_SIDECAR_ANSWERED, message),)
    members = [member for member in answered if has_gpu(member)]
    if not members:
        message = "the observed pods ask for no GPU"
        return ((kind, "False", Reason.NO_GPU_REQUESTED, message),)
    if gpu.nvml.unsafe_visible_all and not allow_visible_all:
        message = NOT_ALLOWED.partition(",")[0]
        return ((kind, "False", Reason.VISIBLE_ALL_NOT_ALLOWED, message),)
    return (_visible(members, problem),)


def _visible(members: Sequence[Member], problem: str) -> Judged:
    kind = ConditionType.GPU_VISIBLE
    unseen = {member[0].name: member for member in members if not member[1].gpu.seen}
    whys = {name: _why(member) for name, member in unseen.items()}
    seen, starting = len(members) - len(unseen), Reason.GPU_SOURCE_STARTING
    counts = Counter(reason for reason, _ in whys.values() if reason is not starting)
    if not counts and not seen:
        return kind, "Unknown", starting, min(whys.items())[1][1]
    if not counts:
        return kind, "True", Reason.GPUS_SEEN, _all_seen(members)
    main = min(counts, key=lambda reason: (-counts[reason], reason))
    hidden = sum(counts.values())
    names = sorted(name for name, (reason, _) in whys.items() if reason is main)
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    which = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    message = (
        f"{hidden} of {len(members)} pods with GPUs tell{'s' * (hidden == 1)} nothing of them "
        f"({which}); "
        f"{', '.join(names[:MAX_NAMED])}{more}: {whys[names[0]][1]}"
    )
    if main is Reason.NO_EXPORTER_FOUND and problem:
        message += f"; pods could not be listed ({problem[:_MAX_WHY]})"
    return kind, "False", main, message


def _all_seen(members: Iterable[Member]) -> str:
    whole = _merged(members)
    devices = sum(whole.devices.values())
    told = f"{_count(devices, 'GPU')} of {_count(whole.seen, 'pod')} "
    told += "is seen" if devices == 1 else "are seen"
    return f"{told}, by {' and '.join(_sources(whole))}" if whole.sources else told


def _why(member: Member) -> tuple[Reason, str]:
    """Why a pod's devices are not seen. What its injection left undone comes first: it is why the
    sidecar finds nothing.
    """
    pod, summary = member
    if pod.injection.gpu in _REASONS:
        return Reason(pod.injection.gpu), pod.injection.gpu_message[:_MAX_WHY]
    told = summary.gpu
    if not told.sidecars:
        return Reason.GPU_SOURCE_STARTING, (
            "its sidecar tells nothing of GPUs: it has not taken its configuration yet, or is of "
            "an older release, which a restart of the pod ends"
        )
    known = sorted(reason for reason in told.whys if reason in _REASONS)
    reason = Reason(known[0]) if known else Reason.GPU_STALE
    why = told.why[:_MAX_WHY]
    if reason is Reason.NO_EXPORTER_FOUND:
        why = (
            f"on node {pod.node or 'unknown'} runs no exporter that the chart's gpu.exporters "
            "select; install one, or correct them"
        )
    return reason, why or "its source tells nothing now"


def gpu_status(members: Iterable[Member]) -> status.GPUStatus | None:
    """What the GPUs of a version's pods did; None where there are none, or nobody is asked."""
    with_gpu = [member for member in members if has_gpu(member)]
    told = _merged(with_gpu)
    if not told.sidecars:
        return None
    energy = told.energy
    joules = energy.of_tokens_mj / 1000
    return status.GPUStatus(
        pods=f"{sum(member[1].gpu.seen > 0 for member in with_gpu)}/{len(with_gpu)}",
        devices=[
            f"{count} x {name[:_MAX_WORD]}" for name, count in sorted(told.devices.items()) if count
        ],
        shared=_shared(told),
        sources=_sources(told),
        utilization=_mean_share(told.utilization),
        sm_active=_mean_share(told.sm_active),
        tensor_active=_mean_share(told.tensor_active),
        dram_active=_mean_share(told.dram_active),
        memory=_memory(told),
        power=_power(told.power_watts),
        throttled=_mean_share(told.throttled),
        throttled_by=_throttled_by(told),
        states=_shares(told.states_ms, GpuState),
        phases={
            phase: _activity(told.by_phase[phase])
            for phase in (Phase.PREFILL, Phase.DECODE)
            if phase in told.by_phase
        },
        energy=_scaled(energy.device_mj / 1000, _JOULES, "J") if energy.device_mj > 0 else "",
        tokens_per_joule=_ratio(energy.output_tokens, joules),
        joules_per_token=_ratio(joules, energy.output_tokens),
        idle_energy=_share(energy.idle_mj / energy.shared_out_mj)
        if energy.shared_out_mj > 0
        else "",
        energy_from=_energy_from(told, energy),
        level=told.energy_level,
        residual=_mean_share(told.residual),
    )


def _merged(members: Iterable[Member]) -> GpuReport:
    whole = GpuReport()
    for _, summary in members:
        whole.merge(summary.gpu)
    return whole


def _count(count: int, of: str) -> str:
    return f"{count} {of}{'s' * (count != 1)}"


def _sources(told: GpuReport) -> list[str]:
    return sorted(set(GpuSource).intersection(told.sources))


def _shared(told: GpuReport) -> str:
    if told.shared <= 0:
        return ""
    return f"{told.shared} of {sum(told.devices.values())} devices are other pods', too"


def _energy_from(told: GpuReport, energy: Energy) -> str:
    if energy.device_mj <= 0:
        return ""
    if told.energy_integrated <= 0:
        return "counter"
    return "power" if told.energy_integrated >= told.seen else "mixed"


def _memory(told: GpuReport) -> str:
    if told.memory_total_bytes <= 0:
        return ""
    used = _scaled(max(told.memory_used_bytes, 0), _BYTES, "B")
    return f"{used} of {_scaled(told.memory_total_bytes, _BYTES, 'B')}"


def _power(mean: Mean) -> str:
    return f"{round_significant(mean.value)}W" if mean.value is not None and mean.value > 0 else ""


def _throttled_by(told: GpuReport) -> dict[str, str]:
    """By words of the source's, the largest."""
    span, times = told.throttled.span_ms, told.throttled_ms
    if span <= 0:
        return {}
    most = sorted((name for name in times if times[name] > 0), key=lambda name: -times[name])
    kept = sorted(most[:_MAX_THROTTLES])
    return {name[:_MAX_WORD]: _share(times[name] / span) for name in kept}


def _shares(times: Mapping[str, int], known: type[GpuState]) -> dict[str, str]:
    """Of the whole, in the order of what is known."""
    found = {name: times[name] for name in known if times.get(name, 0) > 0}
    whole = sum(found.values())
    return {name: _share(time / whole) for name, time in found.items()}


def _activity(of: Activity) -> status.GPUActivity:
    return status.GPUActivity(
        utilization=_mean_share(of.utilization),
        tensor_active=_mean_share(of.tensor_active),
        dram_active=_mean_share(of.dram_active),
    )


def _mean_share(mean: Mean) -> str:
    return _share(mean.value) if mean.value is not None else ""


def _share(part: float) -> str:
    return f"{round_significant(100 * min(max(part, 0.0), 1.0))}%"


def _ratio(part: float, whole: float) -> str:
    return round_significant(part / whole) if part > 0 and whole > 0 else ""


def _scaled(value: float, units: Iterable[tuple[str, float]], least: str) -> str:
    for unit, size in units:
        if value >= size:
            return f"{round_significant(value / size)}{unit}"
    return f"{round_significant(value)}{least}"
