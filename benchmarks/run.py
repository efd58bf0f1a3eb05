"""What the sidecar costs beside nginx: processor time for each chunk, added latency, memory.

``python benchmarks/run.py [--quick]``. Everything on loopback, in interleaved rounds on the same
machine; see README.md here for what is measured and how. Needs nginx on PATH.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from measure import cpu_seconds, rss_megabytes, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
INTERVAL_MS = 20
NGINX = """
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  upstream engine {{ server 127.0.0.1:{engine}; keepalive 1024; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until something accepts on a port."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"benchmark: {process.args} ended with status {process.returncode}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    sys.exit(f"benchmark: {process.args} does not listen on port {port}")


@contextmanager
def process(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that listens on a port for the length of a block."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stderr=log, stdout=log) as running,
    ):
        try:
            wait_listening(port, running)
            yield running
        finally:
            running.terminate()
            try:
                running.wait(15)
            except subprocess.TimeoutExpired:
                running.kill()


def command_of(kind: str, port: int, engine: int, directory: str) -> list[str]:
    """Return the command line of what is measured."""
    if kind == "nginx":
        config = Path(directory) / "nginx.conf"
        config.write_text(NGINX.format(directory=directory, port=port, engine=engine))
        return ["nginx", "-p", directory, "-c", str(config), "-e", f"{directory}/error.log"]
    where = ["--listen", f"127.0.0.1:{port}", "--engine", f"127.0.0.1:{engine}"]
    relay = [sys.executable, "-m", "sidelight_sidecar.relay", *where, "--drain-seconds", "1"]
    if kind == "relay":
        return [*relay, "--", sys.executable, "-S", str(HERE / "reader.py")]
    if kind == "relay, no tee":
        return relay
    admin = f"127.0.0.1:{free_port()}"
    return [sys.executable, "-m", "sidelight_sidecar", "run", *where, "--admin", admin]


def load(port: int, streams: int, requests: int, chunks: int) -> dict[str, object]:
    """Run the clients in their own process; what does not end in time is counted as broken."""
    limit = int(requests * (chunks + 2) * INTERVAL_MS / 1000 * 3) + 15
    command = [sys.executable, str(HERE / "load.py"), *map(str, (port, streams, requests, limit))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=limit + 15)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def measured(kind: str, engine: int, streams: int, requests: int, chunks: int) -> dict[str, object]:
    """Measure one way to the engine once."""
    if kind == "direct":
        return {"kind": kind, "streams": streams, **load(engine, streams, requests, chunks)}
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as directory,
        process(command_of(kind, port, engine, directory), port) as running,
    ):
        time.sleep(1.5 if kind == "sidecar" else 0.5)  # past the start, which is not measured
        pids = tree(running.pid)
        before = {pid: cpu_seconds(pid) for pid in pids}
        result = load(port, streams, requests, chunks)
        used = {pid: cpu_seconds(pid) - before[pid] for pid in pids}
        memory = {pid: rss_megabytes(pid) for pid in pids}
    count = int(str(result["chunks"]))
    first = max(pids, key=lambda pid: used[pid]) if kind == "nginx" else running.pid
    return {
        "kind": kind,
        "streams": streams,
        **result,
        "path_us_per_chunk": used[first] / count * 1e6,
        "tree_us_per_chunk": sum(used.values()) / count * 1e6,
        "path_rss_mb": memory[first],
        "other_rss_mb": sum(memory.values()) - memory[first],
    }


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share of the sorted values lies."""
    return values[min(len(values) - 1, int(share * len(values)))]


def summarise(rounds: list[dict[str, object]], kinds: list[str]) -> list[dict[str, object]]:
    """Return one row for each kind and number of streams: medians over the rounds."""
    rows = []
    for streams in sorted({int(str(r["streams"])) for r in rounds}):
        here = [r for r in rounds if r["streams"] == streams]
        base = sorted(t for r in here if r["kind"] == "direct" for t in r["ttft_ms"])  # type: ignore[attr-defined]
        nginx = [r for r in here if r["kind"] == "nginx"]
        for kind in kinds:
            mine = [r for r in here if r["kind"] == kind]
            first = sorted(t for r in mine for t in r["ttft_ms"])  # type: ignore[attr-defined]
            row: dict[str, object] = {
                "streams": streams,
                "kind": kind,
                "ttft_p50_ms": percentile(first, 0.5),
                "ttft_p99_ms": percentile(first, 0.99),
                "added_p50_ms": percentile(first, 0.5) - percentile(base, 0.5),
                "added_p99_ms": percentile(first, 0.99) - percentile(base, 0.99),
                "merged_share": total(mine, "merged_reads") / max(1, total(mine, "reads")),
                "broken": total(mine, "broken"),
            }
            if kind != "direct":
                for name in ("path_us_per_chunk", "tree_us_per_chunk"):
                    row[name] = statistics.median(float(str(r[name])) for r in mine)
                    ratios = [
                        float(str(a[name])) / float(str(b[name]))
                        for a, b in zip(mine, nginx, strict=True)
                    ]
                    row[name.replace("us_per_chunk", "to_nginx")] = statistics.median(ratios)
                for name in ("path_rss_mb", "other_rss_mb"):
                    row[name] = max(float(str(r[name])) for r in mine)
            rows.append(row)
    return rows


def total(rows: list[dict[str, object]], name: str) -> int:
    """Return the sum of one count."""
    return sum(int(str(row[name])) for row in rows)


COLUMNS = (
    ("streams", "streams", "{}"),
    ("kind", "way", "{}"),
    ("path_us_per_chunk", "µs/chunk", "{:.1f}"),
    ("path_to_nginx", "/nginx", "{:.2f}"),
    ("tree_us_per_chunk", "with observer", "{:.1f}"),
    ("added_p50_ms", "TTFT +p50 ms", "{:+.2f}"),
    ("added_p99_ms", "TTFT +p99 ms", "{:+.2f}"),
    ("path_rss_mb", "RSS MB", "{:.1f}"),
    ("other_rss_mb", "others MB", "{:.1f}"),
    ("merged_share", "merged reads", "{:.2%}"),
    ("broken", "broken", "{}"),
)


def table(rows: list[dict[str, object]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [[title for _, title, _ in COLUMNS], ["---"] * len(COLUMNS)]
    lines += [[f.format(row[n]) if n in row else "" for n, _, f in COLUMNS] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> dict[str, object]:
    """Return what the numbers depend on; no name of a host."""
    version = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "nginx": version.strip().rpartition("/")[2],
    }


def main() -> None:
    """Measure, write the JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default 5; quick: 1)")
    parser.add_argument("--streams", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--ways", nargs="+", help="what to measure (default: all that is there)")
    parser.add_argument("--name", default="loopback", help="of the result's file")
    options = parser.parse_args()
    if shutil.which("nginx") is None:
        sys.exit("benchmark: nginx is not installed (Debian: apt-get install nginx-light)")
    kinds = ["direct", "nginx", "relay, no tee", "relay"]
    if importlib.util.find_spec("sidelight_sidecar.__main__") is not None:
        kinds.append("sidecar")
    kinds = options.ways or kinds
    chunks, requests = (100, 1) if options.quick else (200, 2)
    rounds: list[dict[str, object]] = []
    engine = free_port()
    server = [
        sys.executable,
        str(HERE / "sse_server.py"),
        str(engine),
        str(chunks),
        str(INTERVAL_MS),
    ]
    with process(server, engine):
        for number in range(options.rounds or (1 if options.quick else 5)):
            for streams in options.streams:
                for kind in kinds:
                    rounds.append(measured(kind, engine, streams, requests, chunks))
                    print(f"round {number + 1}: {streams} streams, {kind}", file=sys.stderr)
    rows = summarise(rounds, kinds)
    print(table(rows))
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    result = HERE / "results" / f"{day}-{options.name}{'-quick' if options.quick else ''}.json"
    result.parent.mkdir(exist_ok=True)
    document = {"machine": machine(), "interval_ms": INTERVAL_MS, "chunks": chunks, "rows": rows}
    result.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written: {result.name}")


if __name__ == "__main__":
    main()
