"""What held the devices' clocks in the last minutes, for who asks about one exchange.

Rules:
1. Of each device the intervals in their order; times are those of the frames' clock.
2. Bounded: `HISTORY_SECONDS`, and `MAX_ENTRIES` of all devices together, the oldest goes first.
3. What is usual is the mean of all that is kept: a device that is always held is held as usual. It
   is added up as intervals come and go, so that to ask costs no more than the time asked for.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sidelight_sidecar.observer.accelerators.intervals import MOST_GAP_NS, Interval

HISTORY_SECONDS = 900.0
"""As long as what the engine said is kept: three windows of the default."""
MAX_ENTRIES = 16_384
"""Of some 400 bytes each. Eight devices need 8000 for a quarter of an hour."""
HARDWARE = frozenset({"hw_thermal", "hw_power_brake", "hw_slowdown"})
HARDWARE_LOSS = 0.5
"""NVML's documentation: a hardware slowdown divides clocks by two, or by more."""
WORKED = 0.5
"""Share of time with any kernel running, from which on a clock that is free is a usual one."""


@dataclass(frozen=True, slots=True)
class Held:
    """How far heat or power held the pod's devices in a span of time."""

    device: str
    """The one that was held most: its index."""
    reason: str
    share: float
    """Of the span."""
    usual: float
    """Of all that is remembered of that device."""
    lost: float
    """Share of its clock that was missing meanwhile: 0, where nothing tells."""
    clock_hertz: float | None = None
    usual_clock_hertz: float | None = None


class _Clock:
    """A mean over time that forgets what it is told to."""

    __slots__ = ("_span", "_sum")

    def __init__(self) -> None:
        self._sum = 0.0
        self._span = 0

    def add(self, interval: Interval, sign: int = 1) -> None:
        """Count it, or forget it."""
        if interval.clock_hertz is not None:
            self._sum += sign * interval.clock_hertz * interval.span_ns
            self._span += sign * interval.span_ns

    @property
    def hertz(self) -> float | None:
        """None: never told."""
        return self._sum / self._span if self._span else None


class _Usual:
    """Of one device, all that is kept."""

    __slots__ = ("free", "held_ns", "highest_hertz", "kept", "told_ns")

    def __init__(self) -> None:
        self.kept = 0
        self.told_ns = 0
        self.held_ns: dict[str, int] = {}
        self.free = _Clock()
        self.highest_hertz = 0.0

    def add(self, interval: Interval, sign: int = 1) -> None:
        """Count it, or forget it."""
        self.kept += sign
        self.highest_hertz = max(self.highest_hertz, interval.max_clock_hertz or 0.0)
        if interval.held_ns is None:
            return
        self.told_ns += sign * interval.span_ns
        for reason, ns in interval.held_ns.items():
            self.held_ns[reason] = self.held_ns.get(reason, 0) + sign * ns
        if not interval.held_share and (interval.utilization or 0.0) >= WORKED:
            self.free.add(interval, sign)

    def share(self, reason: str) -> float:
        """Of the time that is kept."""
        return self.held_ns.get(reason, 0) / self.told_ns if self.told_ns else 0.0

    @property
    def clock_hertz(self) -> float | None:
        """While nothing held it and it worked; else its highest."""
        return self.free.hertz or self.highest_hertz or None


class DeviceHistory:
    """See the module."""

    def __init__(self) -> None:
        self._kept: deque[Interval] = deque()
        self._usual: dict[str, _Usual] = {}

    def __len__(self) -> int:
        """How many intervals are kept."""
        return len(self._kept)

    @property
    def until_ns(self) -> int:
        """To when it is known; 0: nothing is."""
        return self._kept[-1].until_ns if self._kept else 0

    def add(self, interval: Interval) -> None:
        """Keep it; they come in the order of their ends, but for some of the same time."""
        self._kept.append(interval)
        self._usual.setdefault(interval.device.uuid, _Usual()).add(interval)
        oldest = interval.until_ns - int(HISTORY_SECONDS * 1e9)
        while len(self._kept) > MAX_ENTRIES or self._kept[0].until_ns < oldest:
            self._forget(self._kept.popleft())

    def _forget(self, interval: Interval) -> None:
        usual = self._usual[interval.device.uuid]
        usual.add(interval, -1)
        if not usual.kept:
            del self._usual[interval.device.uuid]

    def held(self, since_ns: int, until_ns: int) -> Held | None:
        """What held the most held device from one time to another; None: nothing did, or it is
        not told.
        """
        devices: dict[str, list[Interval]] = {}
        for interval in self._between(since_ns, until_ns):
            if interval.held_ns is not None:
                devices.setdefault(interval.device.uuid, []).append(interval)
        found = (self._of_device(one, since_ns, until_ns) for one in devices.values())
        return max(filter(None, found), key=lambda held: held.share, default=None)

    def _between(self, since_ns: int, until_ns: int) -> Iterator[Interval]:
        """Those that have a part in it; none is longer than the longest gap."""
        first = bisect_right(self._kept, since_ns, key=_end)
        last = bisect_right(self._kept, until_ns + MOST_GAP_NS, key=_end)
        for interval in islice(self._kept, first, last):
            if interval.since_ns < until_ns:
                yield interval

    def _of_device(
        self, meanwhile: Iterable[Interval], since_ns: int, until_ns: int
    ) -> Held | None:
        held: dict[str, float] = {}
        clock = _Clock()
        index = uuid = ""
        for interval in meanwhile:
            index, uuid = interval.device.index, interval.device.uuid
            inside = min(interval.until_ns, until_ns) - max(interval.since_ns, since_ns)
            for reason, ns in (interval.held_ns or {}).items():
                held[reason] = held.get(reason, 0.0) + ns * inside / interval.span_ns
            if interval.held_share:
                clock.add(interval)
        if not held:
            return None
        reason = max(sorted(held), key=lambda word: held[word])
        share = min(1.0, held[reason] / max(1, until_ns - since_ns))
        usual = self._usual[uuid]
        hertz, free = clock.hertz, usual.clock_hertz
        lost = max(0.0, 1 - hertz / free) if hertz is not None and free else 0.0
        if hertz is None and reason in HARDWARE:
            lost = HARDWARE_LOSS
        return Held(index, reason, share, usual.share(reason), lost, hertz, free)


def _end(interval: Interval) -> int:
    return interval.until_ns
