"""The driver of the tests: NVIDIA's mock cards, and a file that says what they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sidelight_sidecar.observer.accelerators.nvml import NvmlSource
from sidelight_sidecar.observer.accelerators.source import Sample

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 20.0
PACE = ["--period-ms", "20", "--slow-ms", "120", "--flush-ms", "20"]
"""Of a program that tests read; activity needs 110 ms between two slow rounds."""

CARD: dict[str, Any] = {
    "power_mw": 512_345,
    "power_limit_mw": 700_000,
    "energy_mj": {"from": 123_456_789, "per_second": 512_345},
    "utilization": 87,
    "sm_clock": 1755,
    "memory_clock": 2619,
    "max_sm_clock": 1980,
    "event_reasons": 0x4 | 0x20,
    "memory_total": 85_899_345_920,
    "memory_used": 71_000_000_000,
    "memory_reserved": 551_550_976,
    "temperature": 61,
    "memory_temperature": 74,
    "ecc_corrected": 2,
    "ecc_uncorrected": 1,
    "remap_failed": 0,
    "field.74": 1_500_000_000,
    "field.76": 0,
    "field.269": 250_000_000,
    "field.270": 0,
    "field.271": 0,
    "field.138": 1000,
    "field.139": 2000,
    "field.197": 123_456,
    "field.198": 654_321,
    "gpm.2": 61.5,
    "gpm.5": 22.5,
    "gpm.10": 70.0,
}
"""A card that tells everything."""


def uuid(index: int) -> str:
    """Of the library's card of that number."""
    return f"GPU-5ba1e000-0000-4000-8000-{index:012x}"


@cache
def library() -> Path:
    """The folder of the library, built when it is not there: Go is needed, nothing is skipped."""
    built = subprocess.run(
        [ROOT / "hack/mocknvml.sh"], capture_output=True, text=True, timeout=500, check=False
    )
    assert built.returncode == 0, f"hack/mocknvml.sh: {built.stderr}"
    return Path(built.stdout.strip())


class Driver:
    """A node's driver as the file has it; `say` changes it while it is read."""

    def __init__(self, folder: Path, **state: Any) -> None:
        self.path = folder / "driver.json"
        self.children: list[subprocess.Popen[bytes]] = []
        self.environment: dict[str, str] = {}
        self.state: dict[str, Any] = {"all": dict(CARD), **state}
        self.say()

    def say(self, **changes: Any) -> None:
        """Change keys of the file."""
        self.state |= changes
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.state), encoding="utf-8")
        fresh.replace(self.path)

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start the program under this driver; as NvmlSource's `start`."""
        environment = {
            "LD_LIBRARY_PATH": str(library()),
            "MOCK_NVML_STATE": str(self.path),
            **self.environment,
        }
        child = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", "sidelight_sidecar.nvml", *arguments],
            cwd="/",
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.children.append(child)
        return child

    def lines(self, *arguments: str) -> Generator[dict[str, Any], None, None]:
        """What the program writes, line by line; ended when nobody wants more."""
        child = self.start([*PACE, *arguments])
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            for line in child.stdout:
                yield json.loads(line)
            assert child.stderr.read() == b""
        finally:
            child.kill()
            child.wait(DEADLINE_SECONDS)
            child.stdout.close()
            child.stderr.close()

    def end(self) -> None:
        """Leave no process, and no pipe, behind."""
        for child in self.children:
            child.kill()
            child.wait(DEADLINE_SECONDS)
            for pipe in (child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()


@contextmanager
def driver(folder: Path, **state: Any) -> Iterator[Driver]:
    """A driver for a while."""
    one = Driver(folder, **state)
    try:
        yield one
    finally:
        one.end()


@dataclass(slots=True)
class Told:
    """What the program said until every device had told all: hello, of each device the newest fast
    and slow row, and the lines about what is not supported.
    """

    hello: dict[str, Any]
    fast: dict[int, dict[str, Any]] = field(default_factory=dict)
    slow: dict[int, dict[str, Any]] = field(default_factory=dict)
    unsupported: list[dict[str, str]] = field(default_factory=list)


def told(node: Driver, *arguments: str) -> Told:
    """Run the program until every device's second slow row, which is the first with all in it."""
    lines = node.lines(*arguments)
    all_of = Told(next(lines))
    rounds: Counter[int] = Counter()
    whole = False
    for line in lines:
        if line["kind"] == "unsupported":
            all_of.unsupported.append(line["signals"])
        all_of.fast.update((place, values) for place, _, values in line.get("fast", ()))
        for place, _, values in line.get("slow", ()):
            all_of.slow[place] = values
            rounds[place] += 1
        if whole and line["kind"] == "samples":  # the batch after, and the news of the one before
            break
        places = range(len(all_of.hello["devices"]))
        whole = all(rounds[place] > 1 and place in all_of.fast for place in places)
    lines.close()
    return all_of


def until(condition: Callable[[], bool], source: NvmlSource | None = None) -> None:
    """Let the source go on until something is so.

    Raises:
        AssertionError: it is not after `DEADLINE_SECONDS`.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        state = "" if source is None else f": {source.state}"
        assert time.monotonic() < deadline, f"not so after {DEADLINE_SECONDS:g} s{state}"
        if source is not None:
            source.step()
        time.sleep(0.01)


def samples(source: NvmlSource, enough: Callable[[list[Sample]], bool]) -> list[Sample]:
    """What the source gives until it is enough."""
    taken: list[Sample] = []

    def look() -> bool:
        taken.extend(source.take())
        return enough(taken)

    until(look, source)
    return taken
