"""The observer's end starts the process, reads without waiting, and replaces it: by a process that
does what it is told, and a clock that is moved by hand.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import pytest
from mock_nvml import until

from sidelight_contract.gpu import GpuSource
from sidelight_contract.names import Reason
from sidelight_sidecar.nvml.words import Outcome
from sidelight_sidecar.observer.accelerators.nvml import (
    FIRST_PAUSE_SECONDS,
    GRACE_SECONDS,
    HANG_SECONDS,
    LONGEST_PAUSE_SECONDS,
    STALE_SECONDS,
    START_SECONDS,
    WELL_SECONDS,
    NvmlSource,
    there,
)

NAME = f"sl-nv-{os.getpid()}"
DEVICE = {"uuid": "GPU-0", "index": "0"}


class FakeChild:
    """A process as the observer sees it: it runs until it is told otherwise."""

    def __init__(self, arguments: Sequence[str]) -> None:
        read, self._write = os.pipe()
        self.arguments = list(arguments)
        self.stdout: IO[bytes] | None = os.fdopen(read, "rb", buffering=0)
        self.returncode: int | None = None
        self.kills = 0
        self.dies = True

    def say(self, kind: str, **rest: Any) -> None:
        os.write(self._write, json.dumps({"kind": kind, **rest}).encode() + b"\n")

    def hello(self) -> None:
        self.say("hello", devices=[DEVICE], period_seconds=0.1, slow_seconds=1.0)

    def row(self, at: int, **values: Any) -> None:
        self.say("samples", fast=[(0, at, values)], slow=[])

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.kills += 1
        if self.dies:
            self.end(-9)

    def end(self, code: int) -> None:
        if self.returncode is None:
            self.returncode = code
            os.close(self._write)


class World:
    """A source, its clock, and the processes that it started."""

    def __init__(self, **options: Any) -> None:
        self.now = 1000.0
        self.children: list[FakeChild] = []
        self.refuse: OSError | None = None
        options = {"name": NAME, **options}
        self.source = NvmlSource(now_ns=lambda: self.ns, start=self._start, **options)

    @property
    def ns(self) -> int:
        return round(self.now * 1e9)

    @property
    def child(self) -> FakeChild:
        return self.children[-1]

    def _start(self, arguments: Sequence[str]) -> FakeChild:
        if self.refuse:
            raise self.refuse
        self.children.append(FakeChild(arguments))
        return self.child

    def well(self) -> None:
        """Started, and a row is there."""
        self.source.step()
        self.child.hello()
        self.child.row(self.ns)
        self.source.step()

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.source.step()

    def end(self) -> None:
        self.source.close()
        for child in self.children:
            child.end(0)
            assert child.stdout is not None
            child.stdout.close()


@pytest.fixture
def make() -> Iterator[Callable[..., World]]:
    """Makes worlds, and leaves no pipe open."""
    made: list[World] = []

    def one(**options: Any) -> World:
        made.append(World(**options))
        return made[-1]

    yield one
    for world in made:
        world.end()


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    """With a source of a claim's devices."""
    return make()


def reason(world: World) -> tuple[bool, Reason]:
    """The state in short."""
    return world.source.state.fresh, world.source.state.reason


def test_before_anything_is_known(world: World) -> None:
    """It is starting, until a row is there: hello alone says nothing of the devices."""
    assert reason(world) == (False, Reason.GPU_SOURCE_STARTING)
    world.source.step()
    world.child.hello()
    world.source.step()
    assert reason(world) == (False, Reason.GPU_SOURCE_STARTING)
    world.child.row(world.ns)
    world.source.step()
    assert reason(world) == (True, Reason.GPUS_SEEN)
    assert world.source.state.source is GpuSource.NVML
    assert world.source.state.level == "request"


def test_the_samples_are_taken_once(world: World) -> None:
    """As a source does."""
    world.well()
    (sample,) = world.source.take()
    assert (sample.device.uuid, sample.at_ns) == ("GPU-0", world.ns)
    assert world.source.take() == []


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, ["--claimed"]),
        ({"visible_all": True}, ["--visible-all"]),
        (
            {"visible_all": True, "own": ["GPU-a", "MIG-b"]},
            ["--visible-all", "--uuid", "GPU-a", "--uuid", "MIG-b"],
        ),
    ],
)
def test_which_devices_are_asked_for(
    make: Callable[..., World], options: dict[str, Any], arguments: list[str]
) -> None:
    """Those of the claim, or those that are named."""
    world = make(**options)
    world.source.step()
    assert world.child.arguments == ["--name", NAME, "--period-ms", "100", *arguments]


