"""What it costs to record every request, redacted: `python -m benchmarks.capture`.

256 streams, through a sidecar without capture, one that records into files, and one whose sink is
down for the whole run; each started afresh in each round, all on one core, one after the other.
Processor time is all that was used from before the first request (when all processes have started
and rest) until everything came to rest, by the relay (the process in the path) and by the rest
(observer and capture process, each by itself too), for each chunk. Every way has the same time to
come to rest, and nobody looks at its metrics meanwhile; where a record is not where it is to be by
then, it is waited for, and what that takes counts. Ratios are to the sidecar without capture in
the same round; figures are medians.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.capture.told import Round, lines_of, targets_of
from benchmarks.machine import machine
from benchmarks.measure import cpu_seconds, settled_cpu_seconds, tree
from benchmarks.memory import Watch
from benchmarks.observed import Observation
from benchmarks.quiet import NOISY, Others
from benchmarks.rounds import engine, say
from benchmarks.ways import CAPTURING, HERE, BenchmarkError, Way, way
from benchmarks.workloads import Case, measure

WAYS = ("sidecar", *CAPTURING)
STREAMS = 256
TOKENS = 90
ROUNDS = 5
START_SECONDS = 15.0
SHIP_SECONDS = 15.0
REST_SECONDS = 3.0
"""A record waits a second for others, and a second may pass until it is told where it is."""
LOOK_SECONDS = 1.5
"""How often metrics are looked at where something is waited for: each look is work of the
observer's."""
DONE = {
    "capture": ("sidelight_capture_records_total", "sidelight_sink_records_total"),
    "capture-sink-down": ("sidelight_capture_records_total",),
}
"""The metrics that reach the number of requests."""


def counted(one: Way, name: str) -> float:
    """A metric of the sidecar, all its series together."""
    with urllib.request.urlopen(f"http://127.0.0.1:{one.admin_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def until(one: Way, name: str, least: float, seconds: float, *, look: float = 0.1) -> None:
    """Wait until a metric is as large as that; after so long, go on."""
    deadline = time.monotonic() + seconds
    while counted(one, name) < least and time.monotonic() < deadline:
        time.sleep(look)


def one_round(name: str, port: int, streams: int, tokens: int) -> Round:
    """Start a way afresh, and measure it."""
    with way(name, port) as fresh:
        if name in CAPTURING:
            until(fresh, "sidelight_capture_running", 1, START_SECONDS)
        time.sleep(1)
        observation = Observation(fresh)
        pids = tree(fresh.pid)
        relay, observer, rest = pids[0], pids[1], pids[1:]
        settled_cpu_seconds(rest)
        before = {pid: cpu_seconds(pid) for pid in pids}
        watch = Watch(pids)
        watch.start()
        sample = measure(Case("capture", name, "streams", (streams, "spread", tokens)), fresh)
        time.sleep(REST_SECONDS)
        used = {pid: cpu_seconds(pid) for pid in pids}
        for metric in DONE.get(name, ()):
            if counted(fresh, metric) < streams:
                until(fresh, metric, streams, SHIP_SECONDS, look=LOOK_SECONDS)
                used = {pid: cpu_seconds(pid) for pid in pids}
        watch.over.set()
        watch.join()
        missed = observation.missed(int(str(sample["sent"])))
        us = {pid: (used[pid] - before[pid]) / int(str(sample["events"])) * 1e6 for pid in pids}
        return Round(
            relay_us=us[relay],
            rest_us=sum(us[pid] for pid in rest),
            observer_us=us[observer],
            rss_mb=watch.most.rss,
            pss_mb=watch.most.pss,
            broken=int(str(sample["broken"])),
            not_observed=missed,
            sent=int(str(sample["sent"])),
            recorded=int(counted(fresh, "sidelight_capture_records_total")),
            shipped=int(counted(fresh, "sidelight_sink_records_total")),
            dropped=int(counted(fresh, "sidelight_capture_dropped_total")),
        )


def main() -> int:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--output", type=Path, help="default: results/DATE-capture.json")
    options = parser.parse_args()
    others = Others()
    rounds: list[dict[str, Round]] = []
    try:
        with engine() as port:
            for number in range(options.rounds):
                turn = WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]
                say(f"capture: round {number + 1} of {options.rounds}")
                found = {name: one_round(name, port, options.streams, options.tokens)
                         for name in turn}  # fmt: skip
                rounds.append(found)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    noise = others.share_of_a_core()
    lines = targets_of(rounds)
    print("\n".join(lines_of(WAYS, rounds, lines)))
    path = options.output or HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}-capture.json"
    document = {
        "machine": machine([]),
        "others_share_of_a_core": round(noise, 3),
        "streams": options.streams,
        "rounds": [{name: one.document() for name, one in found.items()} for found in rounds],
        "targets": [{"figure": line.figure, "limit": line.limit, "measured": line.measured,
                     "verdict": line.verdict()} for line in lines],
    }  # fmt: skip
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nwritten: {path.name}")
    if noise > NOISY:
        print(f"bench: NOISY: other programs used {noise:.0%} of a core", file=sys.stderr)
    broken = any(one.broken or one.not_observed for found in rounds for one in found.values())
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
