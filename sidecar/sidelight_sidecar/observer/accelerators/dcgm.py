"""NVIDIA's dcgm-exporter: its rows as devices and samples.

Facts, and where they are from (repositories NVIDIA/dcgm-exporter and NVIDIA/DCGM):
* Metrics are DCGM's fields by name (`etc/default-counters.csv`); an administrator chooses which, so
  any may be missing. Units by `dcgmlib/dcgm_fields.h`: MHz, watts, mJ since the driver's start, MB
  that are MiB, percent (`DEV_*_UTIL`) and ratios (`PROF_*_ACTIVE`); violations and event reasons in
  ns (older headers say microseconds; the value is NVML's, in ns).
* Labels (`internal/pkg/rendermetrics`): `gpu`, `UUID` (`uuid` in the old mode), `pci_bus_id`,
  `device`, `modelName`, and of an instance `GPU_I_PROFILE` and `GPU_I_ID`; rows of links have
  `gpu_uuid`, `model_name` and `nvlink` instead. `Hostname` became `hostname`; neither is used.
  Label fields such as `DCGM_FI_DRIVER_VERSION` are on every row. `vgpu` is there where the device
  is one of several slices; claims (DRA) add `dra_mig_device_uuid` and others.
* Of an instance (MIG) only `PROF_*` and `FB_*` are its own; power, energy, temperature and clocks
  are repeated from the whole device (issues 257 and 50 there), utilisation is 0 (issue 216).
* A field without a value is left out, and was not always: the blanks of `dcgm_structs.h`.
* `DCGM_FI_DEV_XID_ERRORS` is the last error's number, not a count. `DCGM_EXP_XID_ERRORS_COUNT`
  counts within a sliding window and so falls again: it only tells which error there was.
  `DCGM_EXP_XID_ERRORS_TOTAL` (since 2026) is a counter, of the exporter's own life.

Not read, for their units or meaning are unsure: `DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL` (no
direction), `DCGM_FI_DEV_PCIE_TX_THROUGHPUT` and `_RX_` (called counters, are rates), and the rates
`DCGM_FI_PROF_PCIE_*` and `_NVLINK_*`, which are no counters.
"""

from collections.abc import Mapping
from functools import partial
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
    ratio,
    samples_of,
    scaled,
    total,
    whole,
    word,
)
from sidelight_sidecar.observer.accelerators.exporter_text import Row, Scrape
from sidelight_sidecar.observer.accelerators.source import Device, Sample

INT32_BLANK: Final = 0x7FFF_FFF0
FP64_BLANK: Final = 140_737_488_355_328.0
BLANKS: Final = frozenset(blank + why for blank in (INT32_BLANK, FP64_BLANK) for why in range(4))
"""Blank, not found, not supported, not permitted. Those of 64 bits (from 0x7ffffffffffffff0 on) are
beyond `MOST`, and a double could not tell them apart."""

