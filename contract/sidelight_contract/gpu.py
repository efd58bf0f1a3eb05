"""What is told of the accelerators that a pod's engine has: settings, and a sidecar's report.

Rules:
1. SI units, as integers where they are added up: milliseconds, millijoules, milliwatts, bytes.
2. Everything in a report can be merged over pods, in any order and grouping; a device that several
   pods share says so, for its figures are the whole device's.
3. Bounded: words of ours, models of devices, and `MAX_FAULTS` faults.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

MAX_FAULTS = 16
MAX_DEVICE_MODELS = 8
MAX_ENERGY_MODELS = 64
OTHER_MODELS = "_other"
EXPORTER_HEADER = "Sidelight-Accelerators"
"""Of a request for `/summary`: the exporter on the sidecar's node, as `dcgm=ADDRESS:PORT` or
`amd=ADDRESS:PORT`; `none`: there is none. The address differs from node to node, so it is not in
the configuration, which all pods of a model share."""

Share = Annotated[dict[str, int], msgspec.Meta(max_length=32)]
Words = Annotated[dict[str, int], msgspec.Meta(max_length=32)]


class GpuSource(StrEnum):
    """Who tells of the devices."""

    AUTO = "Auto"
    """An exporter on the pod's node, DCGM's before AMD's; never the driver itself."""
    DCGM = "DCGM"
    """NVIDIA's dcgm-exporter."""
    NVML = "NVML"
    """The driver's library, from within the pod."""
    AMD = "AMD"
    """ROCm's device-metrics-exporter."""
    NONE = "None"


class GpuState(StrEnum):
    """What a device did in an interval (docs/gpu.md has the rule of each); the first that holds."""

    THROTTLED = "throttled"
    """Its clocks were held down by heat or power."""
    IDLE = "idle"
    """Allocated, and nobody asked anything."""
    WAITING = "waiting"
    """Requests were in flight, and it did little."""
    COMPUTE_BOUND = "compute_bound"
    MEMORY_BOUND = "memory_bound"
    BUSY = "busy"
    """It worked, and nothing tells at what."""


class Phase(StrEnum):
    """What requests were at, for more than half of the time that they were in flight."""

    PREFILL = "prefill"
    """Before their first output: their prompts were computed, or they waited for that."""
    DECODE = "decode"
    """From the first output on."""
    MIXED = "mixed"
    """Neither, or it cannot be told: answers that are no streams have no first output."""
    NONE = "none"
    """No request was in flight for most of that time."""


class FaultKind(StrEnum):
    """What a device can have."""

    XID = "xid"
    ECC_UNCORRECTED = "ecc_uncorrected"
    ROW_REMAP_FAILED = "row_remap_failed"
    THERMAL = "thermal"
    """It was throttled by heat."""
    LOST = "lost"
    """It fell off the bus, or its driver does not answer any more."""


class GpuSettings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """Which source a sidecar reads (`spec.gpu`)."""

    source: Literal["Auto", "DCGM", "NVML", "AMD", "None"] = "Auto"
    """Default Auto: what costs the pod nothing and takes no device."""
    unsafe_visible_all: bool = False
    """NVML sees every device of the node; the pod's own are to be told apart."""


class Mean(msgspec.Struct, array_like=True):
    """A mean over time: the value in thousandths of its unit times milliseconds, and milliseconds.
    Over several devices it is the mean of them.
    """

    weighted: int = 0
    span_ms: int = 0

    def add(self, value: float, span_ms: int) -> None:
        """So long it was `value`."""
        self.weighted += round(value * 1000 * span_ms)
        self.span_ms += span_ms

    def merge(self, other: "Mean") -> None:
        """Add all of `other`."""
        self.weighted += other.weighted
        self.span_ms += other.span_ms

    @property
    def value(self) -> float | None:
        """In the unit; None: it never was known."""
        return self.weighted / 1000 / self.span_ms if self.span_ms else None


class Activity(msgspec.Struct, omit_defaults=True):
    """What devices did while one phase of requests dominated. Means over device time."""

    span_ms: int = 0
    """Device time in all; each mean's own span is shorter where something was not told."""
    utilization: Mean = msgspec.field(default_factory=Mean)
    sm_active: Mean = msgspec.field(default_factory=Mean)
    tensor_active: Mean = msgspec.field(default_factory=Mean)
    dram_active: Mean = msgspec.field(default_factory=Mean)

    def merge(self, other: "Activity") -> None:
        """Add all of `other`."""
        self.span_ms += other.span_ms
        for name in ("utilization", "sm_active", "tensor_active", "dram_active"):
            getattr(self, name).merge(getattr(other, name))


