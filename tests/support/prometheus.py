"""A real Prometheus, and its promtool: those on PATH, else what hack/prometheus.sh fetches."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@cache
def programs() -> Path:
    """The folder of both."""
    found = subprocess.run(
        [ROOT / "hack/prometheus.sh"], capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, f"no promtool on PATH, and hack/prometheus.sh: {found.stderr}"
    return Path(found.stdout.strip())


def promtool(*arguments: str, given: bytes = b"") -> tuple[int, str]:
    """Its exit status, and all that it said."""
    done = subprocess.run(
        [programs() / "promtool", *arguments],
        input=given, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode()


class Prometheus:
    """One that runs."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str, **parameters: str) -> Any:
        """What its API answers."""
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self._port}{path}?{query}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)["data"]

    def until(self, expression: str, *, seconds: float = 30) -> list[Any]:
        """The result of an expression, as soon as there is one."""

        def ask() -> list[Any]:
            found: list[Any] = self.get("/api/v1/query", query=expression)["result"]
            return found

        return until(ask, expression, seconds)


def until(ask: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """What is asked for, as soon as it is there."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if found := ask():
                return found
        assert time.monotonic() < deadline, f"not there in {seconds} s: {what}"
        time.sleep(0.2)


@contextlib.contextmanager
def prometheus(folder: Path, target: str, rules: str) -> Iterator[Prometheus]:
    """One that scrapes `target` each second, and evaluates rules as often."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    (folder / "rules.yaml").write_text(rules)
    (folder / "prometheus.yaml").write_text(
        f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: sidecar
    sample_limit: 25000
    static_configs:
      - targets: ["{target}"]
        labels: {{namespace: llm, inference_service: chat}}
"""
    )
    command = [
        str(programs() / "prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=error",
    ]
    with subprocess.Popen(command, cwd=folder) as running:
        try:
            yield Prometheus(port)
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
