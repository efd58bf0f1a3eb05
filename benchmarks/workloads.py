"""What is measured: the cases of each workload, and how one of them is run over one way."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.placement import PLACEMENT, on_cores
from benchmarks.scale.size import EVERYTHING, LITTLE, Size
from benchmarks.ways import ROOT, BenchmarkError, Way

Sample = dict[str, object]
"""What a client printed."""

PROXIES = ("streams", "unary", "prompts", "connections", "observer", "memory")
"""Of the sidecar and other proxies."""
OPERATOR = ("admission", "operator")
"""Of webhook and controller; `benchmarks.scale`."""
WORKLOADS = PROXIES + OPERATOR
MODES = ("spread", "batch")
SATURATING = ("unary",)
"""As fast as the core allows: more than a sidecar must observe. What it leaves out is reported."""
LIMIT_SECONDS = 90
THINK_MS = 5
"""Between the answer and the next 1 MB prompt: 150 MB a second, not all that the core can copy."""
BEAT_MS = 20
"""Time between the chunks of a stream."""


@dataclass(frozen=True)
class Scale:
    """How much of everything; the shape of the workloads stays the same."""

    rounds: int
    streams: tuple[int, ...] = (1, 16, 64, 256)
    modes: tuple[str, ...] = MODES
    tokens: int = 90
    seconds: float = 1.5
    rate: int = 1000
    operator: Size = EVERYTHING


FULL = Scale(rounds=5)
QUICK = Scale(rounds=1, tokens=60, seconds=1.0, operator=LITTLE)


@dataclass(frozen=True)
class Case:
    """One workload at one size: a client program, and what it is told after port and pid."""

    workload: str
    label: str
    client: str
    arguments: tuple[object, ...]


def cases(workloads: list[str], scale: Scale) -> list[Case]:
    """Return what the clients measure in every round."""
    found: list[Case] = []
    for mode in scale.modes:
        for count in scale.streams:
            if count > 1 or mode == scale.modes[0]:  # one stream is in step with itself
                arguments = (count, mode, scale.tokens)
                found.append(Case("streams", f"{count} {mode}", "streams", arguments))
    for count in (1, 8):
        arguments = (count, 64, 0, scale.seconds)
        found.append(Case("unary", f"{count} connections", "closed_loop", arguments))
    found.append(
        Case("prompts", "1 MB prompt", "closed_loop", (1, 1_000_000, THINK_MS, scale.seconds))
    )
    label = f"{scale.rate} connections/s"
    found.append(Case("connections", label, "connections", (scale.rate, scale.seconds)))
    return [case for case in found if case.workload in workloads]


def measure(case: Case, way: Way) -> Sample:
    """Run a case over a way, the clients in a process of their own.

    Raises:
        BenchmarkError: the client failed, which is never the proxy's doing.
    """
    client = [sys.executable, "-m", f"benchmarks.clients.{case.client}"]
    with on_cores(PLACEMENT.others):
        done = subprocess.run(
            [*client, str(way.port), str(way.pid), *map(str, case.arguments)],
            capture_output=True,
            check=False,
            cwd=ROOT,
            timeout=LIMIT_SECONDS,
        )
    if done.returncode:
        raise BenchmarkError(f"{case.client}, {case.label}, {way.name}: {done.stderr.decode()}")
    sample: Sample = json.loads(done.stdout)
    return sample
