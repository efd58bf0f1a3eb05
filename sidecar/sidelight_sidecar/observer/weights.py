"""Has the model's files read by a process of its own, and keeps what came of it.

Rules:
1. Not before the engine has answered, for then all its files are there; again when it has answered
   after it began anew, for they may be others.
2. Nothing here waits: `step` looks at the process. One that takes too long is killed; one that the
   kernel does not let die (a network file system that is gone) is left alone. After either nothing
   is read any more, and neither while one of an observer before this one is still there.
3. What is told is the newest reading's alone.
"""

import contextlib
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol

import msgspec

from sidelight_contract.names import WEIGHTS_DIRECTORY
from sidelight_contract.weights import WeightsPlan, WeightsState
from sidelight_sidecar.observer.identity.reader import WeightsFiles
from sidelight_sidecar.weights import SECONDS

GRACE_SECONDS = 5.0
"""After the time that the process gives itself it is killed, and after as much again given up."""
APART_SECONDS = 60.0
"""Between two readings, at least: an engine may begin anew again and again."""
_MAX_ANSWER_BYTES = 4096

log = logging.getLogger("sidelight.observer")


class Answer(msgspec.Struct):
    """What the process says."""

    state: WeightsState
    digest: str = ""
    error: str = ""


class Child(Protocol):
    """A process of ours."""

    stdout: IO[bytes] | None
    returncode: int | None

    def poll(self) -> int | None:
        """How it ended; None: it has not."""
        ...

    def kill(self) -> None:
        """End it, if the kernel lets it end."""
        ...


def start_reader(arguments: Sequence[str]) -> Child:
    """Start the program that reads."""
    return subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "sidelight_sidecar.weights", *arguments],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


class WeightsReader:
    """Reads the files that a plan names; `step` is called again and again.

    Args:
        plan: what injection told.
        now: monotonic seconds.
        start: starts the process with these arguments.

    Attributes:
        state: what came of it.
        digest: empty while there is none.
    """

    def __init__(
        self,
        plan: WeightsPlan,
        now: Callable[[], float],
        start: Callable[[Sequence[str]], Child] = start_reader,
    ) -> None:
        arguments = [
            "--root",
            plan.root or WEIGHTS_DIRECTORY,
            "--revision",
            plan.revision,
            "--",
            *plan.paths,
        ]
        name = hashlib.sha256(json.dumps(arguments).encode()).hexdigest()[:8]
        self._name = f"sl-wts-{name}"
        self._arguments = ["--name", self._name, *arguments]
        self._start_child = start
        self._now = now
        self._child: Child | None = None
        self._started = 0.0
        self._not_before = 0.0
        self._killed = False
        self._restarts = 0
        self._answers_before = 0
        self._due = bool(plan.paths)
        self.digest = ""
        self.state = WeightsState.WAITING if plan.paths else _said(plan.state)
        self._reads = bool(plan.paths)

    @property
    def wanted(self) -> bool:
        """Whether there may be anything to do: not where nothing was mounted."""
        return self._reads or self._child is not None

    def files(self) -> WeightsFiles:
        """What is told of it: nothing where nobody asked."""
        asked = self.state is not WeightsState.NOT_ASKED
        return WeightsFiles(self.digest, self.state.value if asked else "")

    def step(self, *, answers: int, restarts: int) -> None:
        """Do what is due.

        Args:
            answers: how often the engine answered well; grows.
            restarts: grows when the engine is seen to have begun anew.
        """
        if self._child is not None:
            self._look(self._child)
        if not self._reads:
            return
        if restarts != self._restarts:
            self._restarts, self._answers_before, self._due = restarts, answers, True
        ready = self._due and self._child is None and answers > self._answers_before
        if ready and self._now() >= self._not_before:
            self._start()

    def close(self) -> None:
        """Leave no process behind."""
        if self._child is not None:
            self._child.kill()

    def _start(self) -> None:
        self._due = False
        self._started = self._now()
        self._not_before = self._started + APART_SECONDS
        if running(self._name):
            self._give_up()
            return
        try:
            self._child = self._start_child(self._arguments)
        except OSError as error:
            self._take(Answer(WeightsState.FAILED, error=os.strerror(error.errno or 0)))
            return
        if not self.digest:
            self.state = WeightsState.READING

    def _look(self, child: Child) -> None:
        if child.poll() is not None:
            self._child = None
            with child.stdout or contextlib.nullcontext():
                self._ended(child)
            return
        late = self._now() - self._started - SECONDS
        if late >= GRACE_SECONDS and not self._killed:
            self._killed = True
            child.kill()
            self._give_up()

    def _ended(self, child: Child) -> None:
        if self._killed:
            return
        if child.returncode == -signal.SIGALRM:  # how it ends itself when it is late
            self._give_up()
            return
        assert child.stdout is not None
        try:
            said = os.read(child.stdout.fileno(), _MAX_ANSWER_BYTES)
            answer = msgspec.json.decode(said, type=Answer)
        except (OSError, msgspec.DecodeError):
            answer = Answer(WeightsState.FAILED, error=f"exit status {child.returncode}")
        self._take(answer)

    def _give_up(self) -> None:
        self._reads = False
        self._take(Answer(WeightsState.TOO_SLOW))

    def _take(self, answer: Answer) -> None:
        self.state = answer.state
        self.digest = answer.digest
        fields = {"state": answer.state.value, "digest": answer.digest, "error": answer.error}
        said = {name: value for name, value in fields.items() if value}
        log.info("weights_read", extra={"fields": said})


def running(name: str) -> bool:
    """Whether a process of that name is there, one that cannot die among them: looked for by the
    one word about it that can be read of a process that hangs.
    """
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text(encoding="utf-8", errors="replace").strip() == name:
                return True
    return False


def _said(state: str) -> WeightsState:
    try:
        return WeightsState(state)
    except ValueError:
        return WeightsState.NOT_ASKED
