"""How fast the observer is on one core: a recording of the stream workload, replayed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.placement import PLACEMENT, on_cores
from benchmarks.ways import ROOT, BenchmarkError, Way, free_port, process
from benchmarks.workloads import Case, Sample, measure

STREAMS = 256


def observer_speed(engine: int, tokens: int, times: int) -> Sample:
    """Record so many tokens on each of 256 streams, and replay that so many times."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "streams.frames"
        events = _record(path, engine, tokens)
        command = [sys.executable, "-m", "benchmarks.clients.replay", str(path), str(times)]
        with on_cores(PLACEMENT.proxies):
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
    with process(command, [port], PLACEMENT.proxies) as running:
        sample = measure(case, Way("record", port))
        running.send_signal(signal.SIGTERM)
        running.wait(30)
    if sample["broken"]:
        raise BenchmarkError(f"recording: {sample['broken']} broken streams: {sample['reasons']}")
    return int(str(sample["events"]))
