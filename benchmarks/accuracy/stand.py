"""The stand: a real llama.cpp server, and a whole sidecar before it whose frames are kept."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.asks import CONTEXT_TOKENS

from sidelight_contract.summary import Summary, decode_summary

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SERVER = ROOT / "examples" / "llama-server" / "llama_server.py"
DEADLINE_SECONDS = 60
SLOTS = 8
"""Requests that the engine computes at once: with 32 open, most wait, as on a busy engine."""
HTTP_THREADS = 80
"""llama.cpp gives each open connection a thread; with fewer, connections would wait for one."""


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def get(port: int, path: str) -> bytes:
    """The body of a GET; empty when nobody answers well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
            return bytes(response.read())
    except (OSError, urllib.error.URLError):
        return b""


def until(what: str, done: Callable[[], object]) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"in vain: {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def process(
    *arguments: str, log: Path | None = None, more: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that ends with the block; what it says goes to the log. `more` is of its
    environment.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(more or {})}
    with (
        (log or Path(os.devnull)).open("wb") as output,
        subprocess.Popen(
            [sys.executable, *arguments], stderr=output, stdout=output, env=environment
        ) as running,
    ):
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()


@contextlib.contextmanager
def engine() -> Iterator[int]:
    """A llama.cpp server with a template that knows tools; its port."""
    with engine_process() as (port, _):
        yield port


@contextlib.contextmanager
def engine_process() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The same with its process, for who means to kill it."""
    port = free_port()
    with process(
        str(SERVER), "--host", "127.0.0.1", "--port", str(port), "--metrics",
        "--parallel", str(SLOTS), "--ctx-size", str(SLOTS * CONTEXT_TOKENS),
        "--threads-http", str(HTTP_THREADS), "--chat-template-file", str(HERE / "tools.jinja"),
    ) as running:  # fmt: skip
        until("the engine is healthy", lambda: get(port, "/health"))
        yield port, running


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar."""

    relay_pid: int
    port: int
    admin: int
    frames: Path

    def summary(self) -> Summary:
        """What it says now."""
        return decode_summary(get(self.admin, "/summary"))

    def settled(self, requests: int) -> Summary:
        """What it says when so many requests have ended."""
        until(
            f"{requests} requests are counted",
            lambda: sum(traffic.requests for traffic in self.summary().total) >= requests,
        )
        return self.summary()


@contextlib.contextmanager
def sidecar(engine_port: int, frames: Path) -> Iterator[Sidecar]:
    """Relay and observer before the engine. The frames are whole when the block has ended."""
    port, admin, log = free_port(), free_port(), frames.with_suffix(".log")
    observer = [sys.executable, "-m", "sidelight_sidecar.observer"]
    try:
        with process(
            "-m", "sidelight_sidecar.relay", "--listen", f"127.0.0.1:{port}",
            "--engine", f"127.0.0.1:{engine_port}", "--",
            sys.executable, str(HERE / "keep.py"), str(frames),
            *observer, "--admin", f"127.0.0.1:{admin}", "--engine-type", "LlamaCpp", log=log,
        ) as relay:  # fmt: skip
            until("the sidecar is healthy", lambda: get(admin, "/healthz"))
            yield Sidecar(relay.pid, port, admin, frames)
    except TimeoutError as error:
        error.add_note(f"the sidecar said:\n{log.read_text()[-3000:]}")
        raise
