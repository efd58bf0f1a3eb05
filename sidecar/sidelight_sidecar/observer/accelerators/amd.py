"""AMD's device-metrics-exporter (ROCm): its rows as devices and samples.

Facts, and where they are from (repository ROCm/device-metrics-exporter):
* Names are the fields of `docs/configuration/metricslist.md` in lower case, all gauges, after a
  prefix that the administrator chooses (`MetricsFieldPrefix`), often `amd_`. Units there: watts,
  microjoules (`gpu_energy_consumed`), MB that are MiB, MHz, percent, KB of XGMI.
* Labels (`pkg/amdgpu/gpuagent/gpuagent_gpu_metrics.go`): always `gpu_id`, `card_model`,
  `serial_number` (may be empty), `gpu_partition_id` (`NA` where unknown),
  `gpu_compute_partition_type` (`spx`, `cpx`, ...; `none`), `pod`, `namespace`, `container` (empty
  without a pod); `gpu_uuid`, `driver_version` and others only if configured.
* A partitioned device (`dpx`, `qpx`, `cpx`, ...) has its sensors at partition 0 alone; the others
  leave them out, or say 0.
* A value that is not there is all ones of its width; the exporter leaves those out, but 65535 MHz
  was seen. Up to version 1.5 it left out real values of 255, too (issue 662 there).
* It asks the devices anew at each request.
* `gpu_clock` has `clock_type` `system`, `memory`, ... (before: `GPU_CLOCK_TYPE_SYSTEM`), and one
  row for each die (`clock_index`): their mean is taken.
* `gpu_violation_*_percentage` is the share of the last interval in which a limit held the clocks.

Not read: `gpu_health` and `gpu_afid_errors` (no field of a sample fits), `pcie_rx` and `_tx` (not
filled in yet, says the list), the accumulated violations (their unit is not told).
"""

import re
from collections.abc import Mapping
from functools import partial
from statistics import fmean
from typing import Final

from sidelight_sidecar.observer.accelerators.exporter_rows import (
    MEBIBYTE,
    MOST,
    Devices,
    Figure,
    Gathered,
    celsius,
    gathered_of,
    percent,
    samples_of,
    total,
    whole,
    word,
)
from sidelight_sidecar.observer.accelerators.exporter_text import Row, Scrape
from sidelight_sidecar.observer.accelerators.source import Device, Sample


def _positive(value: float) -> float | None:
    """A device that is on takes some; 0 is said where nothing is known, as in a virtual machine."""
    return value if value > 0 else None


_OWN: Final[Mapping[str, tuple[str, Figure]]] = {
    "gpu_gfx_activity": ("utilization", percent),
    "gpu_umc_activity": ("dram_active", percent),
    "gpu_prof_sm_active": ("sm_active", percent),
    "gpu_prof_tensor_active_percent": ("tensor_active", percent),
    "gpu_used_vram": ("memory_used_bytes", whole(MEBIBYTE)),
    "gpu_total_vram": ("memory_total_bytes", whole(MEBIBYTE)),
}
"""What a partition has of its own."""
_OF_THE_WHOLE: Final[Mapping[str, tuple[str, Figure]]] = {
    "gpu_power_usage": ("power_watts", _positive),
    "gpu_average_package_power": ("power_watts", _positive),
    "gpu_package_power": ("power_watts", _positive),
    "gpu_energy_consumed": ("energy_joules", lambda value: _positive(value / 1e6)),
    "gpu_edge_temperature": ("temperature_celsius", celsius),
    "gpu_junction_temperature": ("temperature_celsius", celsius),
    "gpu_memory_temperature": ("memory_temperature_celsius", celsius),
}
"""Later ones before earlier: MI200 has the average and the edge, MI300 the others."""
_CLOCKS: Final = {
    ("gpu_clock", "system"): "clock_hertz",
    ("gpu_clock", "memory"): "memory_clock_hertz",
    ("gpu_max_clock", "system"): "max_clock_hertz",
}
_HELD: Final = {
    "gpu_violation_ppt_residency_percentage": "sw_power_cap",
    "gpu_violation_processor_hot_residency_percentage": "hw_thermal",
    "gpu_violation_socket_thermal_residency_percentage": "hw_thermal",
    "gpu_violation_vr_thermal_residency_percentage": "hw_thermal",
    "gpu_violation_hbm_thermal_residency_percentage": "hw_thermal",
}
_ECC: Final = {"gpu_ecc_correct_total": "corrected", "gpu_ecc_uncorrect_total": "uncorrected"}
_LINKS: Final = {"gpu_xgmi_link_rx": "rx", "gpu_xgmi_link_tx": "tx"}
BLANKS: Final = frozenset({float(2**16 - 1), float(2**32 - 1)})
"""All ones; those of 64 bits are beyond `MOST`. Not a byte's 255, which watts can be."""
_KIBIBYTE: Final = 1024
_PREFIX = re.compile(r"^.*?(?=gpu_)")
_WHOLE_DEVICE: Final = frozenset({"", "none", "spx", "unknown"})


