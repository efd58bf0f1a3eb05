"""What the process that reads NVIDIA's driver writes (`sidelight_sidecar.nvml.words`), as samples.

Rules:
1. Bytes come in any pieces. A line that is too long, is no JSON or is not understood is counted and
   left out; it never raises.
2. A sample is made of each fast row, with what the slow rows of its device told last, unless that
   is older than a few of their periods.
3. What is kept for whoever does not come is of the last `KEEP_NS`, and no more than `MAX_SAMPLES`.
4. XID errors are counted here: the process may be another one after each.
"""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import msgspec

from sidelight_sidecar.nvml.words import MAX_DEVICES, MAX_LINE_BYTES, SLOW_SECONDS, Outcome
from sidelight_sidecar.observer.accelerators.source import Device, Sample

KEEP_NS = 5_000_000_000
MAX_SAMPLES = 16_384
"""Default 16,384: five seconds of more instances than any machine has."""
SLOW_PERIODS = 4
"""So many of their periods slow values hold; a device that hangs in them has old ones no longer."""
MAX_WORDS = 64
_MAX_XIDS = 64
"""Kinds of errors that are counted for one device; NVIDIA numbers fewer than 200."""

Ns = int


class Values(msgspec.Struct, omit_defaults=True):
    """Of a row: fields of `Sample`."""

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
    temperature_celsius: float | None = None
    memory_temperature_celsius: float | None = None
    clock_hertz: float | None = None
    memory_clock_hertz: float | None = None
    max_clock_hertz: float | None = None
    clock_events: frozenset[str] | None = None
    throttled_seconds: dict[str, float] | None = None
    ecc_errors: dict[str, int] | None = None
    row_remap_failed: bool | None = None
    nvlink_bytes: dict[str, int] | None = None
    pcie_bytes: dict[str, int] | None = None


Row = tuple[int, Ns, Values]


class Facts(msgspec.Struct):
    """Of a device."""

    uuid: str
    index: str
    model: str = ""
    pci_bus_id: str = ""
    parent: str = ""
    instance: str = ""
    profile: str = ""


class Hello(msgspec.Struct, tag_field="kind", tag="hello"):
    """The first line."""

    devices: list[Facts]
    driver_version: str = ""
    cuda_version: str = ""
    missing: list[str] = []
    period_seconds: float = 0.0
    slow_seconds: float = SLOW_SECONDS


class Samples(msgspec.Struct, tag_field="kind", tag="samples"):
    """Rows."""

    fast: list[Row] = []
    slow: list[Row] = []
    dropped: int = 0


class Unsupported(msgspec.Struct, tag_field="kind", tag="unsupported"):
    """Signals, and the driver's word for it."""

    signals: dict[str, str]


class Xid(msgspec.Struct, tag_field="kind", tag="xid"):
    """An error of a device."""

    device: int
    xid: int


class Lost(msgspec.Struct, tag_field="kind", tag="lost"):
    """A device that does not answer any more."""

    device: int
    text: str = ""
    code: int = 0


class Gone(msgspec.Struct, tag_field="kind", tag="gone"):
    """A device that did not answer from the start."""

    index: str
    text: str = ""


class Beat(msgspec.Struct, tag_field="kind", tag="beat"):
    """The process lives."""


class End(msgspec.Struct, tag_field="kind", tag="end"):
    """The last line."""

    outcome: Outcome
    code: int = 0
    text: str = ""


_DECODER = msgspec.json.Decoder(Hello | Samples | Unsupported | Xid | Lost | Gone | Beat | End)


