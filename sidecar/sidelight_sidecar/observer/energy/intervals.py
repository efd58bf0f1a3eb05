"""From devices' samples to intervals of a pod's energy. Pure.

Rules:
1. Joules come from the devices' counters; of a device without one, from its power by the trapezoid,
   labelled `integrated`. All is in whole millijoules: what intervals hold adds up to the counters'
   differences exactly.
2. Several devices are added up on common steps of `STEP_NS`. A counter between two samples is on
   the straight line; where samples are farther apart than two steps there is no step between them:
   the interval is long, not invented.
3. A counter that began anew, or moved faster than any device can, says nothing of that time: it is
   integrated where power is known, else uncovered. So is power over a longer gap than
   `MOST_INTEGRATED_NS`.
4. Shared devices are left out. One that is silent `GONE_NS` longer than others is gone; others do
   not wait for it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sidelight_sidecar.observer.accelerators.source import Sample

STEP_NS = 100_000_000
"""Default 100 ms: NVML is sampled so often, and its counters move every 20 to 100 ms."""
MOST_WATTS = 10_000.0
"""No single device takes as much; the greatest take some 1,400 W."""
MOST_INTEGRATED_NS = 60_000_000_000
GONE_NS = 60_000_000_000
MAX_DEVICES = 64
MAX_POINTS = 4096
"""Points of one device that may wait for the others."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What all devices took between two steps."""

    since_ns: int
    until_ns: int
    millijoules: int
    integrated: bool = False
    uncovered_ns: int = 0
    """How long of it the energy of a device is not known."""


