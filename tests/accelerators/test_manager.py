"""Which source is started, when it is changed, and what a mistake does."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

import pytest
from devices import ONE, SECOND, TWO, MadeUpSource, sample
from observed import CHAT_STREAM, Kept, Script, pipeline_of, request

from sidelight_contract.gpu import GpuSettings, GpuSource
from sidelight_contract.names import Reason
from sidelight_sidecar.observer.accelerators import manager as manager_module
from sidelight_sidecar.observer.accelerators.manager import Choice, Manager, choose
from sidelight_sidecar.observer.accelerators.nvml import NvmlSource
from sidelight_sidecar.observer.accelerators.sources import sources_of
from sidelight_sidecar.observer.accelerators.telling import Told

DCGM, AMD = {"dcgm": "198.51.100.7:9400"}, {"amd": "198.51.100.7:5000"}
BOTH = {**AMD, **DCGM}


@pytest.mark.parametrize(
    ("settings", "told", "choice"),
    [
        (GpuSettings(), None, None),
        (GpuSettings(), {}, None),
        (GpuSettings(), BOTH, Choice(GpuSource.DCGM, DCGM["dcgm"])),
        (GpuSettings(), AMD, Choice(GpuSource.AMD, AMD["amd"])),
        (GpuSettings("DCGM"), AMD, None),
        (GpuSettings("AMD"), BOTH, Choice(GpuSource.AMD, AMD["amd"])),
        (GpuSettings("None"), BOTH, None),
        (GpuSettings("NVML"), BOTH, Choice(GpuSource.NVML)),
        (GpuSettings("NVML", unsafe_visible_all=True), None,
         Choice(GpuSource.NVML, visible_all=True, own=("GPU-a",))),
    ],
)  # fmt: skip
def test_source_is_chosen_by_the_configuration_and_by_what_is_told(
    settings: GpuSettings, told: dict[str, str] | None, choice: Choice | None
) -> None:
    """Auto never goes to the driver; the environment's devices are for NVML that sees all."""
    assert choose(settings, told, ("GPU-a",)) == choice


class World:
    """A manager whose sources are made up."""

    def __init__(self, settings: GpuSettings, own: tuple[str, ...] = ()) -> None:
        self.pipeline = pipeline_of(Kept(), gpu=settings)
        self.now = 100 * SECOND
        self.told = Told(lambda: self.now)
        self.started: list[tuple[Choice, MadeUpSource]] = []
        self.manager = Manager(self.pipeline, self.told, own, self._start, lambda: self.now)

    def _start(self, choice: Choice) -> MadeUpSource:
        source = MadeUpSource()
        self.started.append((choice, source))
        return source

    @property
    def running(self) -> list[Choice]:
        """Those that run."""
        return [choice for choice, source in self.started if source.running]

    @contextlib.asynccontextmanager
    async def stepping(self) -> AsyncIterator[asyncio.TaskGroup]:
        """Steps are the test's to take."""
        async with asyncio.TaskGroup() as group:
            yield group
            await self.manager._stop()

    async def something_runs(self) -> None:
        """Wait until a source was started."""
        while not self.running:  # noqa: ASYNC110 - sources are made up, and tell of nothing
            await asyncio.sleep(0.001)

    async def step(self, group: asyncio.TaskGroup) -> None:
        """One, and let tasks begin."""
        await self.manager.step(group)
        await asyncio.sleep(0)


async def test_without_a_source_nothing_is_started() -> None:
    """With None, and with Auto where nobody told of an exporter: no task, no report."""
    for settings in (GpuSettings("None"), GpuSettings()):
        world = World(settings)
        async with world.stepping() as group:
            await world.step(group)
            assert world.started == []
            assert len(group._tasks) == 0
        assert world.pipeline.summary(world.now).gpu.sidecars == 0


async def test_pod_that_shares_a_claim_sees_its_own_devices_alone() -> None:
    """Whatever the configuration lets the model's other pods see: none is to be told apart."""
    world = World(GpuSettings("NVML", unsafe_visible_all=True))
    world.manager = Manager(
        world.pipeline, world.told, (), world._start, lambda: world.now, claimed=True
    )
    async with world.stepping() as group:
        await world.step(group)
        assert world.running == [Choice(GpuSource.NVML)]


async def test_what_is_missing_is_said() -> None:
    """An exporter that is asked for, and one that is not on the node."""
    world = World(GpuSettings("DCGM"))
    async with world.stepping() as group:
        await world.step(group)
        report = world.pipeline.summary(world.now).gpu
        assert (report.sidecars, report.seen) == (1, 0)
        assert report.whys == {Reason.GPU_SOURCE_STARTING: 1}
        world.told.tell("none")
        await world.step(group)
        assert world.pipeline.summary(world.now).gpu.whys == {Reason.NO_EXPORTER_FOUND: 1}
    assert world.started == []


async def test_source_changes_with_what_is_told_and_configured() -> None:
    """One ends before the next begins; silence ends the last."""
    world = World(GpuSettings())
    async with world.stepping() as group:
        world.told.tell("amd=198.51.100.7:5000")
        await world.step(group)
        assert world.running == [Choice(GpuSource.AMD, AMD["amd"])]
        world.told.tell("dcgm=198.51.100.7:9400, amd=198.51.100.7:5000")
        await world.step(group)
        assert world.running == [Choice(GpuSource.DCGM, DCGM["dcgm"])]
        config = world.pipeline.config
        world.pipeline.reconfigure(type(config)(version=1, gpu=GpuSettings("NVML")))
        await world.step(group)
        assert world.running == [Choice(GpuSource.NVML)]
        world.pipeline.reconfigure(type(config)(version=1))
        world.now += 3600 * SECOND
        await world.step(group)
        assert world.running == []
        assert len(world.started) == 3


