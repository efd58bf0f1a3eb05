"""The table: each signal, the ways to ask for it, and what makes its unit ours.

A signal has the name of a field of `observer.accelerators.source.Sample`; `throttled_seconds.x` is
the entry `x` of a map. Its ways are tried in order, once; the first that the device answers stays.
What belongs to an instance of a partitioned device is asked of the instance; power, clocks, heat
and links exist for the whole device only (and then are not the instance's alone).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml

Handle = Any
"""A pointer of the library's."""
Value = int | float | bool | list[str] | None
Unit = Callable[[int], Value]

ALL_LINKS = 0xFFFFFFFF
MAX_LINKS = 18
_NOT_AVAILABLE = frozenset({0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
CLOCK_EVENTS = {
    0x001: "idle",
    0x002: "applications_clocks",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal",
    0x040: "hw_thermal",
    0x080: "hw_power_brake",
    0x100: "display_clock",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the library's, and what it tells of a device: a value for each signal."""

    name: str
    read: Callable[[Handle], Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Fields:
    """A signal that is the sum of field values; all fields of a device go in one call.

    Attributes:
        wanted: the number of each, and its scope (a link; 0: it has none).
    """

    wanted: Sequence[tuple[int, int]]
    unit: Unit


@dataclass(frozen=True, slots=True)
class Query:
    """One row of the table."""

    signals: Sequence[str]
    ways: Sequence[Call | Fields]
    fast: bool = False
    """With every round; the others once a second."""
    of_instance: bool = False
    """Asked of an instance where the device is one, not of the whole."""


def clock_events(mask: int) -> list[str]:
    """The words of what holds the clocks down; of a bit that has none yet, its number."""
    known = [word for bit, word in CLOCK_EVENTS.items() if mask & bit]
    return known + [f"bit_{n}" for n in range(9, 64) if mask >> n & 1]


def _same(value: int) -> Value:
    return value


def _thousandths(value: int) -> Value:
    return value / 1000


def _mega(value: int) -> Value:
    return value * 1_000_000


def _kibi(value: int) -> Value:
    return value * 1024


def _nano(value: int) -> Value:
    return value / 1e9


def _field(number: int, unit: Unit = _same, scope: int = 0) -> Fields:
    return Fields([(number, scope)], unit)


def _each_link(number: int, unit: Unit = _same) -> Fields:
    return Fields([(number, link) for link in range(MAX_LINKS)], unit)


def _call(name: str, *arguments: int, unit: Unit = _same) -> Call:
    def read(handle: Handle) -> Sequence[Value]:
        told = known(getattr(pynvml, name)(handle, *arguments))
        return [None if told is None else unit(told)]

    return Call(name, read)


def known(told: int) -> int | None:
    """A number of the library's, or None where it is the one for "not available"."""
    return None if told in _NOT_AVAILABLE else told


def _utilization(handle: Handle) -> Sequence[Value]:
    return [pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100]


def _memory_v2(handle: Handle) -> Sequence[Value]:
    told = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    return [known(told.used), known(told.reserved), known(told.total)]


def _memory_v1(handle: Handle) -> Sequence[Value]:
    told = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return [known(told.used), None, known(told.total)]


def _remap_failed(handle: Handle) -> Sequence[Value]:
    return [bool(pynvml.nvmlDeviceGetRemappedRows(handle)[3])]


def _one(signal: str, *ways: Call | Fields, fast: bool = False) -> Query:
    return Query([signal], ways, fast)


def _throttled(word: str, *numbers: int) -> Query:
    return _one(f"throttled_seconds.{word}", *(_field(number, _nano) for number in numbers))


_EVENTS = "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"
_ECC = "nvmlDeviceGetTotalEccErrors"

QUERIES = (
    _one(
        "power_watts",
        # At this moment; the function's is a mean over a second on most devices since Ampere.
        _field(pynvml.NVML_FI_DEV_POWER_INSTANT, _thousandths),
        _call("nvmlDeviceGetPowerUsage", unit=_thousandths),
        fast=True,
    ),
    _one(
        "energy_joules",
        _field(pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, _thousandths),
        _call("nvmlDeviceGetTotalEnergyConsumption", unit=_thousandths),
        fast=True,
    ),
    _one("utilization", Call("nvmlDeviceGetUtilizationRates", _utilization), fast=True),
    _one(
        "clock_hertz",
        _call("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM, unit=_mega),
        fast=True,
    ),
    _one(
        "memory_clock_hertz",
        _call("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM, unit=_mega),
        fast=True,
    ),
    _one("clock_events", *(_call(name, unit=clock_events) for name in _EVENTS), fast=True),
    Query(
        ["memory_used_bytes", "memory_reserved_bytes", "memory_total_bytes"],
        [
            Call("nvmlDeviceGetMemoryInfo_v2", _memory_v2),
            Call("nvmlDeviceGetMemoryInfo", _memory_v1),
        ],
        of_instance=True,
    ),
    _one(
        "temperature_celsius",
        _call("nvmlDeviceGetTemperatureV", pynvml.NVML_TEMPERATURE_GPU),
        _call("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
    ),
    _one("memory_temperature_celsius", _field(pynvml.NVML_FI_DEV_MEMORY_TEMP)),
    _one("power_limit_watts", _call("nvmlDeviceGetEnforcedPowerLimit", unit=_thousandths)),
    _one("max_clock_hertz", _call("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM, unit=_mega)),
    _throttled("sw_power_cap", pynvml.NVML_FI_DEV_PERF_POLICY_POWER),
    _throttled("sync_boost", pynvml.NVML_FI_DEV_PERF_POLICY_SYNC_BOOST),
    _throttled(
        "sw_thermal",
        pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN,
        pynvml.NVML_FI_DEV_PERF_POLICY_THERMAL,  # older drivers' name of it
    ),
    _throttled("hw_thermal", pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN),
    _throttled("hw_power_brake", pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN),
    # Since the driver was loaded, not of the device's whole life.
    _one(
        "ecc_errors.corrected",
        _field(pynvml.NVML_FI_DEV_ECC_SBE_VOL_TOTAL),
        _call(_ECC, pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_VOLATILE_ECC),
    ),
    _one(
        "ecc_errors.uncorrected",
        _field(pynvml.NVML_FI_DEV_ECC_DBE_VOL_TOTAL),
        _call(_ECC, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC),
    ),
    _one(
        "row_remap_failed",
        _field(pynvml.NVML_FI_DEV_REMAPPED_FAILURE, bool),
        Call("nvmlDeviceGetRemappedRows", _remap_failed),
    ),
    # Without protocol overhead, over all links; from NVLink 5 on each link counts its bytes.
    _one(
        "nvlink_bytes.tx",
        _field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, _kibi, ALL_LINKS),
        _each_link(pynvml.NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES),
    ),
    _one(
        "nvlink_bytes.rx",
        _field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, _kibi, ALL_LINKS),
        _each_link(pynvml.NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES),
    ),
    _one("pcie_bytes.tx", _field(pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES)),
    _one("pcie_bytes.rx", _field(pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES)),
)