class Amd:
    """See the module."""

    marker = "gpu_"
    named = "device-metrics-exporter"

    def identity(self, labels: Mapping[str, str]) -> str:
        """By what tells the device from others."""
        return _device_of(labels)[0]

    def samples(self, scrape: Scrape, at_ns: int) -> list[Sample]:
        """What the pod's devices told, by their order."""
        gathered: Devices = {}
        for row in scrape.rows:
            device, partition = _device_of(row.labels)
            name = _PREFIX.sub("", row.name)
            if device and row.value not in BLANKS and abs(row.value) < MOST:
                _gather(gathered, device, partition, row._replace(name=name))
        for found in gathered.values():
            _work_out(found)
        return samples_of(gathered, partial(_device, scrape), at_ns)


def _device_of(labels: Mapping[str, str]) -> tuple[str, str]:
    """The device, and the partition of it that the row is of; empty: it is not partitioned."""
    kind = word(labels, "gpu_compute_partition_type").lower()
    number = word(labels, "gpu_partition_id")
    partition = number if kind not in _WHOLE_DEVICE and number.isdigit() else ""
    serial = word(labels, "serial_number")
    if partition:  # then the UUID is the partition's, and the number, too
        return serial or word(labels, "gpu_id"), partition
    return word(labels, "gpu_uuid") or serial or word(labels, "gpu_id"), ""


def _gather(gathered: Devices, device: str, partition: str, row: Row) -> None:
    own = _OWN.get(row.name)
    mine = gathered_of(gathered, (device, partition), row)
    if own is None and partition not in {"", "0"}:
        return  # only the first partition has sensors
    found = mine if own else gathered_of(gathered, (device, ""), row)
    if found is None:
        return
    if own is None:
        _of_the_whole(found, row)
    elif (value := own[1](row.value)) is not None:
        found.figures[own[0]] = value


def _of_the_whole(found: Gathered, row: Row) -> None:
    name, value = row.name, row.value
    if name in _OF_THE_WHOLE:
        found.by_part.setdefault("figures", {})[name] = value
    elif value < 0:
        return
    elif name in {"gpu_clock", "gpu_max_clock"}:
        kind = word(row.labels, "clock_type").lower().removeprefix("gpu_clock_type_")
        field = _CLOCKS.get((name, kind))
        if field:
            part = found.by_part.setdefault(field, {})
            part[word(row.labels, "clock_index")] = value
    elif name in _HELD:
        found.by_part.setdefault("held", {})[name] = value
    elif name in _ECC:
        found.figures.setdefault("ecc_errors", {})[_ECC[name]] = round(value)
    elif name in _LINKS:
        part = found.by_part.setdefault(f"nvlink_bytes {_LINKS[name]}", {})
        part[word(row.labels, "link_index")] = value


def _work_out(found: Gathered) -> None:
    """What is told by several rows together."""
    figures, parts = found.figures, found.by_part
    told = parts.get("figures", {})
    for name, (field, figure) in _OF_THE_WHOLE.items():
        if name in told and (value := figure(told[name])) is not None:
            figures[field] = value
    for field in _CLOCKS.values():
        if dies := parts.get(field):
            figures[field] = fmean(dies.values()) * 1e6
    if "held" in parts:
        figures["clock_events"] = frozenset(_HELD[name] for name, n in parts["held"].items() if n)
    links = {way: parts.get(f"nvlink_bytes {way}") for way in ("tx", "rx")}
    sent = {way: total(n, _KIBIBYTE) for way, n in links.items() if n}
    if sums := {way: n for way, n in sent.items() if n is not None}:
        figures["nvlink_bytes"] = sums


def _device(scrape: Scrape, device: str, partition: str, found: Gathered) -> Device:
    labels = found.labels
    facts = {"vendor": "AMD", "driver_version": word(labels, "driver_version")}
    return Device(
        uuid=f"{device}/{partition}" if partition else device,
        index=word(labels, "gpu_id"),
        model=word(labels, "card_model", "card_series"),
        shared=bool(partition) or scrape.shared(device),
        parent=device if partition else "",
        instance=partition,
        profile=word(labels, "gpu_compute_partition_type") if partition else "",
        facts={name: fact for name, fact in facts.items() if fact},
    )
