"""A real llama.cpp server, and what a test with it needs: processes, free ports, plain GETs."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

SERVER = Path(__file__).parents[2] / "examples" / "llama-server" / "llama_server.py"


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def get(port: int, path: str) -> bytes:
    """The body of a GET; empty when nobody answers well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
            return bytes(response.read())
    except (OSError, urllib.error.URLError):
        return b""


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that ends with the test."""
    with subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