def test_shared_devices_are_marked(make: Callable[..., World]) -> None:
    """Where the operator knows of time slices."""
    world = make(shared=True)
    world.well()
    assert world.source.take()[0].device.shared


def test_a_driver_that_falls_silent_is_stale(world: World) -> None:
    """What was seen is old; it says so in words that stay, for they are in a model's status."""
    world.well()
    world.after(STALE_SECONDS)
    assert reason(world) == (True, Reason.GPUS_SEEN)
    world.child.say("beat")
    world.after(3.0)
    assert reason(world) == (False, Reason.GPU_STALE)
    said = world.source.state.message
    assert "for more than 2 s" in said
    world.after(2.0)
    assert world.source.state.message == said
    assert world.child.kills == 0


def test_a_driver_that_hangs_is_killed_and_replaced(world: World) -> None:
    """It stays stale until the next process tells something."""
    world.well()
    hung = world.child
    world.after(HANG_SECONDS + 1)
    assert hung.kills == 1
    world.after(0.1)  # it is gone
    assert world.children == [hung]
    assert reason(world) == (False, Reason.GPU_STALE)
    world.after(FIRST_PAUSE_SECONDS)
    assert len(world.children) == 2
    assert reason(world) == (False, Reason.GPU_STALE)
    world.child.hello()
    world.child.row(world.ns)
    world.source.step()
    assert reason(world) == (True, Reason.GPUS_SEEN)


def test_a_driver_that_never_answers_has_longer(world: World) -> None:
    """It may have to wake all its devices first."""
    world.source.step()
    world.after(START_SECONDS)
    assert world.child.kills == 0
    world.after(1.0)
    assert world.child.kills == 1
    assert reason(world) == (False, Reason.GPU_STALE)


def test_a_process_that_does_not_die_is_left_alone(world: World) -> None:
    """It hangs in the kernel: no other is started, and it is not killed again and again."""
    world.well()
    world.child.dies = False
    world.after(HANG_SECONDS + 1)
    for _ in range(100):
        world.after(GRACE_SECONDS)
    assert (len(world.children), world.child.kills) == (1, 1)
    assert reason(world) == (False, Reason.GPU_STALE)
    assert "hangs in the kernel" in world.source.state.message


def test_a_process_that_dies_late_is_replaced(world: World) -> None:
    """The file system or device that it hung in is back."""
    world.well()
    world.child.dies = False
    world.after(HANG_SECONDS + 1)
    world.after(500.0)
    world.child.end(-9)
    world.source.step()
    world.after(FIRST_PAUSE_SECONDS)
    assert len(world.children) == 2


def test_a_process_that_dies_by_itself_is_replaced(world: World) -> None:
    """A crash of the library; what it told last still holds for a moment."""
    world.well()
    world.child.end(-11)
    world.source.step()
    assert reason(world) == (True, Reason.GPUS_SEEN)
    world.after(STALE_SECONDS + 0.1)
    assert reason(world) == (False, Reason.GPU_STALE)
    assert "signal 11" in world.source.state.message
    assert len(world.children) == 2


def test_the_last_rows_of_a_process_that_ended_are_read(world: World) -> None:
    """They were in the pipe before it went."""
    world.well()
    world.source.take()
    world.child.row(world.ns + 1)
    world.child.end(-9)
    world.source.step()
    assert len(world.source.take()) == 1


@pytest.mark.parametrize("outcome", Outcome)
def test_what_the_process_says_is_the_state(world: World, outcome: Outcome) -> None:
    """At once, though its last rows are new: a reason, and a sentence with the driver's word."""
    world.well()
    world.child.say("end", outcome=outcome, code=18, text="the driver's word")
    world.child.end(0)
    world.source.step()
    fresh, why = reason(world)
    assert not fresh
    expected = {
        "library_not_found": Reason.DRIVER_NOT_FOUND,
        "own_devices_unknown": Reason.OWN_DEVICES_UNKNOWN,
        "own_devices_missing": Reason.OWN_DEVICES_UNKNOWN,
    }
    assert why is expected.get(outcome.value, Reason.DRIVER_FAILED)
    message = world.source.state.message
    assert message.endswith(": the driver's word (code 18)")
    assert len(message) > len(": the driver's word (code 18)")


