"""A real S3 server, which checks signatures: the one that hack/s3.sh builds. Its objects are plain
files, so a test sees what is there without a client.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from real_part import real_part

from sidelight_sidecar.coding import zstd

ROOT = Path(__file__).resolve().parents[2]
KEY, SECRET = "test-key", "right-secret"
BUCKET = "records"


class S3Server:
    """One that can be stopped and started again, with what it had."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = int(listener.getsockname()[1])
        self._folder = folder
        (folder / "data" / BUCKET).mkdir(parents=True)
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it; it answers when this returns."""
        environment = {**os.environ, "ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
        with (self._folder / "log").open("ab") as log:
            self._running = subprocess.Popen(
                [real_part("s3.sh"), "--port", f"127.0.0.1:{self._port}",
                 "posix", "--nometa", "data"],
                cwd=self._folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                assert self._running.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Kill it."""
        if self._running is not None:
            self._running.send_signal(signal.SIGKILL)
            self._running.wait(30)
            self._running = None

    def objects(self) -> dict[str, list[bytes]]:
        """By name: the lines in it."""
        root = self._folder / "data" / BUCKET
        return {
            str(path.relative_to(root)): zstd.decompress(path.read_bytes()).splitlines()
            for path in sorted(root.rglob("*.zst"))
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """One that runs."""
    made = S3Server(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
