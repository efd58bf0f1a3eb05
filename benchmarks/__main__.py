"""What the sidecar costs beside other proxies, and the operator at scale: `make bench`.

README.md here says what is measured and how. The tables go to the standard output, everything that
was measured to a JSON file in results/. The exit status is 1 when any way broke a single answer.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.placement import PLACEMENT
from benchmarks.quiet import NOISY, Others
from benchmarks.report import report
from benchmarks.rounds import run, worthless
from benchmarks.scale.run import measure as measure_operator
from benchmarks.scale.targets import targets as operator_targets
from benchmarks.summary import Row
from benchmarks.targets import targets
from benchmarks.ways import DEFAULT_WAYS, HERE, MORE_WAYS, BenchmarkError
from benchmarks.workloads import FULL, MODES, OPERATOR, QUICK, WORKLOADS, Scale


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round; for a first look")
    parser.add_argument("--rounds", type=int, help=f"default {FULL.rounds}, quick {QUICK.rounds}")
    ways = DEFAULT_WAYS + MORE_WAYS
    parser.add_argument("--ways", nargs="+", choices=ways, metavar="WAY",
                        default=list(DEFAULT_WAYS), help=" ".join(ways))  # fmt: skip
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, metavar="WORKLOAD",
                        default=list(WORKLOADS), help=" ".join(WORKLOADS))  # fmt: skip
    parser.add_argument("--streams", type=int, nargs="+", metavar="N", help="default 1 16 64 256")
    parser.add_argument("--modes", nargs="+", choices=MODES, help="of the beat; default both")
    parser.add_argument("--tokens", type=int, help="of a stream")
    parser.add_argument("--seconds", type=float, help="of the workloads that are no streams")
    parser.add_argument("--rate", type=int, help="of short connections; default 1000 a second")
    parser.add_argument("--free-cores", action="store_true", help="pin nothing to a core")
    parser.add_argument("--output", type=Path, help="the JSON file; default: results/DATE[-quick]")
    return parser.parse_args()


def _scale(options: argparse.Namespace) -> Scale:
    chosen = {
        name: tuple(value) if isinstance(value, list) else value
        for name in ("rounds", "streams", "modes", "tokens", "seconds", "rate")
        if (value := getattr(options, name)) is not None
    }
    return replace(QUICK if options.quick else FULL, **chosen)


def _output(options: argparse.Namespace) -> Path:
    if options.output:
        return Path(options.output)
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return HERE / "results" / f"{day}{'-quick' if options.quick else ''}.json"


def _measure(options: argparse.Namespace, scale: Scale) -> tuple[list[Row], list[str]]:
    """The operator first: what it needs is built where it is missing, before anything is timed."""
    chosen = [name for name in OPERATOR if name in options.workloads]
    rows = measure_operator(chosen, scale.operator) if chosen else []
    more, problems = run(options.ways, options.workloads, scale)
    return [*more, *rows], [*worthless(rows), *problems]


def main() -> int:
    """Measure, print the tables and write the JSON."""
    options = _options()
    scale = _scale(options)
    if options.free_cores:
        PLACEMENT.free()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # inherited by every proxy
    begun, others = time.monotonic(), Others()
    try:
        facts = machine(options.ways)
        rows, problems = _measure(options, scale)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    noise = others.share_of_a_core()
    lines = [*targets(rows), *operator_targets(rows)]
    print(report(rows, lines, problems))
    document = {
        "machine": facts,
        "scale": asdict(scale),
        "others_share_of_a_core": round(noise, 3),
        "seconds": round(time.monotonic() - begun),
        "problems": problems,
        "targets": [{**asdict(line), "verdict": line.verdict()} for line in lines],
        "rows": [row.document() for row in rows],
    }
    path = _output(options)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nwritten: {path.name}, {document['seconds']} s")
    if noise > NOISY:
        print(f"bench: NOISY: other programs used {noise:.0%} of a core", file=sys.stderr)
    for problem in problems:
        print(f"bench: BROKEN: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
