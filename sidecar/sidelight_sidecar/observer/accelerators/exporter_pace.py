"""Which reads of an exporter are new figures, and how far apart those are.

An exporter is read more often than it collects (dcgm-exporter: every 30 s unless told otherwise,
and it does not say when). A read in between repeats the figures before; told with a new time it
would say that the device took nothing since, and that twice as much came at once later. Rules:
1. A whole device and its instances go together: all are collected at once.
2. Where the device has an energy counter, its figures are new when the counter moved: a device
   that is on never takes nothing. Only that: others, such as shares by process, are worked out at
   each read.
3. A counter that stands still for `SAME_SECONDS` while other figures move is none: it is left out
   of the samples until it moves, so that whoever needs energy integrates the power.
4. Without a counter, figures are new when any of them changed, or have been the same for
   `SAME_SECONDS`: a device without work may well say the same for long.
5. A counter that fell (the driver or exporter began anew) moved, and is told as it is.
"""

import dataclasses
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sidelight_sidecar.observer.accelerators.source import Sample

SAME_SECONDS = 60.0
"""Twice the period of dcgm-exporter."""
KEPT_TIMES = 9
"""Of new figures, for the period: a read finds a collection up to a read's distance late, which
over eight of them is an eighth of that."""
MAX_DEVICES = 256
"""Whole ones that are remembered, those that went away among them."""
_NEVER_COMPARED = {"device", "at_ns", "xid_errors"}


@dataclass(slots=True)
class _Last:
    """What a device told when it was new last."""

    at_ns: int
    energy: tuple[float, ...]
    others: Hashable
    stuck: bool = False
    """Its counter stands still, by rule 3."""


@dataclass(slots=True)
class Pace:
    """See the module; of one exporter."""

    _last: dict[str, _Last] = field(default_factory=dict)
    _times: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT_TIMES))

    def new(self, samples: Iterable[Sample]) -> list[Sample]:
        """Those of a read that are new figures."""
        together: dict[str, list[Sample]] = {}
        for sample in samples:
            together.setdefault(sample.device.parent or sample.device.uuid, []).append(sample)
        found = []
        for device, group in together.items():
            found += self._of_device(device, group)
        if found:
            self._times.append(found[0].at_ns)
        self._forget(together)
        return found

    @property
    def period_seconds(self) -> float:
        """How far new figures are apart; 0: not known yet."""
        count = len(self._times) - 1
        return (self._times[-1] - self._times[0]) / count / 1e9 if count > 0 else 0.0

    def _of_device(self, device: str, group: list[Sample]) -> list[Sample]:
        last = self._last.get(device)
        now = _told(group)
        if last is None:
            self._last[device] = now
            return group
        waited = (now.at_ns - last.at_ns) / 1e9 >= SAME_SECONDS
        changed = now.others != last.others
        if now.energy and now.energy == last.energy:
            if not (changed and (waited or last.stuck)):
                return []
            now.stuck = True
            group = [dataclasses.replace(sample, energy_joules=None) for sample in group]
        elif not (now.energy or changed or waited):
            return []
        self._last[device] = now
        return group

    def _forget(self, present: Iterable[str]) -> None:
        if len(self._last) > MAX_DEVICES:
            self._last = {device: self._last[device] for device in present}


def _told(group: Sequence[Sample]) -> _Last:
    energy = tuple(s.energy_joules for s in group if s.energy_joules is not None)
    others = tuple((s.device.uuid, _figures(s)) for s in group)
    return _Last(at_ns=group[0].at_ns, energy=energy, others=others)


def _figures(sample: Sample) -> Hashable:
    names = (f.name for f in dataclasses.fields(sample) if f.name not in _NEVER_COMPARED)
    return tuple(_comparable(getattr(sample, name)) for name in names)


def _comparable(value: Hashable | Mapping[str, float]) -> Hashable:
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value