async def test_samples_come_to_the_report() -> None:
    """With the source's state."""
    world = World(GpuSettings("NVML"))
    async with world.stepping() as group:
        await world.step(group)
        world.started[0][1].samples = [sample(99.9, utilization=0.5, memory_used_bytes=7)]
        await world.step(group)
        report = world.pipeline.summary(world.now).gpu
    assert (report.seen, report.sources, report.memory_used_bytes) == (1, {"NVML": 1}, 7)
    assert report.devices == {ONE.model: 1}


async def test_devices_are_named_by_an_exporter_where_the_environment_does_not() -> None:
    """It is read only until it has named them, and none of its figures is used."""
    world = World(GpuSettings("NVML", unsafe_visible_all=True))
    async with world.stepping() as group:
        await world.step(group)
        assert world.running == [Choice(GpuSource.NVML, visible_all=True)]
        world.told.tell("dcgm=198.51.100.7:9400")
        await world.step(group)
        assert world.running[1:] == [Choice(GpuSource.DCGM, DCGM["dcgm"])]
        world.started[1][1].samples = [sample(1, TWO), sample(1, ONE), sample(2, ONE)]
        await world.step(group)
        assert world.pipeline.summary(world.now).gpu.devices == {}
        await world.step(group)
        own = tuple(sorted((ONE.uuid, TWO.uuid)))
        assert world.running == [Choice(GpuSource.NVML, visible_all=True, own=own)]


async def test_devices_that_the_exporter_calls_shared_are_shared() -> None:
    """The driver does not tell of time slices: their joules would pass for this pod's alone."""
    world = World(GpuSettings("NVML", unsafe_visible_all=True))
    async with world.stepping() as group:
        world.told.tell("dcgm=198.51.100.7:9400")
        await world.step(group)
        sliced = dataclasses.replace(ONE, shared=True)
        world.started[1][1].samples = [sample(1, sliced)]
        await world.step(group)
        await world.step(group)
        (choice,) = world.running
        assert (choice.own, choice.shared) == ((ONE.uuid,), True)


async def test_devices_of_a_claim_that_others_may_have_are_shared() -> None:
    """As injection said; the source marks each of its devices."""
    world = World(GpuSettings("NVML"))
    world.manager = Manager(
        world.pipeline, world.told, (), world._start, lambda: world.now, claimed=True, shared=True
    )
    async with world.stepping() as group:
        await world.step(group)
        assert world.running == [Choice(GpuSource.NVML, shared=True)]
    source = sources_of("llm", "a", lambda: 0)(Choice(GpuSource.NVML, shared=True))
    assert isinstance(source, NvmlSource)
    assert source._lines._shared


async def test_a_mistake_ends_figures_of_devices_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once; the source is ended, requests are observed, the summary is told."""
    monkeypatch.setattr(manager_module, "LOOK_SECONDS", 0.001)
    world = World(GpuSettings("NVML"))
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(world.manager.run())
        await world.something_runs()
        world.started[0][1].fails = ZeroDivisionError("what it held")
    assert world.running == []
    world.pipeline.feed(Script().client(request()).engine(*CHAT_STREAM).frames)
    summary = world.pipeline.summary(world.now)
    assert summary.total[0].requests == 1
    assert (summary.gpu.sidecars, summary.gpu.whys) == (1, {Reason.GPU_STALE: 1})
    told = [record for record in caplog.records if record.msg == "gpu_figures_ended"]
    assert [record.__dict__["fields"]["error"] for record in told] == ["ZeroDivisionError"]
    assert "what it held" not in caplog.text


async def test_a_source_that_raises_is_a_mistake_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task ends, and the observer's others do not."""
    monkeypatch.setattr(manager_module, "LOOK_SECONDS", 0.001)
    world = World(GpuSettings("NVML"))

    async def run() -> None:
        raise KeyError

    monkeypatch.setattr(MadeUpSource, "run", lambda self: run())
    async with asyncio.timeout(30):
        await world.manager.run()
    assert world.pipeline.gpu_guard.broken


async def test_the_end_leaves_no_source_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is ended with the observer; records that wait for energy are given before: who
    takes them ends at the same time.
    """
    monkeypatch.setattr(manager_module, "LOOK_SECONDS", 0.001)
    world = World(GpuSettings("NVML"))
    running_at_flush = []
    world.pipeline.offers.settling.flush = lambda: running_at_flush.append(len(world.running))  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(world.manager.run())
        await world.something_runs()
        task.cancel()
    assert world.running == []
    assert running_at_flush[0] == 1


def test_a_mistake_in_a_consumer_does_not_touch_a_connection() -> None:
    """The exchange goes on to all others."""
    kept = Kept()
    pipeline = pipeline_of(kept)
    energy = pipeline.accelerators.energy
    energy.samples([sample(0, power_watts=1.0), sample(0.1, power_watts=1.0)])
    energy._labels = None  # type: ignore[assignment]
    energy._flying = None  # type: ignore[assignment]
    pipeline.feed(Script().client(request()).engine(*CHAT_STREAM).frames)
    assert len(kept.counted_exchanges) == 1
    assert pipeline.gpu_guard.broken
    assert pipeline.accelerators.state is None
