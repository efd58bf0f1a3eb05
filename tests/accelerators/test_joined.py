"""What comes of samples beside requests: the report, the window, states, phases."""

from __future__ import annotations

import pytest
from devices import FRESH, H100, ONE, SECOND, SLOW, STALE, TWO, sample

from sidelight_contract.gpu import GpuReport, GpuState, Phase
from sidelight_contract.names import Reason
from sidelight_sidecar.observer.accelerators.intervals import MAX_DEVICES
from sidelight_sidecar.observer.accelerators.joined import LAG_NS, Accelerators
from sidelight_sidecar.observer.accelerators.source import Device, Sample, SourceState
from sidelight_sidecar.observer.accelerators.traffic import Traffic
from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.metrics.labels import Labels

WINDOW = 300


class World:
    """Devices and requests whose time the test tells."""

    def __init__(self, state: SourceState = FRESH) -> None:
        self.traffic = Traffic()
        self.it = Accelerators(self.traffic, EnergySplit(Labels(4)), 0, WINDOW)
        self.it.begin(state)
        self.state = state

    def take(self, *samples: Sample, now: float | None = None) -> World:
        """As the manager would, some seconds later unless said otherwise."""
        newest = max((one.at_ns for one in samples), default=0)
        self.it.take(samples, self.state, newest + 2 * LAG_NS if now is None else _ns(now))
        return self

    def report(self, now: float) -> GpuReport:
        """What is told at that second."""
        return self.it.report(_ns(now))

    def request(self, whole: float, first: float, stop: float) -> World:
        """A stream that has ended."""
        made = Exchange(1, _ns(whole))
        made.operation, made.generating, made.stream = "chat", True, True
        made.request_end_ns, made.first_output_ns, made.stop_ns = map(_ns, (whole, first, stop))
        self.traffic.started(made)
        self.traffic.finished(made)
        return self


def _ns(seconds: float) -> int:
    return round(seconds * SECOND)


def steady(until: int, device: Device = ONE, **told: object) -> list[Sample]:
    """The same each second from 0 on."""
    return [sample(second, device, **told) for second in range(until + 1)]


def test_report_has_means_over_time_and_devices() -> None:
    """And where the devices' time went."""
    world = World().request(1, 3, 9)
    world.take(*steady(10, utilization=0.8, dram_active=0.6, tensor_active=0.1, power_watts=300.0))
    world.take(*steady(10, TWO, utilization=0.4, dram_active=0.6, power_watts=100.0))
    report = world.report(12)
    assert report.utilization.value == pytest.approx(0.6)
    assert report.power_watts.value == pytest.approx(200.0)
    assert report.tensor_active.value == pytest.approx(0.1)
    assert report.sm_active.value is None
    assert sum(report.states_ms.values()) == 20_000
    assert report.states_ms[GpuState.MEMORY_BOUND] == 20_000
    assert report.by_phase[Phase.DECODE].span_ms == 12_000
    assert report.by_phase[Phase.PREFILL].span_ms == 4_000
    assert report.by_phase[Phase.NONE].dram_active.value == pytest.approx(0.6)
    assert report.devices == {H100: 2}


def test_an_interval_is_looked_at_when_its_frames_are_here() -> None:
    """A request that is told of a moment later still counts."""
    world = World()
    world.take(sample(0, utilization=0.0), sample(1, utilization=0.0), now=1.5)
    assert world.report(1.5).states_ms == {}
    world.request(0, 0.5, 1).request(0.01, 0.5, 1)
    world.take(now=2.0)
    assert world.report(2.0).states_ms == {GpuState.WAITING: 1000}


def test_the_window_moves_on() -> None:
    """What was before it is not told any more; the metrics' counters keep it."""
    world = World().take(*steady(10, utilization=0.0))
    assert world.report(10 + WINDOW - 20).states_ms == {GpuState.IDLE: 10_000}
    assert world.report(10 + WINDOW + 20).states_ms == {}
    assert world.it.devices[ONE.uuid].states == {GpuState.IDLE: 10.0}
    world.it.resize(60)
    assert world.report(12).states_ms == {}


def test_a_stale_source_says_why_and_shows_nothing_as_now() -> None:
    """Memory and devices are of now; the window's figures stay."""
    world = World().take(*steady(5, utilization=1.0, memory_used_bytes=10, memory_total_bytes=20))
    told = world.report(7)
    assert (told.seen, told.memory_used_bytes, told.memory_total_bytes) == (1, 10, 20)
    world.state = STALE
    world.take(now=8)
    told = world.report(8)
    assert (told.sidecars, told.seen, told.sources, told.devices) == (1, 0, {}, {})
    assert told.whys == {Reason.GPU_STALE: 1}
    assert told.why == "the driver does not answer"
    assert (told.memory_used_bytes, told.utilization.value) == (0, 1.0)
    world.it.end()
    assert world.report(8) == GpuReport()