def test_pauses_double_up_to_a_minute(world: World) -> None:
    """A driver that is not there is not asked every second."""
    starts = []
    for _ in range(60_000):
        world.after(0.01)
        if world.children and world.child.returncode is None:
            starts.append(world.now)
            world.child.end(1)
    pauses = [after - before for before, after in pairwise(starts)]
    assert pauses[:3] == pytest.approx([1, 2, 4], abs=0.05)
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE_SECONDS, abs=0.05)


def test_after_a_good_minute_the_pause_is_short_again(world: World) -> None:
    """An error now and then is no series of them."""
    for _ in range(5):
        world.after(LONGEST_PAUSE_SECONDS)
        world.child.end(1)
        world.source.step()
    world.after(LONGEST_PAUSE_SECONDS)
    world.child.hello()
    for _ in range(round(WELL_SECONDS) + 2):
        world.child.row(world.ns)
        world.after(1.0)
    world.child.end(1)
    world.source.step()
    before = len(world.children)
    world.after(FIRST_PAUSE_SECONDS)
    assert len(world.children) == before + 1


def test_a_process_that_cannot_be_started(world: World) -> None:
    """It is said, and tried again later."""
    world.refuse = OSError(11, "Resource temporarily unavailable")
    world.source.step()
    assert reason(world) == (False, Reason.DRIVER_FAILED)
    assert "Resource temporarily unavailable" in world.source.state.message
    world.refuse = None
    world.after(0.5)
    assert not world.children
    world.after(0.5)
    assert len(world.children) == 1


def test_none_is_started_beside_one_of_an_observer_before(world: World) -> None:
    """It may hang in the kernel since then; two would hang."""
    program = f"open('/proc/self/comm', 'w').write('{NAME}'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert there(NAME)
        world.source.step()
        assert not world.children
        assert reason(world) == (False, Reason.DRIVER_FAILED)
        other.communicate(b"\n")
    assert not there(NAME)
    world.after(FIRST_PAUSE_SECONDS)
    assert len(world.children) == 1


def test_what_is_left_of_a_process_that_ended_is_none() -> None:
    """Nobody asked after it yet, and it hangs in nothing."""
    program = f"open('/proc/self/comm', 'w').write('{NAME}')"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.read()  # its end closes the pipe
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert not there(NAME)


def test_a_process_counts_while_a_thread_of_it_is_left() -> None:
    """Killed, its first thread is gone and another one still hangs: the driver is still held."""
    number = {"x86_64": 60, "aarch64": 93}[platform.machine()]  # exit of one thread
    program = (
        "import ctypes, threading\n"
        f"open('/proc/self/comm', 'w').write('{NAME}')\n"
        "threading.Thread(target=input).start()\n"
        f"ctypes.CDLL(None).syscall({number}, 0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as other:
        stat = Path(f"/proc/{other.pid}/stat")
        until(lambda: stat.read_text(encoding="ascii").rpartition(") ")[2].startswith("Z"))
        assert there(NAME)
        other.kill()
    assert not there(NAME)


def test_remarks_on_devices_beside_those_that_are_seen(world: World) -> None:
    """One of several is lost, one that was named is not there: the others are seen."""
    world.source.step()
    devices = [DEVICE, {"uuid": "GPU-1", "index": "1"}]
    world.child.say("hello", devices=devices, missing=["GPU-x"], period_seconds=0.1)
    world.child.say("lost", device=1, code=15, text="GPU is lost")
    world.child.say("unsupported", signals={"pcie_bytes.tx": "Not Supported"})
    world.child.row(world.ns)
    world.source.step()
    state = world.source.state
    assert state.fresh
    assert state.message == "device 1 (GPU-1) is lost: GPU is lost; device GPU-x is not visible"
    assert state.unsupported == ["pcie_bytes.tx (Not Supported)"]


def test_close_leaves_no_process(world: World) -> None:
    """The observer ends."""
    world.well()
    child = world.child
    world.source.close()
    assert child.kills == 1
    assert child.stdout is not None
    assert child.stdout.closed