_OWN: Final[Mapping[str, tuple[str, Figure]]] = {
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": ("engine_active", ratio),
    "DCGM_FI_PROF_SM_ACTIVE": ("sm_active", ratio),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": ("tensor_active", ratio),
    "DCGM_FI_PROF_DRAM_ACTIVE": ("dram_active", ratio),
    "DCGM_FI_DEV_FB_USED": ("memory_used_bytes", whole(MEBIBYTE)),
    "DCGM_FI_DEV_FB_RESERVED": ("memory_reserved_bytes", whole(MEBIBYTE)),
    "DCGM_FI_DEV_FB_FREE": ("memory_free_bytes", whole(MEBIBYTE)),
    "DCGM_FI_DEV_FB_TOTAL": ("memory_total_bytes", whole(MEBIBYTE)),
}
"""What an instance has of its own."""
_OF_THE_WHOLE: Final[Mapping[str, tuple[str, Figure]]] = {
    "DCGM_FI_DEV_POWER_USAGE": ("power_watts", scaled()),
    "DCGM_FI_DEV_ENFORCED_POWER_LIMIT": ("power_limit_watts", scaled()),
    "DCGM_FI_DEV_POWER_MGMT_LIMIT": ("power_limit_set", scaled()),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("energy_joules", scaled(per=1000)),
    "DCGM_FI_DEV_GPU_TEMP": ("temperature_celsius", celsius),
    "DCGM_FI_DEV_MEMORY_TEMP": ("memory_temperature_celsius", celsius),
    "DCGM_FI_DEV_SM_CLOCK": ("clock_hertz", scaled(1e6)),
    "DCGM_FI_DEV_MEM_CLOCK": ("memory_clock_hertz", scaled(1e6)),
    "DCGM_FI_DEV_MAX_SM_CLOCK": ("max_clock_hertz", scaled(1e6)),
    "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": ("reasons", whole()),
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": ("reasons", whole()),
    "DCGM_FI_DEV_XID_ERRORS": ("last_xid", whole()),
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": ("row_remap_failed", lambda value: value != 0),
}
_THROTTLED: Final = {
    "DCGM_FI_DEV_POWER_VIOLATION": "sw_power_cap",
    "DCGM_FI_DEV_THERMAL_VIOLATION": "sw_thermal",  # of either kind; the next ones tell apart
    "DCGM_FI_DEV_SYNC_BOOST_VIOLATION": "sync_boost",
    "DCGM_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP_NS": "sw_power_cap",
    "DCGM_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST_NS": "sync_boost",
    "DCGM_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS": "sw_thermal",
    "DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS": "hw_thermal",
    "DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS": "hw_power_brake",
}
"""Later ones before earlier: they are finer."""
_ECC: Final = {
    "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL": "corrected",
    "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL": "uncorrected",
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": "corrected",
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": "uncorrected",
}
"""Since the driver's start before those of the device's whole life."""
_LINKS: Final = {
    "DCGM_FI_DEV_NVLINK_COUNT_TX_BYTES": "tx",
    "DCGM_FI_DEV_NVLINK_COUNT_RX_BYTES": "rx",
}
_NANOSECONDS: Final = 1e9
REASONS: Final = {
    0x1: "idle", 0x2: "applications_clocks", 0x4: "sw_power_cap", 0x8: "hw_slowdown",
    0x10: "sync_boost", 0x20: "sw_thermal", 0x40: "hw_thermal", 0x80: "hw_power_brake",
    0x100: "display_clock",
}  # fmt: skip
"""`DCGM_CLOCKS_EVENT_REASON_*`, one to one NVML's."""
_UUID: Final = ("UUID", "uuid", "gpu_uuid")
_ONLY_HERE: Final = ("engine_active", "memory_free_bytes", "power_limit_set", "reasons")
"""Gathered to work others out; no figures of a sample."""


class Dcgm:
    """See the module."""

    marker = "DCGM_"
    named = "dcgm-exporter"

    def identity(self, labels: Mapping[str, str]) -> str:
        """By the device's UUID."""
        return word(labels, *_UUID)

    def samples(self, scrape: Scrape, at_ns: int) -> list[Sample]:
        """What the pod's devices told, by their order."""
        gathered: Devices = {}
        for row in scrape.rows:
            uuid = word(row.labels, *_UUID)
            if uuid and row.value not in BLANKS and abs(row.value) < MOST:
                _gather(gathered, uuid, row)
        for found in gathered.values():
            _work_out(found)
        return samples_of(gathered, partial(_device, scrape), at_ns)


def _gather(gathered: Devices, uuid: str, row: Row) -> None:
    instance = word(row.labels, "GPU_I_ID")
    own = _OWN.get(row.name)
    if instance and row.name == "DCGM_FI_DEV_GPU_UTIL":
        return  # 0, whatever the instance does
    mine = gathered_of(gathered, (uuid, instance), row)
    found = mine if own else gathered_of(gathered, (uuid, ""), row)
    if found is None:
        return
    found.sliced |= "vgpu" in row.labels
    if own is None:
        _of_the_whole(found, row)
    elif (value := own[1](row.value)) is not None:
        found.figures[own[0]] = value


