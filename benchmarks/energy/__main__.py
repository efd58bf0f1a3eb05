"""`python -m benchmarks.energy`: the tables of docs/energy.md.

The dice are seeded: the numbers are the same on every machine, but those of the cost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.energy.cost import cost
from benchmarks.energy.runs import WARM, Run, run
from benchmarks.energy.scenarios import DEVICES, SCENARIOS, VERSIONS

MODELS = {"m": "short prompts", "long": "long prompts"}


def main() -> None:
    """Simulate, and print Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.energy", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--cost", action="store_true", help="what it costs, beside the tables")
    options = parser.parse_args()
    runs: list[Run] = []
    for said, scenarios, tell in (
        ("What is asked differs; samples at 10 Hz:", SCENARIOS, _requests),
        ("The device or the engine differs; samples at 10 Hz:", DEVICES, _requests),
        ("Samples as an exporter is read:", VERSIONS, _versions),
    ):
        of: list[list[Run]] = []
        for scenario in scenarios:
            print(scenario.name, file=sys.stderr, flush=True)
            of.append([run(scenario, seed) for seed in range(1, options.seeds + 1)])
        print(f"{said}\n")
        tell(of)
        print(flush=True)
        runs += [one for several in of for one in several]
    print(_conserved(runs))
    if options.cost:
        print("\nWhat it costs:\n")
        _cost()
    sys.exit(any(one.unbalanced_mj for one in runs))


def _requests(scenarios: Sequence[Sequence[Run]]) -> None:
    _row(
        "", "requests", "without", "error: median", "p90", "most", "all together", "provisional",
        "by time",
    )  # fmt: skip
    _row("---", *["---:"] * 8)
    for runs in scenarios:
        errors = [error for one in runs for error in one.errors]
        provisional = [error for one in runs for error in one.provisional]
        by_time = [error for one in runs for error in one.by_time]
        _row(
            runs[0].scenario.name,
            f"{len(errors):,}",
            f"{sum(one.without for one in runs):,}",
            *(_percent(_quantile(errors, at)) for at in (0.5, 0.9, 1.0)),
            _signed([one.found / one.truth - 1 for one in runs]),
            _percent(_quantile(provisional, 0.5)),
            _percent(_quantile(by_time, 0.5)),
        )


def _versions(scenarios: Sequence[Sequence[Run]]) -> None:
    _row(
        "", "every", "energy of requests", *(f"joules a token, {said}" for said in MODELS.values())
    )
    _row("---", *["---:"] * 4)
    for runs in scenarios:
        _row(
            runs[0].scenario.name,
            f"{runs[0].scenario.sampling.period:.0f} s",
            _signed([one.all_joules for one in runs]),
            *(
                _signed([one.by_model[model] for one in runs if model in one.by_model])
                for model in MODELS
            ),
        )


def _signed(shares: Sequence[float]) -> str:
    """The least and the most of several runs."""
    if not shares:
        return ""
    return f"{100 * min(shares):+.1f} to {100 * max(shares):+.1f} %"


def _conserved(runs: Sequence[Run]) -> str:
    joules = sum(one.told.total.device_mj for one in runs) / 1000
    most = max(one.unbalanced_mj for one in runs)
    return (
        f"Conservation: {len(runs)} runs, {joules:,.0f} J, looked at every second: at most {most} "
        f"mJ of them were not in exactly one place. Requests of the first {WARM:.0f} s are not "
        "judged."
    )


def _quantile(errors: Sequence[float], at: float) -> float:
    ordered = sorted(abs(error) for error in errors)
    return ordered[min(len(ordered) - 1, int(at * len(ordered)))] if ordered else float("nan")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _cost() -> None:
    _row("streams", "of a core", "a chunk", "longest step")
    _row("---:", "---:", "---:", "---:")
    for streams in (16, 64, 256, 1000):
        of = cost(streams)
        _row(
            f"{streams:,}",
            f"{100 * of.core:.2f} %",
            f"{1e9 * of.chunk:.0f} ns",
            f"{1e3 * of.longest:.1f} ms",
        )


def _row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