class NvmlLines:
    """Takes the bytes of one process after the other.

    Args:
        shared: other pods use the devices, too.

    Attributes:
        hello: of the process now; None: it has not said any.
        newest_ns: time of its newest row; None: none came.
        end: how it said that it ended; None: it has not.
        lost: devices that do not answer, and why, in words.
        unsupported: signals that the devices do not tell, with the driver's word.
        malformed: lines that were left out, of all processes.
        dropped: rows that the processes dropped because nobody read them in time.
    """

    def __init__(self, shared: bool = False) -> None:
        self._shared = shared
        self._samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        self._xids: dict[str, Counter[int]] = {}
        self.unsupported: dict[str, str] = {}
        self.malformed = 0
        self.dropped = 0
        self.begin()

    def begin(self) -> None:
        """Another process is read from now on."""
        self._rest = b""
        self._skipping = False
        self._devices: list[Device] = []
        self._slow: dict[int, tuple[Ns, Mapping[str, Any]]] = {}
        self._at: dict[int, Ns] = {}
        self._untold: set[int] = set()
        self._lost_places: set[int] = set()
        self.lost: dict[str, str] = {}
        self.hello: Hello | None = None
        self.newest_ns: int | None = None
        self.end: End | None = None

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._skipping or len(line) > MAX_LINE_BYTES:
                self.malformed += 1
                self._skipping = False
            else:
                self._line(line)
        if len(rest) > MAX_LINE_BYTES:
            self._skipping, rest = True, b""
        self._rest = rest

    def take(self) -> list[Sample]:
        """See AcceleratorSource."""
        taken = list(self._samples)
        self._samples.clear()
        return taken

    def _line(self, line: bytes) -> None:
        try:
            said = _DECODER.decode(line)
        except (msgspec.DecodeError, RecursionError):
            self.malformed += 1
            return
        match said:
            case Samples():
                self._rows(said)
            case Hello():
                self._hello(said)
            case Unsupported():
                known = sorted((self.unsupported | said.signals).items())
                self.unsupported = dict(known[:MAX_WORDS])
            case Xid():
                self._xid(said)
            case Lost(place, text):
                self._lose(place, text)
            case Gone(index, text):
                self.lost[index[:8]] = text[:100]
            case End():
                self.end = said

    def _hello(self, said: Hello) -> None:
        self.hello = said
        versions = {"driver_version": said.driver_version, "cuda_version": said.cuda_version}
        self._devices = [self._device(facts, versions) for facts in said.devices[:MAX_DEVICES]]

    def _device(self, facts: Facts, versions: dict[str, str]) -> Device:
        told = versions | {"pci_bus_id": facts.pci_bus_id, "vendor": "nvidia"}
        return Device(
            uuid=facts.uuid,
            index=facts.index,
            model=facts.model,
            shared=self._shared or bool(facts.parent),  # its power and clocks are the parent's
            parent=facts.parent,
            instance=facts.instance,
            profile=facts.profile,
            facts={name: value for name, value in told.items() if value},
        )

    def _rows(self, said: Samples) -> None:
        self.dropped += said.dropped
        for place, at, values in said.slow:
            if self._fits(place):
                self._slow[place] = (at, _told(values))
        for place, at, values in said.fast:
            if self._fits(place) and at > self._at.get(place, -1):
                self._at[place] = at
                self._add(place, at, _told(values))

    def _add(self, place: int, at: Ns, values: Mapping[str, Any]) -> None:
        device = self._devices[place]
        slow_at, slow = self._slow.get(place, (at, {}))
        assert self.hello is not None
        if at - slow_at > SLOW_PERIODS * self.hello.slow_seconds * 1e9:
            slow = {}
        self._untold.discard(place)
        self._put(Sample(device, at, **{**slow, **values}, xid_errors=self._errors(device)))

    def _put(self, sample: Sample) -> None:
        self._samples.append(sample)
        self.newest_ns = max(self.newest_ns or 0, sample.at_ns)
        while self._samples[0].at_ns < self.newest_ns - KEEP_NS:
            self._samples.popleft()

    def _errors(self, device: Device) -> Mapping[int, int]:
        return dict(self._xids.get(device.uuid, ()))

    def _xid(self, said: Xid) -> None:
        if not self._fits(said.device):
            return
        counted = self._xids.setdefault(self._devices[said.device].uuid, Counter())
        if said.xid in counted or len(counted) < _MAX_XIDS:
            counted[said.xid] += 1
        self._untold.add(said.device)
        if said.device in self._lost_places:
            self._last_word(said.device)

    def _lose(self, place: int, text: str) -> None:
        if not self._fits(place):
            return
        device = self._devices[place]
        self.lost[f"{device.index} ({device.uuid[:12]})"] = text[:100]
        self._lost_places.add(place)
        self._last_word(place)

    def _last_word(self, place: int) -> None:
        """No row will come any more that could tell of an error: a sample of it alone."""
        if place in self._untold and self.newest_ns is not None:
            self._untold.discard(place)
            device = self._devices[place]
            self._put(Sample(device, self.newest_ns, xid_errors=self._errors(device)))

    def _fits(self, place: int) -> bool:
        fits = 0 <= place < len(self._devices)
        self.malformed += not fits
        return fits


def _told(values: Values) -> Mapping[str, Any]:
    pairs = msgspec.structs.asdict(values).items()
    return {name: value for name, value in pairs if value is not None}
