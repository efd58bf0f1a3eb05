"""The driver's own figures: a process that reads it is started, read without waiting, and replaced.

Rules:
1. Nothing here waits: `step` looks at the process and its pipe. A driver that hangs makes the state
   stale, and nothing else.
2. A process that tells nothing for too long is killed; one that the kernel does not let die is left
   alone. There are never two: none is started while one is there, of an observer before this one
   either.
3. After it ended, for whatever reason, the next one starts after a time that doubles.
"""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sidelight_contract.gpu import GpuSource
from sidelight_contract.names import Reason
from sidelight_sidecar.nvml.words import FAST_SECONDS, PROCESS_NAME, Outcome
from sidelight_sidecar.observer.accelerators.nvml_lines import End, NvmlLines
from sidelight_sidecar.observer.accelerators.source import Sample, SourceState
from sidelight_sidecar.observer.weights import Child

LOOK_SECONDS = 0.2
STALE_SECONDS = 2.0
"""Default 2 s: twenty periods, and a pause of the machine is none of the driver's."""
HANG_SECONDS = 10.0
"""Default 10 s without a row, then it is killed: resets of a device take a few."""
START_SECONDS = 60.0
"""Default 60 s: without persistence mode the driver first wakes every device."""
GRACE_SECONDS = 5.0
"""A process that is killed is gone by then, unless it hangs in the kernel."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
WELL_SECONDS = 60.0
"""It ran well for so long: the next pause is the first again."""
_READ_BYTES = 64 << 10
_READS = 4
_REAPS = 50
_REAP_SECONDS = 0.01
_NS = 1e9
_MAX_MESSAGE = 300

log = logging.getLogger("sidelight.observer")

_STARTING = (Reason.GPU_SOURCE_STARTING, "the driver has not answered yet")
_REASONS = {
    Outcome.LIBRARY_NOT_FOUND: Reason.DRIVER_NOT_FOUND,
    Outcome.OWN_DEVICES_UNKNOWN: Reason.OWN_DEVICES_UNKNOWN,
    Outcome.OWN_DEVICES_MISSING: Reason.OWN_DEVICES_UNKNOWN,
}
_SENTENCES = {
    Outcome.BINDINGS_NOT_FOUND: "the sidecar's image has no nvidia-ml-py",
    Outcome.LIBRARY_NOT_FOUND: "the driver's library is not in the sidecar's container",
    Outcome.DRIVER_NOT_LOADED: "the driver is not loaded on the node",
    Outcome.VERSION_MISMATCH: "the driver was replaced on the node: it and the library in the "
    "container differ in version; make the pod anew",
    Outcome.NO_PERMISSION: "the driver does not let the sidecar in",
    Outcome.DRIVER_RESET: "the driver was reset",
    Outcome.DEVICES_LOST: "no device answers any more",
    Outcome.NO_DEVICES: "the driver shows the sidecar no device",
    Outcome.OWN_DEVICES_UNKNOWN: "which of the node's devices are the pod's is not known",
    Outcome.OWN_DEVICES_MISSING: "the pod's devices are not among those that the driver shows",
    Outcome.FAILED: "the driver failed",
}


def start_reader(arguments: Sequence[str]) -> Child:
    """Start the program that reads."""
    return subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "sidelight_sidecar.nvml", *arguments],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


class NvmlSource:
    """The AcceleratorSource of NVIDIA's driver.

    Args:
        own: UUIDs of the pod's devices; empty: all that are visible, where those are its own.
        visible_all: the sidecar sees every device of the node: without `own` none is read, unless
            there is but one.
        shared: other pods use the devices, too (time slices).
        period_seconds: from one sample to the next.
        now_ns: the frames' clock.
        start: starts the process with these arguments.
        name: of the process.
    """

    def __init__(
        self,
        own: Sequence[str] = (),
        *,
        visible_all: bool = False,
        shared: bool = False,
        period_seconds: float = FAST_SECONDS,
        now_ns: Callable[[], int] = time.monotonic_ns,
        start: Callable[[Sequence[str]], Child] = start_reader,
        name: str = PROCESS_NAME,
    ) -> None:
        self._own = tuple(own)
        self._visible_all = visible_all
        self._period_seconds = period_seconds
        self._now_ns = now_ns
        self._start_child = start
        self._name = name
        self._lines = NvmlLines(shared)
        self._child: Child | None = None
        self._started_ns = 0
        self._rows_ns: int | None = None
        self._killed_ns: int | None = None
        self._not_before_ns = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._why = _STARTING

    async def run(self) -> None:
        """See AcceleratorSource."""
        try:
            while True:
                self.step()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            child = self._child
            self.close()
            for _ in range(_REAPS):
                if child is None or child.poll() is not None:
                    break
                await asyncio.sleep(_REAP_SECONDS)

    def take(self) -> list[Sample]:
        """See AcceleratorSource."""
        return self._lines.take()

    @property
    def state(self) -> SourceState:
        """See AcceleratorSource."""
        newest, now = self._lines.newest_ns, self._now_ns()
        fresh = newest is not None and now - newest <= self._stale_ns
        if fresh:
            reason, message = Reason.GPUS_SEEN, self._remarks()
        elif self._child is not None and newest is not None:
            reason, message = Reason.GPU_STALE, self._stale()
        else:
            reason, message = self._why
        unsupported = [f"{name} ({why})" for name, why in self._lines.unsupported.items()]
        hello = self._lines.hello
        period = hello.period_seconds if hello else 0.0
        return SourceState(
            GpuSource.NVML, fresh, reason, message[:_MAX_MESSAGE], unsupported, period
        )

    def step(self) -> None:
        """Do what is due."""
        if self._child is not None:
            self._look(self._child)
        if self._child is None and self._now_ns() >= self._not_before_ns:
            self._start()

    def close(self) -> None:
        """Leave no process behind."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with child.stdout or contextlib.nullcontext():
                pass

    @property
    def _stale_ns(self) -> float:
        return max(STALE_SECONDS, 3 * self._period_seconds) * _NS

    def _start(self) -> None:
        self._started_ns = self._now_ns()
        if there(self._name):
            self._not_yet("a process of a sidecar before this one still hangs in the driver")
            return
        arguments = ["--name", self._name, "--period-ms", f"{self._period_seconds * 1000:g}"]
        arguments += ["--visible-all"] if self._visible_all else ["--claimed"]
        for uuid in self._own:
            arguments += ["--uuid", uuid]
        try:
            child = self._start_child(arguments)
        except OSError as error:
            self._not_yet(f"no process: {os.strerror(error.errno or 0)}")
            return
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        self._lines.begin()
        self._child, self._rows_ns, self._killed_ns = child, None, None

    def _not_yet(self, why: str) -> None:
        self._why = (Reason.DRIVER_FAILED, why)
        self._not_before_ns = self._after_pause()

    def _after_pause(self) -> int:
        due = self._now_ns() + round(self._pause_seconds * _NS)
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        return due

    def _look(self, child: Child) -> None:
        ended = child.poll() is not None  # before reading: nothing comes after what is read then
        self._read(child)
        if ended:
            self._child = None
            with child.stdout or contextlib.nullcontext():
                self._over(child)
            return
        now = self._now_ns()
        last = self._started_ns if self._rows_ns is None else self._rows_ns
        patience = START_SECONDS if self._rows_ns is None else HANG_SECONDS
        if self._killed_ns is None and now - last > patience * _NS:
            self._killed_ns = now
            child.kill()
            self._why = (Reason.GPU_STALE, f"the driver told nothing for {patience:g} s")
        elif self._killed_ns is not None and now - self._killed_ns > GRACE_SECONDS * _NS:
            self._why = (Reason.GPU_STALE, "the process that reads the driver hangs in the kernel")
        if self._rows_ns is not None and now - self._started_ns > WELL_SECONDS * _NS:
            self._pause_seconds = FIRST_PAUSE_SECONDS

    def _read(self, child: Child) -> None:
        assert child.stdout is not None
        before = self._lines.newest_ns
        for _ in range(_READS):
            try:
                data = os.read(child.stdout.fileno(), _READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                break
            self._lines.feed(data)
        if self._lines.newest_ns != before:
            self._rows_ns = self._now_ns()

    def _over(self, child: Child) -> None:
        """The process ended: say why, and when the next one may start."""
        self._not_before_ns = self._after_pause()
        if self._lines.end is not None:
            self._why = _meaning(self._lines.end)
            self._lines.newest_ns = None  # what it told last holds no longer
        elif self._killed_ns is None:
            code = child.returncode or 0
            how = f"signal {-code}" if code < 0 else f"exit status {code}"
            self._why = (Reason.GPU_STALE, f"the process that reads the driver ended by {how}")
        log.info("nvml_reader_ended", extra={"fields": {"why": self._why[1][:_MAX_MESSAGE]}})

    def _stale(self) -> str:
        """In words that stay while it is so: they are in the status of a model."""
        if self._killed_ns is not None:
            return self._why[1]
        return f"the driver told nothing for more than {self._stale_ns / _NS:g} s"

    def _remarks(self) -> str:
        lost = [f"device {name} is lost: {why}" for name, why in self._lines.lost.items()]
        missing = self._lines.hello.missing if self._lines.hello else []
        return "; ".join(lost + [f"device {uuid} is not visible" for uuid in missing])


def _meaning(end: End) -> tuple[Reason, str]:
    sentence = _SENTENCES[end.outcome]
    said = f"{end.text} (code {end.code})" if end.code else end.text
    reason = _REASONS.get(end.outcome, Reason.DRIVER_FAILED)
    return reason, f"{sentence}: {said}" if said else sentence


def there(name: str) -> bool:
    """Whether a process of that name is there, one that hangs in the kernel among them.

    What is left of one that ended, and that nobody asked after, does not count; but the same is
    seen of one whose other threads hang.
    """
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, tail = stat.read_text(encoding="utf-8", errors="replace").rpartition(") ")
            if head.partition("(")[2] != name:
                continue
            if not tail.startswith("Z") or len(list((stat.parent / "task").iterdir())) > 1:
                return True
    return False