class Energy(msgspec.Struct, omit_defaults=True):
    """Where a pod's joules went while its source told of them, and what was done in that time."""

    device_mj: int = 0
    """By the devices' counters, or integrated; it is the sum of the next four."""
    idle_mj: int = 0
    """What the devices take without work, whether requests are in flight or not."""
    requests_mj: int = 0
    """Shared among requests by the work they did."""
    unowned_mj: int = 0
    """Above idle while nothing was in flight: work that was not seen, or clocks still high."""
    open_mj: int = 0
    """Of intervals that are not shared out yet."""
    unseen_mj: int = 0
    """Of what is shared out, that of times whose tokens are not counted: the source was silent for
    minutes, or the energy is not known whole."""
    prompt_tokens: int = 0
    """Computed in that time, those from the engine's cache not among them."""
    output_tokens: int = 0
    requests: int = 0
    """Requests that have a share."""

    @property
    def shared_out_mj(self) -> int:
        """What is not open."""
        return self.device_mj - self.open_mj

    @property
    def of_tokens_mj(self) -> int:
        """That of the same time as the tokens."""
        return self.shared_out_mj - self.unseen_mj

    def merge(self, other: "Energy") -> None:
        """Add all of `other`."""
        for name in Energy.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Fault(msgspec.Struct, omit_defaults=True, frozen=True):
    """Something that is wrong with a device, newest time."""

    kind: str
    device: str
    """Its index and the start of its UUID, such as `0 (GPU-5ba1e000)`."""
    code: int = 0
    """XID's number."""
    count: int = 1
    """Since the sidecar began; 0: how often is not known."""
    at: Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)] = 0.0
    """Unix seconds at which it was seen last."""
    pod: str = ""
    """Who has it; filled in by the operator."""


class GpuReport(msgspec.Struct, omit_defaults=True):
    """See the module. Of the window, but for `memory_*` (now), `energy*` and `faults` (since the
    start).
    """

    sidecars: int = 0
    """That are to tell of devices."""
    seen: int = 0
    """Of them, those whose source is fresh."""
    whys: Words = {}
    """Why the others are not, by a word of `names.Reason`."""
    why: Annotated[str, msgspec.Meta(max_length=400)] = ""
    """The same in a sentence, of one of them."""
    sources: Words = {}
    devices: Annotated[dict[str, int], msgspec.Meta(max_length=MAX_DEVICE_MODELS + 1)] = {}
    """How many, by model, such as `NVIDIA H100 80GB HBM3`."""
    shared: int = 0
    """Of them, those that other pods use, too."""
    utilization: Mean = msgspec.field(default_factory=Mean)
    """Share of time with any kernel running."""
    sm_active: Mean = msgspec.field(default_factory=Mean)
    tensor_active: Mean = msgspec.field(default_factory=Mean)
    dram_active: Mean = msgspec.field(default_factory=Mean)
    power_watts: Mean = msgspec.field(default_factory=Mean)
    """Of one device."""
    memory_used_bytes: int = 0
    memory_total_bytes: int = 0
    by_phase: Annotated[dict[str, Activity], msgspec.Meta(max_length=8)] = {}
    """By `Phase`."""
    states_ms: Share = {}
    """Device time by `GpuState`."""
    throttled_ms: Share = {}
    """Device time by what held the clocks down; several can at once."""
    throttled: Mean = msgspec.field(default_factory=Mean)
    """Share of time in which anything did."""
    energy: Energy = msgspec.field(default_factory=Energy)
    energy_by_model: Annotated[
        dict[str, Energy], msgspec.Meta(max_length=MAX_ENERGY_MODELS + 1)
    ] = {}
    """By the served model (label `model`); device, idle and open energy are in `energy` alone."""
    energy_level: Literal["", "request", "version"] = ""
    """What samples are dense enough for; `version`: no request has a share of its own."""
    energy_integrated: int = 0
    """Sidecars where it is power over time, for want of a counter."""
    residual: Mean = msgspec.field(default_factory=Mean)
    """How far the model of work was off an interval's energy above idle, as a share of that; since
    the start."""
    faults: Annotated[list[Fault], msgspec.Meta(max_length=4 * MAX_FAULTS)] = []

    def merge(self, other: "GpuReport") -> None:
        """Add all of `other`."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _PARTS:
            getattr(self, name).merge(getattr(other, name))
        for name in ("whys", "sources", "states_ms", "throttled_ms"):
            _add(getattr(self, name), getattr(other, name))
        for phase in set(Phase).intersection(other.by_phase):
            activity = other.by_phase[phase]
            self.by_phase.setdefault(phase, Activity()).merge(activity)
        self.why = max(self.why, other.why)
        _add(self.devices, other.devices, MAX_DEVICE_MODELS)
        for model, energy in sorted(other.energy_by_model.items()):
            self.energy_of(model).merge(energy)
        levels = {self.energy_level, other.energy_level} - {""}
        self.energy_level = max(levels, default="")
        self.faults = newest_faults([*self.faults, *other.faults])

    def energy_of(self, model: str) -> Energy:
        """The entry of one served model; beyond `MAX_ENERGY_MODELS` the one for all others."""
        known = self.energy_by_model
        if model not in known and len(known) >= MAX_ENERGY_MODELS:
            model = OTHER_MODELS
        return known.setdefault(model, Energy())


_COUNTS = (
    "sidecars", "seen", "shared", "memory_used_bytes", "memory_total_bytes", "energy_integrated",
)  # fmt: skip
_PARTS = (
    "utilization", "sm_active", "tensor_active", "dram_active", "power_watts", "throttled",
    "energy", "residual",
)  # fmt: skip


def newest_faults(faults: Iterable[Fault]) -> list[Fault]:
    """The newest `MAX_FAULTS`, by a total order."""
    ordered = sorted(faults, key=lambda f: (-f.at, f.pod, f.device, f.kind, f.code, f.count))
    return ordered[:MAX_FAULTS]


def _add(mine: dict[str, int], theirs: dict[str, int], limit: int = 32) -> None:
    for name, count in sorted(theirs.items()):
        key = name if name in mine or len(mine) < limit else OTHER_MODELS
        mine[key] = mine.get(key, 0) + count