def test_a_device_that_is_not_told_of_any_more_is_not_of_now() -> None:
    """An exporter is given some of its periods; before the period is known, minutes."""
    world = World().take(sample(0), sample(0, TWO))
    world.take(sample(10, TWO))
    assert [known.device for known in world.it.fresh(_ns(10))] == [TWO]
    slow = World(SLOW).take(sample(0), sample(0, TWO))
    slow.take(sample(45, TWO))
    assert len(list(slow.it.fresh(_ns(45)))) == 2
    assert [known.device for known in slow.it.fresh(_ns(60))] == [TWO]
    new = SourceState(SLOW.source, fresh=True, reason=Reason.GPUS_SEEN)
    assert len(list(World(new).take(sample(0)).it.fresh(_ns(100)))) == 1


def test_a_shared_device_is_in_no_sum_of_power_or_memory() -> None:
    """They would be added up once for each pod; an instance's memory is its own."""
    shared = Device("GPU-s", "0", H100, shared=True)
    part = Device("MIG-p", "1", H100, shared=True, parent="GPU-x", instance="3", profile="1g.10gb")
    world = World()
    for device in (shared, part):
        world.take(*steady(3, device, power_watts=300.0, sm_active=0.5, memory_used_bytes=7))
    report = world.report(5)
    assert (report.shared, report.memory_used_bytes) == (2, 7)
    assert (report.power_watts.value, report.sm_active.value) == (None, 0.5)
    assert report.energy.device_mj == 0


def test_what_held_the_clocks_is_told_by_reason() -> None:
    """And as a share of time; heat for long is a fault."""
    hot = frozenset({"hw_thermal", "sw_power_cap", "idle"})
    world = World().take(
        *steady(5, utilization=1.0, clock_events=frozenset()),
        *(sample(second, utilization=1.0, clock_events=hot) for second in range(6, 11)),
    )
    report = world.report(12)
    assert report.throttled_ms == {"hw_thermal": 5000, "sw_power_cap": 5000}
    assert report.throttled.value == pytest.approx(0.5)
    assert report.states_ms[GpuState.THROTTLED] == 5000
    assert [fault.kind for fault in report.faults] == ["thermal"]
    assert world.it.devices[ONE.uuid].held == {"hw_thermal": 5.0, "sw_power_cap": 5.0}


def test_idle_power_is_learned_from_time_without_requests() -> None:
    """And tells of waiting, where nothing else does."""
    world = World().request(10, 19, 20)
    watts = [80.0] * 11 + [82.0] * 10
    world.take(*(sample(n, power_watts=w, power_limit_watts=700.0) for n, w in enumerate(watts)))
    assert world.report(21).states_ms == {GpuState.IDLE: 10_000, GpuState.WAITING: 10_000}


def test_another_source_begins_anew() -> None:
    """Its devices are its own, and its counters no growth of the last one's."""
    world = World().take(sample(0, xid_errors={31: 1}))
    world.it.begin(SLOW)
    world.take(sample(1, TWO, xid_errors={31: 9}))
    assert list(world.it.devices) == [TWO.uuid]
    assert world.report(2).faults == []


def test_a_source_that_is_back_tells_of_what_happened_meanwhile() -> None:
    """The error that ended an exporter is what it names first when it is there again; of another
    kind of source a first look is no fault.
    """
    world = World(SLOW).take(sample(0, last_xid=0))
    world.it.end()
    world.it.begin(SLOW)
    world.take(sample(30, last_xid=79))
    assert [(f.kind, f.code) for f in world.report(30).faults] == [("xid", 79)]
    world.it.begin(FRESH)
    world.take(sample(60, last_xid=31))
    assert len(world.report(60).faults) == 1


def test_no_more_devices_are_kept_than_a_pod_has() -> None:
    """Whatever an exporter makes up."""
    world = World().take(*(sample(0, Device(f"GPU-{n}", str(n))) for n in range(MAX_DEVICES + 5)))
    assert len(world.it.devices) == MAX_DEVICES


def test_reports_of_many_pods_are_one() -> None:
    """In whatever order they are merged."""
    one = World().take(*steady(5, utilization=1.0)).report(7)
    two = World(SLOW).take(*steady(30, TWO, utilization=0.0)).report(32)
    first, second = GpuReport(), GpuReport()
    for part in (one, two):
        first.merge(part)
    for part in (two, one):
        second.merge(part)
    assert first == second
    assert (first.sidecars, first.seen, first.devices) == (2, 2, {H100: 2})
    assert first.utilization.value == pytest.approx(5 / 35)
