"""The observer's end with the real process and the real bindings, over NVIDIA's mock cards."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mock_nvml import DEADLINE_SECONDS, Driver, samples, until, uuid

from sidelight_contract.names import Reason
from sidelight_sidecar.observer.accelerators import nvml
from sidelight_sidecar.observer.accelerators.nvml import NvmlSource, start_reader

Make = Callable[..., NvmlSource]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second is long: these tests wait for what takes ten."""
    monkeypatch.setattr(nvml, "STALE_SECONDS", 0.5)
    monkeypatch.setattr(nvml, "HANG_SECONDS", 1.0)
    monkeypatch.setattr(nvml, "FIRST_PAUSE_SECONDS", 0.1)


@pytest.fixture
def make(node: Driver) -> Iterator[Make]:
    """Makes sources of the node's driver, and ends them before it."""
    made: list[NvmlSource] = []

    def one(**options: Any) -> NvmlSource:
        name = f"sl-nw-{os.getpid()}"
        made.append(NvmlSource(start=node.start, period_seconds=0.02, name=name, **options))
        return made[-1]

    yield one
    for source in made:
        source.close()


def test_samples_of_every_device_in_their_order(node: Driver, make: Make) -> None:
    """Several cards and an instance, each with all that it has."""
    mig = [{"uuid": "MIG-a", "gi": 3, "profile": 0, "memory_used": 5, "memory_total": 6}]
    node.say(count=3, cards={"2": {"values": {"mig_mode": 1}, "mig": mig}})
    source = make()
    taken = samples(source, lambda some: any(s.sm_active is not None for s in some))
    last = {sample.device.uuid: sample for sample in taken}
    assert set(last) == {uuid(0), uuid(1), "MIG-a"}
    assert [s.at_ns for s in taken] == sorted(s.at_ns for s in taken)
    assert last[uuid(0)].power_watts == 512.345
    assert last[uuid(0)].clock_events == {"sw_power_cap", "sw_thermal"}
    assert last[uuid(0)].ecc_errors == {"corrected": 2, "uncorrected": 1}
    assert last[uuid(0)].device.model == "NVIDIA H100 80GB HBM3"
    assert (last["MIG-a"].device.shared, last["MIG-a"].device.profile) == (True, "1g.10gb")
    assert source.state.reason is Reason.GPUS_SEEN
    assert source.state.period_seconds == 0.02


def test_a_counter_of_energy_grows_as_the_power_says(node: Driver, make: Make) -> None:
    """Its times are good enough to hold the one against the other."""
    taken = samples(make(), lambda some: len(some) > 50)
    joules = (taken[-1].energy_joules or 0) - (taken[0].energy_joules or 0)
    seconds = (taken[-1].at_ns - taken[0].at_ns) / 1e9
    assert joules > 0
    assert joules / seconds == pytest.approx(512.345, rel=0.3)


def test_without_a_counter_energy_is_not_told(node: Driver, make: Make) -> None:
    """Power is, and whoever shares out energy integrates it."""
    node.say(fail={"field:83": 3, "nvmlDeviceGetTotalEnergyConsumption": 3})
    source = make()
    taken = samples(source, lambda some: len(some) > 2)
    assert [s.energy_joules for s in taken] == [None] * len(taken)
    assert {s.power_watts for s in taken} == {512.345}
    assert source.state.unsupported == ["energy_joules (Not Supported)"]


def test_a_hang_makes_the_source_stale_and_it_comes_back(node: Driver, make: Make) -> None:
    """The process is killed, and one that is started after the driver recovered is read."""
    source = make()
    samples(source, bool)
    node.say(delay_ms={"*": 600_000})
    until(lambda: source.state.reason is Reason.GPU_STALE, source)
    until(lambda: len(node.children) > 1, source)
    assert node.children[0].returncode == -signal.SIGKILL
    node.say(delay_ms={})
    until(lambda: source.state.fresh, source)
    assert source.state.reason is Reason.GPUS_SEEN


def test_the_observer_goes_on_while_the_driver_hangs(node: Driver, make: Make) -> None:
    """Its loop turns as ever: the source's task waits for nothing but its own time."""

    async def observer() -> int:
        turns = 0
        source = make()
        async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
            task = group.create_task(source.run())
            while not source.state.fresh:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            node.say(delay_ms={"*": 600_000})
            while source.state.reason is not Reason.GPU_STALE:
                await asyncio.sleep(0.001)
                turns += 1
            task.cancel()
        return turns

    assert asyncio.run(observer()) > 10
    assert all(child.poll() is not None for child in node.children)


