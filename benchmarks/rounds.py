"""The run itself: all ways open at once, and every case over every way, round after round.

A proxy that is not being measured only waits. Within a round the ways take turns on each case, one
right after the other and first another one in each round, so that whatever the machine is busy
with meets them alike.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.memory import memory_of
from benchmarks.observed import Observation
from benchmarks.observer_speed import observer_speed
from benchmarks.placement import PLACEMENT
from benchmarks.summary import Row, figure, row
from benchmarks.ways import free_port, process, way
from benchmarks.workloads import BEAT_MS, SATURATING, Case, Sample, Scale, cases, measure

RECORDED_STREAMS_TIMES = 5


def say(text: str) -> None:
    """Show progress."""
    print(f"bench {time.strftime('%H:%M:%S')}: {text}", file=sys.stderr, flush=True)


@contextmanager
def engine() -> Iterator[int]:
    """Run the engine for the length of a block; its port."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.engine", str(port), str(BEAT_MS)]
    with process(command, [port], PLACEMENT.others):
        yield port


def run(names: list[str], workloads: list[str], scale: Scale) -> tuple[list[Row], list[str]]:
    """Return what was measured, and whatever makes it worthless."""
    rows: list[Row] = []
    problems: list[str] = []
    with engine() as port:
        if chosen := cases(workloads, scale):
            rows, problems = _rounds(names, chosen, scale.rounds, port)
        if "observer" in workloads:
            say("observer: replay of a recording")
            rows.append(_observer_row(observer_speed(port, scale.tokens, RECORDED_STREAMS_TIMES)))
        if "memory" in workloads:
            rows += [_memory_row(name, port, scale) for name in names if name != "direct"]
    return rows, [*worthless(rows), *problems]


def _rounds(
    names: list[str], chosen: list[Case], rounds: int, port: int
) -> tuple[list[Row], list[str]]:
    samples: dict[Case, list[dict[str, Sample]]] = {case: [] for case in chosen}
    with ExitStack() as stack:
        ways = [stack.enter_context(way(name, port)) for name in names]
        time.sleep(1)  # past the start of those that listen before they are ready
        sidecars = {one.name: Observation(one) for one in ways if one.admin_port}
        for number in range(rounds):
            turn = ways[number % len(ways) :] + ways[: number % len(ways)]
            for case in chosen:
                say(f"round {number + 1} of {rounds}: {case.workload}, {case.label}")
                found = {one.name: measure(case, one) for one in turn}
                for name, sidecar in sidecars.items():
                    found[name]["not_observed"] = sidecar.missed(int(str(found[name]["sent"])))
                samples[case].append(found)
        starts = {name: sidecar.seen().observer_starts for name, sidecar in sidecars.items()}
    problems = [f"{name}: observer started {n} times" for name, n in starts.items() if n > 1]
    return [row(case, name, samples[case]) for case in chosen for name in names], problems


def worthless(rows: list[Row]) -> list[str]:
    """Return what makes the rows worthless."""
    found = []
    for one in rows:
        if broken := one.counts.get("broken"):
            why = "; ".join(one.reasons)
            found.append(f"{one.way}, {one.workload}, {one.label}: {broken} broken ({why})")
        missed = one.counts.get("not_observed")
        if missed and one.workload not in SATURATING:
            found.append(f"{one.way}, {one.workload}, {one.label}: {missed} not observed")
    return found


def _observer_row(sample: Sample) -> Row:
    rates: list[float] = sample["events_per_second"]  # type: ignore[assignment]
    return Row(
        "observer",
        "replay",
        "sidecar",
        {"events": int(str(sample["events"]))},
        {"events_per_second": figure(rates)},
    )


def _memory_row(name: str, port: int, scale: Scale) -> Row:
    say(f"memory: {name}")
    sample = memory_of(name, port, max(scale.streams), scale.tokens)
    return row(Case("memory", f"{max(scale.streams)} streams", "", ()), name, [{name: sample}])