class Meter:
    """See the module; `step_ns` is for whoever wants coarser intervals."""

    def __init__(self, step_ns: int = STEP_NS) -> None:
        self.step_ns = step_ns
        self._devices: dict[str, _Device] = {}
        self._at_ns = 0
        """The last step that is told; 0: none yet."""
        self._newest_ns = 0
        self._before_mj = 0
        """What devices had counted when the first interval began."""

    @property
    def newest_ns(self) -> int:
        """Time of the newest sample that counted."""
        return self._newest_ns

    @property
    def device_mj(self) -> int:
        """All that was counted since the first interval began, told as intervals or not."""
        if not self._at_ns:
            return 0
        return sum(device.counted_mj for device in self._devices.values()) - self._before_mj

    @property
    def tail_mj(self) -> int:
        """What was counted after the last interval."""
        if not self._at_ns:
            return 0
        return sum(d.counted_mj - d.at(self._at_ns) for d in self._devices.values())

    def take(self, samples: Iterable[Sample]) -> Iterator[Interval]:
        """Add samples, those of a device in the order of their times; give what is complete."""
        for sample in samples:
            if sample.device.shared:
                continue
            device = self._devices.get(sample.device.uuid)
            if device is None:
                if len(self._devices) >= MAX_DEVICES:
                    continue
                device = self._devices[sample.device.uuid] = _Device()
            if device.take(sample, self._at_ns):
                self._newest_ns = max(self._newest_ns, sample.at_ns)
        return self._complete()

    def _complete(self) -> Iterator[Interval]:
        told = [device for device in self._devices.values() if device.points]
        live = [d for d in told if d.newest_ns > self._newest_ns - GONE_NS]
        if not live:
            return
        limit = min(device.newest_ns for device in live)
        if not self._at_ns:
            self._begin(told, max(device.points[0].at_ns for device in live), limit)
        while self._at_ns and (step := self._next(live, limit)):
            yield self._interval(told, step)
            self._at_ns = step
            for device in told:
                device.forget(step)

    def _begin(self, told: list["_Device"], first_ns: int, limit: int) -> None:
        step = -(-first_ns // self.step_ns) * self.step_ns
        if step <= limit:
            self._at_ns = step
            self._before_mj = sum(device.at(step) for device in told)

    def _next(self, live: list["_Device"], limit: int) -> int:
        """The first step after the last one by which all devices tell; 0: none yet."""
        step = self._at_ns + self.step_ns
        while step <= limit:
            later = max(device.wanted(self._at_ns, step, self.step_ns) for device in live)
            if later <= step:
                return step
            step = -(-later // self.step_ns) * self.step_ns
        return 0

    def _interval(self, told: list["_Device"], step: int) -> Interval:
        joules, uncovered, integrated = 0, 0, False
        for device in told:
            joules += device.at(step) - device.at(self._at_ns)
            for since, point in device.segments(self._at_ns, step):
                integrated |= point.integrated
                if not point.known:
                    uncovered = max(uncovered, min(step, point.at_ns) - max(self._at_ns, since))
        return Interval(self._at_ns, step, joules, integrated, uncovered)


@dataclass(frozen=True, slots=True)
class _Point:
    """How much a device had counted by then, and how that is known since the point before."""

    at_ns: int
    counted_mj: int
    integrated: bool = False
    known: bool = True


class _Device:
    """One device: what it counted, as points on the way."""

    def __init__(self) -> None:
        self.points: deque[_Point] = deque()
        self.counted_mj = 0
        self._counter_mj: int | None = None
        self._watts: float | None = None

    @property
    def newest_ns(self) -> int:
        """When it told last."""
        return self.points[-1].at_ns

    def take(self, sample: Sample, told_ns: int) -> bool:
        """Add a sample; False: it says nothing. Until `told_ns` all is told already."""
        last = self.points[-1] if self.points else None
        if last is not None and sample.at_ns <= last.at_ns:
            return False
        counter = _millijoules(sample.energy_joules)
        watts = _plausible(sample.power_watts)
        if counter is None and (self._counter_mj is not None or watts is None):
            return False  # its counter will tell again, or there is nothing to tell
        if last is None:
            self.points.append(_Point(sample.at_ns, 0))
        else:
            if last.at_ns < told_ns:  # it was gone: what it took then is nobody's
                self._add(_Point(told_ns, self.counted_mj, known=False))
                self._counter_mj = self._watts = None
            self._go_on(last, sample.at_ns, counter, watts)
        self._counter_mj, self._watts = counter, watts
        return True

    def _go_on(self, last: _Point, at_ns: int, counter: int | None, watts: float | None) -> None:
        span_ns = at_ns - last.at_ns
        most = int(MOST_WATTS * span_ns / 1e6) + 1_000
        if counter is not None and self._counter_mj is not None:
            moved = counter - self._counter_mj
            if 0 <= moved <= most:
                self.counted_mj += moved
                self._add(_Point(at_ns, self.counted_mj))
                return
        known = watts is not None and self._watts is not None and span_ns <= MOST_INTEGRATED_NS
        if known:
            assert watts is not None
            assert self._watts is not None
            self.counted_mj += round((watts + self._watts) / 2 * span_ns / 1e6)
        self._add(_Point(at_ns, self.counted_mj, integrated=known, known=known))

    def _add(self, point: _Point) -> None:
        if len(self.points) >= MAX_POINTS:  # others do not come: let it be coarser
            last = self.points.pop()
            integrated, known = last.integrated or point.integrated, last.known and point.known
            point = replace(point, integrated=integrated, known=known)
        self.points.append(point)

    def wanted(self, since_ns: int, step: int, step_ns: int) -> int:
        """`step` if it can be told what was counted by then, else when that can be."""
        before = 0
        for point in self.points:
            if point.at_ns >= step:
                near = point.at_ns - before <= 2 * step_ns
                return step if near or before > since_ns or not before else point.at_ns
            before = point.at_ns
        return step

    def at(self, ns: int) -> int:
        """What was counted by then, on the straight line between two points."""
        before = None
        for point in self.points:
            if point.at_ns >= ns:
                if before is None or point.at_ns == ns:
                    return point.counted_mj
                moved = point.counted_mj - before.counted_mj
                return before.counted_mj + moved * (ns - before.at_ns) // (
                    point.at_ns - before.at_ns
                )
            before = point
        return self.counted_mj

    def segments(self, since_ns: int, until_ns: int) -> Iterator[tuple[int, _Point]]:
        """The points whose time since the one before overlaps, each with when that was."""
        before = None
        for point in self.points:
            if before is not None and point.at_ns > since_ns:
                yield before, point
            if point.at_ns >= until_ns:
                return
            before = point.at_ns

    def forget(self, ns: int) -> None:
        """Keep of what lies before only the last point."""
        while len(self.points) > 1 and self.points[1].at_ns <= ns:
            self.points.popleft()


def _millijoules(joules: float | None) -> int | None:
    """Of a counter; one that stands at zero counts nothing."""
    return round(joules * 1000) if joules is not None and 0 < joules < 1e15 else None


def _plausible(watts: float | None) -> float | None:
    return watts if watts is not None and 0 <= watts <= MOST_WATTS else None
