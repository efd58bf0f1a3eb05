"""What held the devices' clocks in the last minutes, for who asks about one exchange.

Rules:
1. Of each device the intervals in their order; times are those of the frames' clock.
2. Bounded: `HISTORY_SECONDS`, and `MAX_ENTRIES` of all devices together, the oldest goes first.
3. What is usual is the mean of all that is kept: a device that is always held is held as usual.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from sidelight_sidecar.observer.accelerators.intervals import HEAT, Interval

HISTORY_SECONDS = 900.0
"""As long as what the engine said is kept: three windows of the default."""
MAX_ENTRIES = 16_384
"""Of some 300 bytes each. Eight devices need 8000 for a quarter of an hour."""
HARDWARE = frozenset({"hw_thermal", "hw_power_brake", "hw_slowdown"})
HARDWARE_LOSS = 0.5
"""NVML's documentation: a hardware slowdown divides clocks by two, or by more."""


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

    @property
    def heat(self) -> bool:
        """It was heat."""
        return self.reason in HEAT


class DeviceHistory:
    """See the module."""

    def __init__(self) -> None:
        self._kept: deque[Interval] = deque()

    def __len__(self) -> int:
        """How many intervals are kept."""
        return len(self._kept)

    def __bool__(self) -> bool:
        """Whether any is."""
        return bool(self._kept)

    @property
    def until_ns(self) -> int:
        """To when it is known; 0: nothing is."""
        return self._kept[-1].until_ns if self._kept else 0

    def add(self, interval: Interval) -> None:
        """Keep it; they come in the order of their ends, but for some of the same time."""
        self._kept.append(interval)
        oldest = interval.until_ns - int(HISTORY_SECONDS * 1e9)
        while len(self._kept) > MAX_ENTRIES or self._kept[0].until_ns < oldest:
            self._kept.popleft()

    def held(self, since_ns: int, until_ns: int) -> Held | None:
        """What held the most held device from one time to another; None: nothing did, or it is
        not told.
        """
        found: Held | None = None
        for index, meanwhile in self._by_device(since_ns, until_ns).items():
            one = self._of_device(index, meanwhile, since_ns, until_ns)
            if one is not None and (found is None or one.share > found.share):
                found = one
        return found

    def _by_device(self, since_ns: int, until_ns: int) -> dict[str, list[Interval]]:
        devices: dict[str, list[Interval]] = {}
        for interval in self._after(since_ns):
            if interval.since_ns < until_ns and interval.held_ns is not None:
                devices.setdefault(interval.device.uuid, []).append(interval)
        return devices

    def _after(self, since_ns: int) -> Iterator[Interval]:
        """Those that end later."""
        first = bisect_right(self._kept, since_ns, key=lambda interval: interval.until_ns)
        for place in range(first, len(self._kept)):
            yield self._kept[place]

    def _of_device(
        self, uuid: str, meanwhile: list[Interval], since_ns: int, until_ns: int
    ) -> Held | None:
        held: dict[str, float] = {}
        for interval in meanwhile:
            inside = min(interval.until_ns, until_ns) - max(interval.since_ns, since_ns)
            for reason, ns in (interval.held_ns or {}).items():
                held[reason] = held.get(reason, 0.0) + ns * inside / interval.span_ns
        if not held:
            return None
        reason = max(sorted(held), key=lambda word: held[word])
        share = min(1.0, held[reason] / max(1, until_ns - since_ns))
        of_it = [interval for interval in self._kept if interval.device.uuid == uuid]
        while_held = [interval for interval in meanwhile if interval.held_share]
        clock, free = _clock(while_held), _free_clock(of_it)
        lost = max(0.0, 1 - clock / free) if clock is not None and free else 0.0
        if clock is None and reason in HARDWARE:
            lost = HARDWARE_LOSS
        index = meanwhile[-1].device.index
        return Held(index, reason, share, _share(of_it, reason), lost, clock, free)


def _share(intervals: list[Interval], reason: str) -> float:
    whole = sum(one.span_ns for one in intervals if one.held_ns is not None)
    held = sum((one.held_ns or {}).get(reason, 0) for one in intervals)
    return held / whole if whole else 0.0


def _clock(intervals: list[Interval]) -> float | None:
    """Mean clock."""
    told = [(one.clock_hertz, one.span_ns) for one in intervals if one.clock_hertz is not None]
    whole = sum(span for _, span in told)
    return sum(clock * span for clock, span in told) / whole if whole else None


def _free_clock(intervals: list[Interval]) -> float | None:
    """The clock of a device that is not held: the mean while it worked, else its highest."""
    free = [one for one in intervals if one.held_share == 0 and (one.utilization or 0) >= 0.5]
    mean = _clock(free)
    if mean is not None:
        return mean
    return max((one.max_clock_hertz or 0.0 for one in intervals), default=0.0) or None
