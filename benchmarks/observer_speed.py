"""How fast the observer is on one core: a recording of the stream workload, replayed.

``python -m benchmarks.observer_speed FILE TIMES`` prints one JSON object: processor seconds of each
replay of the whole pipeline, frame file to summary, in a process that does nothing else.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ways import ROOT, BenchmarkError, Way, cores, free_port, on_cores, process
from benchmarks.workloads import Case, Sample, measure

from sidelight_sidecar.observer.replay import replay

STREAMS = 256


def observer_speed(engine: int, tokens: int, times: int) -> Sample:
    """Record so many tokens on each of 256 streams, and replay that so many times."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "streams.frames"
        events = _record(path, engine, tokens)
        command = [sys.executable, "-m", "benchmarks.observer_speed", str(path), str(times)]
        with on_cores(cores()[0]):
            done = subprocess.run(command, capture_output=True, check=False, cwd=ROOT)
        size = path.stat().st_size
    if done.returncode:
        raise BenchmarkError(f"observer: replay failed: {done.stderr.decode()}")
    result: Sample = json.loads(done.stdout)
    if result["requests"] != STREAMS:
        raise BenchmarkError(f"observer saw {result['requests']} of {STREAMS} recorded streams")
    rates = [events / seconds for seconds in result["cpu_seconds"]]  # type: ignore[attr-defined]
    return {"events": events, "recording_bytes": size, "events_per_second": rates}


def _record(path: Path, engine: int, tokens: int) -> int:
    """Record the stream workload with `sidelight-sidecar record`; return its events."""
    port = free_port()
    where = ["--listen", f"127.0.0.1:{port}", "--engine", f"127.0.0.1:{engine}"]
    command = [sys.executable, "-m", "sidelight_sidecar", "record", *where, str(path)]
    case = Case("observer", "recording", "streams", (STREAMS, "spread", tokens))
    with process(command, [port], cores()[0]) as running:
        sample = measure(case, Way("record", port))
        running.send_signal(signal.SIGTERM)
        running.wait(30)
    if sample["broken"]:
        raise BenchmarkError(f"recording: {sample['broken']} broken streams: {sample['reasons']}")
    return int(str(sample["events"]))


def main() -> None:
    """Replay in this process."""
    path, times = Path(sys.argv[1]), int(sys.argv[2])
    seconds, requests = [], 0
    for _ in range(times):
        begun = time.process_time_ns()
        (summary,) = replay(path, "summary")
        seconds.append((time.process_time_ns() - begun) / 1e9)
        requests = sum(traffic["requests"] for traffic in json.loads(str(summary))["total"])
    json.dump({"cpu_seconds": seconds, "requests": requests}, sys.stdout)


if __name__ == "__main__":
    main()
