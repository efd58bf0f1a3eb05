"""What went wrong with devices, from what their counters and gauges say. Pure.

Rules:
1. A counter's first value is no fault: what it counts was before this sidecar. When it grows, the
   growth is one; when it is smaller than before it began anew, and what it has now is new.
2. An exporter's "last XID" that is there at the first look is no fault: it may be weeks old, and
   of a pod before this (it is in the metric `sidelight_gpu_last_xid`). A change to another is one;
   how often it came is not known.
3. A failed row remapping and a lost device are states, and heat is a share of the window: they are
   told while they hold.
4. A device that its source has nothing more of, while it has of others, is lost; so are all of a
   driver that does not answer any more. An exporter that is silent says nothing of devices.
5. Bounded: `MAX_KEPT`, the newest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sidelight_contract.gpu import MAX_FAULTS, Fault, FaultKind, GpuSource, newest_faults
from sidelight_sidecar.observer.accelerators.intervals import MAX_DEVICES
from sidelight_sidecar.observer.accelerators.source import Device, Sample, SourceState

MAX_KEPT = 4 * MAX_FAULTS
THERMAL_SHARE = 0.1
"""Of the window. Default 10 %: a fan that catches up is no fault, half a minute of five is."""
GONE_NS = 60_000_000_000
"""A device whose source has nothing of it for so long, and at least three periods, is lost."""
_UUID_SHOWN = 12

Key = tuple[str, str, int]


def name_of(device: Device) -> str:
    """Index and the start of the UUID, as `Fault.device` has it."""
    return f"{device.index} ({device.uuid[:_UUID_SHOWN]})"


@dataclass(slots=True)
class _Seen:
    """What was last known of one device; a sample need not tell of everything."""

    sample: Sample
    xids: dict[int, int]
    last_xid: int = 0
    uncorrected: int | None = None
    remap_failed: bool = False
    lost: bool = False


class Faults:
    """Follows the samples of all devices.

    Args:
        offset_ns: from the frames' clock to Unix time.
    """

    def __init__(self, offset_ns: int) -> None:
        self._offset_ns = offset_ns
        self._seen: dict[str, _Seen] = {}
        self._found: dict[Key, Fault] = {}

    def add(self, sample: Sample) -> None:
        """Hold a sample against the one before it."""
        seen = self._seen.get(sample.device.uuid)
        errors = sample.ecc_errors.get("uncorrected")
        if seen is not None:
            self._compare(seen, sample, errors)
        elif len(self._seen) < MAX_DEVICES:
            seen = _Seen(sample, dict(sample.xid_errors), sample.last_xid)
            self._seen[sample.device.uuid] = seen
        else:
            return
        seen.sample, seen.last_xid, seen.lost = sample, sample.last_xid, False
        seen.uncorrected = errors if errors is not None else seen.uncorrected
        if sample.row_remap_failed is not None:
            seen.remap_failed = sample.row_remap_failed

    def _compare(self, seen: _Seen, sample: Sample, errors: int | None) -> None:
        for xid, count in sample.xid_errors.items():
            if new := _grown(seen.xids.get(xid, 0), count):
                self._note(sample, FaultKind.XID, code=xid, count=new)
            if xid in seen.xids or len(seen.xids) < MAX_KEPT:
                seen.xids[xid] = count
        if not sample.xid_errors and sample.last_xid not in (0, seen.last_xid):
            self._note(sample, FaultKind.XID, code=sample.last_xid, count=0)
        known = seen.uncorrected
        if errors is not None and known is not None and (new := _grown(known, errors)):
            self._note(sample, FaultKind.ECC_UNCORRECTED, count=new)

    def look(self, state: SourceState, now_ns: int) -> None:
        """See who is gone."""
        wait = max(GONE_NS, int(3e9 * state.period_seconds))
        newest = max((seen.sample.at_ns for seen in self._seen.values()), default=0)
        for seen in self._seen.values():
            if state.fresh:
                seen.lost = newest - seen.sample.at_ns > wait
            elif state.source is GpuSource.NVML:
                seen.lost = now_ns - seen.sample.at_ns > wait

    def forget_devices(self) -> None:
        """Another source begins: its counters are others."""
        self._seen.clear()

    def _note(self, sample: Sample, kind: FaultKind, *, code: int = 0, count: int = 1) -> None:
        key = (sample.device.uuid, kind.value, code)
        before = self._found.get(key)
        count += before.count if before is not None else 0
        self._found[key] = self._fault(sample, kind, code, count)
        if len(self._found) > MAX_KEPT:
            del self._found[min(self._found, key=lambda one: self._found[one].at)]

    def _fault(self, sample: Sample, kind: FaultKind, code: int, count: int) -> Fault:
        at = max(0.0, (sample.at_ns + self._offset_ns) / 1e9)
        return Fault(kind.value, name_of(sample.device), code, count, at)

    def _holding(self) -> Iterator[Fault]:
        for seen in self._seen.values():
            if seen.lost:
                yield self._fault(seen.sample, FaultKind.LOST, 0, 1)
            if seen.remap_failed:
                yield self._fault(seen.sample, FaultKind.ROW_REMAP_FAILED, 0, 0)

    def told(self, hot: Mapping[str, float], now_ns: int) -> list[Fault]:
        """The newest.

        Args:
            hot: share of the window in which heat held each device, by its name.
            now_ns: until when that is.
        """
        at = (now_ns + self._offset_ns) / 1e9
        heat = [
            Fault(FaultKind.THERMAL.value, device, count=0, at=max(0.0, at))
            for device, share in hot.items()
            if share >= THERMAL_SHARE
        ]
        return newest_faults([*heat, *self._holding(), *self._found.values()])


def _grown(before: int, count: int) -> int:
    """How many are new; where it is less than before, it began anew."""
    return count - before if count >= before else count
