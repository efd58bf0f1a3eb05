"""`make accuracy`: a sidecar's figures beside those of an independent client, request by request.

A real llama.cpp server is asked through a whole sidecar, first one request at a time, then 32 at
once; another one is killed in the midst of its answers. docs/accuracy.md says what is compared and
shows what came of it. Exit 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.accuracy.asks import mix
from benchmarks.accuracy.outage import outage
from benchmarks.accuracy.report import report
from benchmarks.accuracy.run import measured
from benchmarks.accuracy.stand import engine
from benchmarks.quiet import NOISY, Others

AT_ONCE = 32


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--requests", type=int, default=320, help="in all; default 320")
    parser.add_argument("--seed", type=int, default=6)
    options = parser.parse_args()
    alone = mix(options.requests // 5, options.seed)
    crowd = mix(options.requests - len(alone), options.seed + 1)
    with tempfile.TemporaryDirectory() as folder, engine() as port:
        others = Others()
        rounds = {"One at a time": (alone, 1), f"{AT_ONCE} at once": (crowd, AT_ONCE)}
        wrong = 0
        for number, (title, round_) in enumerate(rounds.items()):
            outcome = measured(port, Path(folder) / f"{number}.frames", [round_])
            print(f"### {title}\n\n{report(outcome)}\n", flush=True)
            wrong += len(outcome.all_wrong)
        outcome = outage(Path(folder) / "outage.frames")
        print(f"### An engine that dies\n\n{report(outcome)}\n", flush=True)
        wrong += len(outcome.all_wrong)
    share = others.share_of_a_core()
    warning = "  NOISY" if share > NOISY else ""
    print(f"Other processes used {share:.2f} of one core meanwhile.{warning}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