def test_a_process_that_is_killed_is_replaced(node: Driver, make: Make) -> None:
    """And errors are counted on."""
    node.say(events=[{"gpu": 0, "type": 8, "data": 31}])
    source = make()
    samples(source, lambda some: bool(some) and some[-1].xid_errors == {31: 1})
    node.children[0].send_signal(signal.SIGKILL)
    samples(source, lambda some: bool(some) and some[-1].xid_errors == {31: 2})
    assert len(node.children) == 2


def test_a_process_that_is_stopped_is_stale_and_then_replaced(node: Driver, make: Make) -> None:
    """By a signal, or a debugger: it neither ends nor tells. No descriptor of it is left, and never
    were there two.
    """
    source = make()
    samples(source, lambda some: len(some) > 3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    node.children[0].send_signal(signal.SIGSTOP)
    until(lambda: source.state.reason is Reason.GPU_STALE, source)
    assert len(node.children) == 1
    until(lambda: len(node.children) == 2, source)
    assert node.children[0].poll() == -signal.SIGKILL
    stderr = node.children[0].stderr
    assert stderr is not None
    stderr.close()
    samples(source, lambda some: len(some) > 3)
    assert source.state.fresh
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_driver_that_is_replaced_underneath(node: Driver, make: Make) -> None:
    """The message says what to do; a driver that is well again is read again."""
    source = make()
    samples(source, bool)
    node.say(fail={"*": 18, "nvmlInit_v2": 18})
    until(lambda: source.state.reason is Reason.DRIVER_FAILED, source)
    assert "make the pod anew" in source.state.message
    assert not source.state.fresh
    node.say(fail={})
    until(lambda: source.state.fresh, source)


def test_a_reset_starts_with_a_fresh_library(node: Driver, make: Make) -> None:
    """The process whose library forgot itself ends; the next one initialises it."""
    source = make()
    samples(source, bool)
    node.say(fail={"nvmlDeviceGetUtilizationRates": 1})
    until(lambda: source.state.message.startswith("the driver was reset"), source)
    node.say(fail={})
    until(lambda: source.state.fresh, source)
    assert len(node.children) > 1


def test_a_driver_that_only_fails_is_given_up(node: Driver, make: Make) -> None:
    """Errors that could be of the moment, of every call: nothing is told, so the process is ended;
    the next one says what is wrong, and one after the driver recovered reads it.
    """
    source = make()
    samples(source, bool)
    node.say(fail={"*": 999})
    until(lambda: source.state.reason is Reason.GPU_STALE, source)
    until(lambda: source.state.reason is Reason.DRIVER_FAILED, source)
    assert source.state.message == "the driver failed: Unknown Error (code 999)"
    node.say(fail={})
    until(lambda: source.state.fresh, source)


def test_a_lost_device_is_remarked_on_and_its_error_told(node: Driver, make: Make) -> None:
    """The other one's figures go on."""
    node.say(count=2)
    source = make()
    samples(source, bool)
    events = [{"gpu": 1, "type": 8, "data": 79}]
    node.say(cards={"1": {"fail": {"*": 15}}}, events=events)
    taken = samples(source, lambda some: any(s.xid_errors for s in some))
    assert next(s.device.uuid for s in taken if s.xid_errors) == uuid(1)
    until(lambda: "lost" in source.state.message, source)
    assert source.state.fresh
    assert source.state.message == "device 1 (GPU-5ba1e000) is lost: GPU is lost"


def test_where_there_is_no_driver(node: Driver, make: Make) -> None:
    """A pod without a GPU, or whose sidecar was given none."""
    node.environment["LD_LIBRARY_PATH"] = ""
    source = make()
    until(lambda: source.state.reason is Reason.DRIVER_NOT_FOUND, source)
    assert "libnvidia-ml.so.1" in source.state.message


def test_the_program_is_started_as_it_is_in_a_pod(tmp_path: Path) -> None:
    """By the module's name, from the image's Python, with its output in a pipe."""
    child = start_reader(["--name", "sl-nw-start"])
    assert child.stdout is not None
    with child.stdout:
        line = child.stdout.readline()
        until(lambda: child.poll() is not None)
    assert b'"kind":"end"' in line or b'"kind":"hello"' in line  # a machine may have a driver