def _of_the_whole(found: Gathered, row: Row) -> None:
    name, value = row.name, row.value
    if name == "DCGM_FI_DEV_GPU_UTIL":
        found.figures["utilization"] = percent(value)
    elif field := _OF_THE_WHOLE.get(name):
        figure = field[1](value)
        if figure is not None:
            found.figures[field[0]] = figure
    elif value < 0:
        return
    elif name in _THROTTLED:
        found.by_part.setdefault("throttled_seconds", {})[name] = value / _NANOSECONDS
    elif name in _ECC:
        found.by_part.setdefault("ecc_errors", {})[name] = value
    elif name in _LINKS:
        link = word(row.labels, "nvlink")
        found.by_part.setdefault(f"nvlink_bytes {_LINKS[name]}", {})[link] = value
    elif name.startswith("DCGM_EXP_XID_ERRORS_"):
        _xid(found, row)


def _xid(found: Gathered, row: Row) -> None:
    xid = word(row.labels, "xid")
    if not xid.isascii() or not xid.isdigit() or len(xid) > _XID_DIGITS or not int(xid):
        return
    if row.name == "DCGM_EXP_XID_ERRORS_TOTAL":
        found.figures.setdefault("xid_errors", {})[int(xid)] = round(row.value)
    elif row.value > 0:
        found.by_part.setdefault("recent xid", {})[xid] = row.value


def _work_out(found: Gathered) -> None:
    """What is told by several rows together."""
    figures, parts = found.figures, found.by_part
    if figures.get("utilization") is None:
        figures["utilization"] = figures.get("engine_active")
    figures.setdefault("power_limit_watts", figures.get("power_limit_set"))
    used, free = figures.get("memory_used_bytes"), figures.get("memory_free_bytes")
    if used is not None and free is not None:
        total = used + free + figures.get("memory_reserved_bytes", 0)
        figures.setdefault("memory_total_bytes", total)
    if (mask := figures.get("reasons")) is not None:
        figures["clock_events"] = frozenset(what for bit, what in REASONS.items() if mask & bit)
    if not figures.get("last_xid") and (recent := parts.get("recent xid")):
        figures["last_xid"] = max(map(int, recent))
    if held := parts.get("throttled_seconds"):
        figures["throttled_seconds"] = {_THROTTLED[row]: held[row] for row in _in(_THROTTLED, held)}
    if errors := parts.get("ecc_errors"):
        figures["ecc_errors"] = {_ECC[row]: round(errors[row]) for row in _in(_ECC, errors)}
    links = {way: _of_links(parts.get(f"nvlink_bytes {way}", {})) for way in ("tx", "rx")}
    if sums := {way: sent for way, sent in links.items() if sent is not None}:
        figures["nvlink_bytes"] = sums
    for name in _ONLY_HERE:
        figures.pop(name, None)
    for name in [name for name, value in figures.items() if value is None]:
        del figures[name]


def _in(table: Mapping[str, str], told: Mapping[str, float]) -> list[str]:
    """What was told, in the table's order, so that finer and nearer ones come last."""
    return [row for row in table if row in told]


def _of_links(by_link: Mapping[str, float]) -> int | None:
    """The device's own row, if there is one, is the sum already."""
    if not by_link:
        return None
    return total({"": by_link[""]} if "" in by_link else by_link)


def _device(scrape: Scrape, uuid: str, instance: str, found: Gathered) -> Device:
    labels = found.labels
    facts = {
        "vendor": "NVIDIA",
        "driver_version": word(labels, "DCGM_FI_DRIVER_VERSION"),
        "pci_bus_id": word(labels, "pci_bus_id"),
    }
    mig = word(labels, "dra_mig_device_uuid") or f"{uuid}/{instance}"
    return Device(
        uuid=mig if instance else uuid,
        index=word(labels, "gpu"),
        model=word(labels, "modelName", "model_name"),
        shared=bool(instance) or found.sliced or scrape.shared(uuid),
        parent=uuid if instance else "",
        instance=instance,
        profile=word(labels, "GPU_I_PROFILE", "dra_mig_profile") if instance else "",
        facts={name: fact for name, fact in facts.items() if fact},
    )


_XID_DIGITS = 5
