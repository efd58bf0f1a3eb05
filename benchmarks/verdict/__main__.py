"""`python -m benchmarks.verdict`: the tables of docs/verdict.md.

Each run looks at the evidence after every minute, as the operator does, and takes what it says
first. The dice are seeded: the numbers are the same on every machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks.verdict.runs import Run, run
from benchmarks.verdict.scenarios import EDGE, SAME, SLOW_NODES, WORSE
from benchmarks.verdict.world import Scenario


def main() -> None:
    """Simulate, and print Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.verdict", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="of each scenario (default 200)")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:

        def results(scenario: Scenario) -> list[Run]:
            print(scenario.name, file=sys.stderr, flush=True)
            # Those that are worse show more in fewer runs, and take twice as long.
            runs = options.runs if scenario not in WORSE else (options.runs + 1) // 2
            return list(pool.map(partial(run, scenario), range(runs), chunksize=5))

        _false_alarms(results, options.runs)
        _edge(results, options.runs)
        _power(results, (options.runs + 1) // 2)


Results = Callable[[Scenario], list[Run]]


def _false_alarms(results: Results, runs: int) -> None:
    print(f"Nothing differs; {runs} runs of six hours each, level 1 %:\n")
    _row(
        "traffic",
        "a difference, ever",
        "Rollback",
        "Promote",
        "t-test, each minute",
        "t-test, once",
    )
    _row("---", *["---:"] * 5)
    found: list[Run] = []
    for scenario in SAME:
        found += (of := results(scenario))
        _row(scenario.name, *_alarms(of))
    _row("**all of these**", *_alarms(found))
    _row(f"{SLOW_NODES.name} (beyond the assumptions)", *_alarms(results(SLOW_NODES)))


def _alarms(of: Sequence[Run]) -> list[str]:
    return [
        share(run.difference is not None for run in of),
        share(run.rollback is not None for run in of),
        share(run.promote is not None for run in of),
        share(run.naive is not None for run in of),
        share(run.naive_once for run in of),
    ]


def _edge(results: Results, runs: int) -> None:
    print(f"\nThe candidate is worse by exactly what is tolerated; {runs} runs:\n")
    _row("what is true", "Rollback", "Promote", "the interval ever misses the truth")
    _row("---", *["---:"] * 3)
    for scenario in EDGE:
        of = results(scenario)
        _row(
            scenario.name,
            share(run.rollback is not None for run in of),
            share(run.promote is not None for run in of),
            share(any(run.outside.values()) for run in of),
        )


def _power(results: Results, runs: int) -> None:
    print(f"\nThe candidate is worse; {runs} runs, requests of both versions, 60 a minute:\n")
    _row(
        "what is true", "a difference, after requests: median (p90)", "found",
        "Rollback, after requests: median (p90)", "of the candidate", "found", "Promote",
    )  # fmt: skip
    _row("---", *["---:"] * 6)
    for scenario in WORSE:
        of = results(scenario)
        slower = [run.slower for run in of]
        rollback = [run.rollback for run in of]
        _row(
            f"{scenario.name}, {scenario.minutes // 60} h",
            quantiles([found.requests if found else None for found in slower]),
            share(found is not None for found in slower),
            quantiles([found.requests if found else None for found in rollback]),
            quantiles([found.candidate if found else None for found in rollback]),
            share(found is not None for found in rollback),
            share(run.promote is not None for run in of),
        )


def share(of: Iterable[bool]) -> str:
    """`3.5 %`, and of how many."""
    values = list(of)
    return f"{100 * sum(values) / len(values):.1f} %"


def quantiles(counts: Sequence[int | None]) -> str:
    """Median and 90th percentile; what was never found counts as more than all others."""
    ordered = sorted(float("inf") if count is None else count for count in counts)
    picked = (ordered[len(ordered) // 2], ordered[len(ordered) * 9 // 10])
    median, p90 = ("-" if value == float("inf") else f"{value:,.0f}" for value in picked)
    return f"{median} ({p90})"


def _row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
