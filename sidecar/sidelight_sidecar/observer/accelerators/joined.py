"""What is made of the devices' samples beside the pod's requests. Pure: whoever has a source gives
its samples and its state, and the time.

Rules:
1. An interval is looked at `LAG_NS` after its end: by then the frames of that time are here.
2. What is not fresh is not told as what is now.
3. Bounded: `MAX_DEVICES` devices, and what its parts say of themselves.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from sidelight_contract.gpu import GpuReport, GpuSource, GpuState, Phase
from sidelight_sidecar.observer.accelerators.faults import Faults
from sidelight_sidecar.observer.accelerators.history import DeviceHistory, Held
from sidelight_sidecar.observer.accelerators.intervals import (
    MAX_DEVICES,
    MOST_GAP_NS,
    Interval,
    Intervals,
)
from sidelight_sidecar.observer.accelerators.source import Device, Sample, SourceState
from sidelight_sidecar.observer.accelerators.states import quiet, state_of
from sidelight_sidecar.observer.accelerators.told import (
    GpuWindow,
    tell_devices,
    tell_energy,
    tell_state,
)
from sidelight_sidecar.observer.accelerators.traffic import InFlight, Traffic
from sidelight_sidecar.observer.energy.split import EnergySplit

LAG_NS = 1_000_000_000
MAX_PENDING = 8192
FRESH_PERIODS = 3.5
FRESH_NS = 3_000_000_000
"""A device's newest sample is of now for so many periods, and for so long at least."""

ACTIVITIES = ("utilization", "sm_active", "tensor_active", "dram_active")


class OfDevice:
    """What is known of one device since the start.

    Attributes:
        newest: its last sample.
        idle_watts: the least mean power of an interval without requests and work.
        states: seconds in each state.
        held: seconds that each reason held its clocks.
    """

    __slots__ = ("held", "idle_watts", "newest", "states")

    def __init__(self, newest: Sample) -> None:
        self.newest = newest
        self.idle_watts: float | None = None
        self.states: dict[GpuState, float] = {}
        self.held: dict[str, float] = {}

    @property
    def device(self) -> Device:
        """Who it is."""
        return self.newest.device


class Accelerators:
    """See the module.

    Args:
        traffic: the pod's requests.
        energy: where joules are shared out.
        offset_ns: from the frames' clock to Unix time.
        window_seconds: what a report covers.

    Attributes:
        history: what held the clocks.
        devices: by UUID.
        phases: seconds of device time by phase, and by activity the integral of it.
        state: of the source; None: there is to be none.
        words_refused: how many words about exporters were none.
    """

    def __init__(
        self, traffic: Traffic, energy: EnergySplit, offset_ns: int, window_seconds: int
    ) -> None:
        self._traffic = traffic
        self.energy = energy
        self._intervals = Intervals()
        self._pending: deque[Interval] = deque(maxlen=MAX_PENDING)
        self._window = GpuWindow(window_seconds)
        self._faults = Faults(offset_ns)
        self.history = DeviceHistory()
        self.devices: dict[str, OfDevice] = {}
        self.phases: dict[Phase, dict[str, float]] = {}
        self.state: SourceState | None = None
        self._before: GpuSource | None = None
        self.words_refused = 0

    def resize(self, window_seconds: int) -> None:
        """Let the window be of another length."""
        self._window.resize(window_seconds)

    def begin(self, state: SourceState) -> None:
        """A source begins: what it counts has nothing to do with another's counts. One that is
        back, an exporter that was replaced, goes on where it was: an error may be what ended it.
        """
        self.state = state
        self._traffic.asked = True
        self._intervals = Intervals()
        if state.source is not self._before:
            self._faults.forget_devices()
        self._before = state.source
        self.devices.clear()

    def end(self, state: SourceState | None = None) -> None:
        """There is no source any more; with a state there is to be one, and this is why not."""
        self.state = state
        self._traffic.asked = False
        self._intervals = Intervals()
        self.devices.clear()

    def take(self, samples: Sequence[Sample], state: SourceState, now_ns: int) -> None:
        """Take what the source gave, and do what is due."""
        self.state = state
        for sample in samples:
            self._note(sample)
        self.energy.samples(samples)
        self._pending.extend(self._intervals.add(samples, state.period_seconds))
        asked: dict[tuple[int, int], InFlight] = {}
        while self._pending and self._pending[0].until_ns <= now_ns - LAG_NS:
            self._judge(self._pending.popleft(), asked)
        self._traffic.forget(now_ns)
        self._faults.look(state, now_ns)
        self.energy.step(now_ns)

    def _note(self, sample: Sample) -> None:
        uuid = sample.device.uuid
        known = self.devices.get(uuid)
        if known is None:
            if len(self.devices) >= MAX_DEVICES:
                return
            self.devices[uuid] = OfDevice(sample)
        elif sample.at_ns >= known.newest.at_ns:
            known.newest = sample
        self._faults.add(sample)

    def _judge(self, interval: Interval, asked: dict[tuple[int, int], InFlight]) -> None:
        span = (interval.since_ns, interval.until_ns)
        traffic = asked.get(span)
        if traffic is None:  # devices are mostly read together
            traffic = asked[span] = self._traffic.between(*span)
        known = self.devices.get(interval.device.uuid)
        state = state_of(interval, traffic, known.idle_watts if known is not None else None)
        self.history.add(interval)
        self._window.add(interval, state, traffic.phase)
        self._count_phase(interval, traffic.phase)
        if known is not None:
            _count_device(known, interval, state, traffic)

    def _count_phase(self, interval: Interval, phase: Phase) -> None:
        seconds = interval.span_ns / 1e9
        sums = self.phases.setdefault(phase, {"seconds": 0.0})
        sums["seconds"] += seconds
        for name in ACTIVITIES:
            value = getattr(interval, name)
            if value is not None:
                sums[name] = sums.get(name, 0.0) + value * seconds

    def fresh(self, now_ns: int) -> Iterator[OfDevice]:
        """Devices whose newest sample is of now."""
        state = self.state
        if state is None or not state.fresh:
            return
        period = state.period_seconds
        age_ns = max(FRESH_NS, int(FRESH_PERIODS * 1e9 * period)) if period > 0 else MOST_GAP_NS
        oldest = now_ns - age_ns
        for known in self.devices.values():
            if known.newest.at_ns >= oldest:
                yield known

    def clocks(self, since_ns: int, until_ns: int) -> tuple[Held | None, bool]:
        """What held the devices' clocks from one time to another, and whether all of that time is
        known.
        """
        if self.history.until_ns <= since_ns:
            return None, False
        return self.history.held(since_ns, until_ns), self.history.until_ns >= until_ns

    def report(self, now_ns: int) -> GpuReport:
        """What the summary tells; nothing where there is to be no source."""
        if self.state is None:
            return GpuReport()
        report = self._window.report(now_ns)
        tell_state(report, self.state)
        tell_devices(report, [known.newest for known in self.fresh(now_ns)])
        tell_energy(report, self.energy.told())
        report.faults = self._faults.told(self._window.hot(), now_ns)
        return report


def _count_device(known: OfDevice, interval: Interval, state: GpuState, traffic: InFlight) -> None:
    seconds = interval.span_ns / 1e9
    known.states[state] = known.states.get(state, 0.0) + seconds
    for reason, ns in (interval.held_ns or {}).items():
        known.held[reason] = known.held.get(reason, 0.0) + ns / 1e9
    watts = interval.power_watts
    if watts is None or traffic.all_ns or quiet(interval, None) is False:
        return
    if known.idle_watts is None or watts < known.idle_watts:
        known.idle_watts = watts
