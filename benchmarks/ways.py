"""The ways from a client to the engine: how each proxy is started, where, and on which core."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template

from benchmarks.placement import PLACEMENT, on_cores

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = HERE / "peers"
DEFAULT_WAYS = ("direct", "nginx", "haproxy", "go", "aiohttp", "relay", "sidecar")
CAPTURING = ("capture", "capture-sink-down")
"""The sidecar that records every request, redacted, into files; or cannot write them."""
MORE_WAYS = ("relay-without-tee", *CAPTURING)
"""Not in the comparison; for work on the relay, and for `benchmarks.capture`."""
SIDECARS = ("sidecar", *CAPTURING)
OURS = ("relay", "relay-without-tee", *SIDECARS)
START_SECONDS = 15


class BenchmarkError(Exception):
    """Something that is measured does not work; the message says what."""


@dataclass(frozen=True)
class Way:
    """A port that leads to the engine, and the process that makes it so."""

    name: str
    port: int
    pid: int = 0
    """0: direct."""
    admin_port: int = 0
    """Where the sidecar's metrics are; 0 for all others."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something accepts on a port."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    said = log.read_text(errors="replace")[-2000:]
    raise BenchmarkError(f"{process.args} does not listen on port {port}: {said}")


@contextmanager
def process(
    command: Sequence[str], ports: Sequence[int], core: set[int]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program on one core, from when it listens on its ports to the end of the block."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with log.open("wb") as out, on_cores(core):
            running = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)
        try:
            for port in ports:
                _wait_listening(port, running, log)
            yield running
        finally:
            running.terminate()
            try:
                running.wait(15)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _filled(template: str, directory: str, port: int, engine: int) -> str:
    """Write a peer's configuration; return its path."""
    text = Template((PEERS / template).read_text())
    path = Path(directory) / template
    path.write_text(text.substitute(directory=directory, port=port, engine=engine))
    return str(path)


def go_proxy() -> str:
    """Build the Go proxy, unless the cache holds it; return its path."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("SIDELIGHT_CACHE") or cache / "sidelight") / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "go-proxy"
    if shutil.which("go") is None:
        raise BenchmarkError("way go: no Go toolchain on PATH (or choose other --ways)")
    command = ["go", "build", "-trimpath", "-o", str(program), "."]
    if subprocess.run(command, cwd=PEERS / "go", check=False).returncode:
        raise BenchmarkError("way go: its proxy does not build")
    return str(program)


def _command(name: str, port: int, engine: int, admin: int, directory: str) -> list[str]:
    """Return the command line of a proxy."""
    where = ["--listen", f"127.0.0.1:{port}", "--engine", f"127.0.0.1:{engine}"]
    relay = [sys.executable, "-m", "sidelight_sidecar.relay", *where, "--drain-seconds", "1"]
    if name == "nginx":
        config = _filled("nginx.conf", directory, port, engine)
        return ["nginx", "-p", directory, "-c", config, "-e", f"{directory}/error.log"]
    if name == "haproxy":
        return ["haproxy", "-db", "-f", _filled("haproxy.cfg", directory, port, engine)]
    if name == "go":
        return [go_proxy(), f"127.0.0.1:{port}", f"127.0.0.1:{engine}"]
    if name == "aiohttp":
        return [sys.executable, "-m", "benchmarks.peers.aiohttp_proxy", str(port), str(engine)]
    if name == "relay":
        return [*relay, "--", sys.executable, "-S", str(PEERS / "reader.py")]
    if name == "relay-without-tee":
        return relay
    sidecar = [sys.executable, "-m", "sidelight_sidecar", "run"]
    sidecar = [*sidecar, *where, "--admin", f"127.0.0.1:{admin}"]
    return [*sidecar, *_capturing(name, directory)] if name in CAPTURING else sidecar


def _capturing(name: str, directory: str) -> list[str]:
    """Write the configuration of a sidecar that captures; return its options."""
    records = Path(directory) / "records"
    if name == "capture-sink-down":
        records.write_text("a file where the folder would be")
    config = Path(directory) / "config.json"
    capture = {"payloads": "Redacted", "keep": {"per_minute": 100_000}}
    export = {"sinks": [{"kind": "file", "name": "files"}]}
    config.write_text(json.dumps({"version": 1, "capture": capture, "export": export}))
    return ["--config", str(config), "--records", str(records)]


@contextmanager
def way(name: str, engine: int) -> Iterator[Way]:
    """Open one way to the engine for the length of a block."""
    if name == "direct":
        yield Way(name, engine)
        return
    port = free_port()
    admin = free_port() if name in SIDECARS else 0
    with tempfile.TemporaryDirectory() as directory:
        command = _command(name, port, engine, admin, directory)
        ports = [port, admin] if admin else [port]
        with process(command, ports, PLACEMENT.proxies) as running:
            yield Way(name, port, running.pid, admin)
