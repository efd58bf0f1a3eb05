"""What a source of device figures gives: devices, samples, and how it does itself.

Rules:
1. Units are SI: ratios 0 to 1, bytes, joules, watts, hertz, degrees Celsius, seconds.
2. What a device or source does not tell is None, or is not in a map; never zero.
3. Counters are as the source has them, and may restart; whoever takes differences looks out for it.
4. Nothing here waits for a device: a source is looked at, and gives what it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sidelight_contract.gpu import GpuSource
from sidelight_contract.names import Reason


@dataclass(frozen=True, slots=True)
class Device:
    """One device, or one instance of a partitioned one, that the pod has."""

    uuid: str
    """As its maker spells it: `GPU-...`, `MIG-...`; of an exporter without, what it has."""
    index: str
    """The source's number of it, such as `0`; the label `gpu`."""
    model: str = ""
    """Such as `NVIDIA H100 80GB HBM3`."""
    shared: bool = False
    """Other pods use it, too (time slices, or the parent's figures of an instance): its figures
    are not this pod's alone, and are never added up over pods."""
    parent: str = ""
    """UUID of the whole device where this is an instance of it (MIG)."""
    instance: str = ""
    """Number of the GPU instance, where it is one."""
    profile: str = ""
    """Its MIG profile, such as `1g.10gb`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """For the info metric: `driver_version`, `cuda_version`, `pci_bus_id`, `vendor`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one device told at one time."""

    device: Device
    at_ns: int
    """When, by the frames' clock (monotonic nanoseconds); of an exporter, when it was read."""
    utilization: float | None = None
    sm_active: float | None = None
    tensor_active: float | None = None
    dram_active: float | None = None
    memory_used_bytes: int | None = None
    memory_reserved_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    energy_joules: float | None = None
    """Counter of the device, since its driver was loaded; None: integrate `power_watts`."""
    temperature_celsius: float | None = None
    memory_temperature_celsius: float | None = None
    clock_hertz: float | None = None
    """Of the SMs."""
    memory_clock_hertz: float | None = None
    max_clock_hertz: float | None = None
    clock_events: frozenset[str] | None = None
    """What holds the clocks down now: `idle`, `sw_power_cap`, `sw_thermal`, `hw_thermal`,
    `hw_power_brake`, `hw_slowdown`, `applications_clocks`, `sync_boost`, `display_clock`."""
    throttled_seconds: Mapping[str, float] = field(default_factory=dict)
    """Counters by the same words, where the source has them."""
    xid_errors: Mapping[int, int] = field(default_factory=dict)
    """How often each was seen since the source began (a counter)."""
    last_xid: int = 0
    """Where only the last is known (an exporter); 0: none."""
    ecc_errors: Mapping[str, int] = field(default_factory=dict)
    """Counters: `corrected`, `uncorrected`."""
    row_remap_failed: bool | None = None
    nvlink_bytes: Mapping[str, int] = field(default_factory=dict)
    """Counters: `tx`, `rx`."""
    pcie_bytes: Mapping[str, int] = field(default_factory=dict)
    """The same of PCIe."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source does."""

    source: GpuSource
    fresh: bool
    """Its newest samples are no older than a few of its intervals."""
    reason: Reason
    """`GPUS_SEEN` where it is fresh; else why it is not."""
    message: str = ""
    """The same in a sentence: what, where, what to do."""
    unsupported: Sequence[str] = ()
    """What the devices do not tell, listed once."""
    period_seconds: float = 0.0
    """How far samples are apart, about; 0: not known yet."""

    @property
    def level(self) -> Literal["request", "version"]:
        """What its samples are dense enough for: shares of requests, or of versions alone."""
        return "request" if 0 < self.period_seconds <= REQUEST_LEVEL_SECONDS else "version"


REQUEST_LEVEL_SECONDS = 0.5
"""A request lasts a second or so: samples farther apart tell nothing of a single one."""


class AcceleratorSource(Protocol):
    """Who tells of devices. `run` is its own task; the rest returns at once."""

    async def run(self) -> None:
        """Read until cancelled; never raises for what a device, driver or exporter does."""
        ...

    def take(self) -> list[Sample]:
        """The samples that were not taken yet, in the order of their times; at most some seconds'
        worth is kept for whoever does not come.
        """
        ...

    @property
    def state(self) -> SourceState:
        """How it does."""
        ...
