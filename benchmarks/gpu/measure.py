"""Phases of a real device, as the sidecar's own source sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.gpu.figures import phase, spacing
from benchmarks.gpu.load import KINDS

from sidelight_sidecar.observer.accelerators.nvml import NvmlSource, start_reader
from sidelight_sidecar.observer.accelerators.source import Sample
from sidelight_sidecar.observer.energy.intervals import Meter
from sidelight_sidecar.observer.weights import Child

SEEN_SECONDS = 90.0
SETTLE_SECONDS = 3.0
"""After a load began, and after it ended: clocks and the mean of a second follow."""
LOOK_SECONDS = 0.05
PHASE_SECONDS = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


class NoGpuError(Exception):
    """The driver shows none; the text says why."""


class LoadError(Exception):
    """The device could not be given work."""


class Eye:
    """The sidecar's source, and everything that it told."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self.source = NvmlSource(start=self._start, name=f"sl-gpu-{os.getpid()}"[:15])
        self.samples: list[Sample] = []

    def _start(self, arguments: Sequence[str]) -> Child:
        self._child = start_reader(arguments)
        return self._child

    def look(self, seconds: float) -> list[Sample]:
        """Go on for so long; gives what was told in that time."""
        until, before = time.monotonic() + seconds, len(self.samples)
        while time.monotonic() < until:
            self.source.step()
            self.samples += self.source.take()
            time.sleep(LOOK_SECONDS)
        return self.samples[before:]

    def open(self) -> None:
        """Until a device is seen.

        Raises:
            NoGpuError: none is.
        """
        until = time.monotonic() + SEEN_SECONDS
        while not self.source.state.fresh:
            self.look(LOOK_SECONDS)
            last = self.source.state
            if last.reason not in ("GPUsSeen", "GPUSourceStarting") or time.monotonic() > until:
                raise NoGpuError(last.message)

    def processor_seconds(self) -> float:
        """That the reading process took so far."""
        assert isinstance(self._child, subprocess.Popen)
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_bytes(self) -> int:
        """Memory of the reading process."""
        assert isinstance(self._child, subprocess.Popen)
        pages = int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def close(self) -> None:
        """End the process."""
        self.source.close()
        with suppress(subprocess.TimeoutExpired):
            if isinstance(self._child, subprocess.Popen):
                self._child.wait(5)


def under_load(eye: Eye, kind: str, seconds: float) -> tuple[list[Sample], dict[str, Any]]:
    """The samples of so long under a load, and what the load did.

    Raises:
        LoadError: it did not run.
    """
    longer = str(seconds + 2 * SETTLE_SECONDS)
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu.load", kind, longer],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as load:
        try:
            assert load.stdout is not None
            assert load.stderr is not None
            if load.stdout.readline() != "ready\n":
                raise LoadError(load.stderr.read().strip())
            eye.look(SETTLE_SECONDS)
            samples = eye.look(seconds)
            said, errors = load.communicate(timeout=60)
        finally:
            load.kill()
    if load.returncode:
        raise LoadError(errors.strip())
    eye.look(SETTLE_SECONDS)
    return samples, json.loads(said)


def measure(eye: Eye, seconds: float = PHASE_SECONDS) -> dict[str, Any]:
    """Idle, then each load, then idle again."""
    phases: dict[str, Any] = {}
    began, processor = time.monotonic(), eye.processor_seconds()
    idle_samples = eye.look(seconds)
    idle_cost = (eye.processor_seconds() - processor) / (time.monotonic() - began)
    phases["idle"] = by_device(idle_samples)
    for kind in KINDS:
        try:
            samples, did = under_load(eye, kind, seconds)
        except LoadError as error:  # without tensor cores, say
            phases[kind] = {"failed": str(error)[:400]}
            continue
        phases[kind] = {"did": did, **by_device(samples)}
    phases["idle_again"] = by_device(eye.look(seconds))
    return {
        "phases": phases,
        "sampler": {
            "spacing": {
                uuid: spacing(some, eye.source.state.period_seconds)
                for uuid, some in _each(eye.samples).items()
            },
            "processor_share": round(idle_cost, 5),
            "resident_bytes": eye.resident_bytes(),
            "unsupported": list(eye.source.state.unsupported),
        },
        "meter": metered(eye.samples),
    }


def by_device(samples: Sequence[Sample]) -> dict[str, Any]:
    """Each device's figures of a phase."""
    return {uuid: phase(some) for uuid, some in _each(samples).items()}


def metered(samples: Sequence[Sample]) -> dict[str, Any]:
    """What the sidecar's energy meter makes of all samples: the sum of its intervals, and how much
    of the time it could not cover.
    """
    meter = Meter()
    intervals = list(meter.take(samples))
    told = sum(interval.millijoules for interval in intervals)
    whole = sum(interval.until_ns - interval.since_ns for interval in intervals)
    return {
        "intervals": len(intervals),
        "joules": round(told / 1000, 3),
        "told_and_tail_are_the_counters": told + meter.tail_mj == meter.device_mj,
        "integrated": sum(interval.integrated for interval in intervals),
        "uncovered": round(sum(i.uncovered_ns for i in intervals) / whole, 5) if whole else None,
    }


def _each(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.device.uuid, []).append(sample)
    return found
