"""Whether the figures of a sidecar and of a real llama.cpp server behind it agree under load.

    python hack/agreement.py [--seconds 320] [--clients 3] [--hang-ups 0.1] [--around 0.0]

Prints what the condition MetricsAgree would say, each time that a span of time was compared, and
after it the counters of the engine. `docs/agreement.md` shows one run. `--around` sends that share
of the requests to the engine itself, past the sidecar.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sidelight_contract.summary import Summary, decode_summary
from sidelight_operator.controller.agreement import metrics_agree

SERVER = Path(__file__).parents[1] / "examples" / "llama-server" / "llama_server.py"
SHOWN = ("sidelight_engine_", "sidelight_reconciliation_")


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def process(*arguments: str) -> Iterator[None]:
    """A program of ours for the length of a block."""
    with subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL) as running:
        try:
            yield
        finally:
            running.send_signal(signal.SIGTERM)


def get(port: int, path: str) -> bytes:
    """The body of a GET; empty when there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.read() if response.status == 200 else b""
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()


def wait_for(port: int, path: str, word: bytes) -> None:
    """Poll until an answer has this word."""
    while word not in get(port, path):
        time.sleep(0.2)


def stream(port: int, draw: random.Random, *, hang_up: bool) -> None:
    """One streamed chat of random length, read to its end or left after a few chunks."""
    body = {
        "messages": [{"role": "user", "content": f"Tell of {draw.random()}."}], "stream": True,
        "max_tokens": draw.randint(5, 60), "stream_options": {"include_usage": True},
    }  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        response = connection.getresponse()
        lines = draw.randint(2, 12) if hang_up else -1
        while lines and response.readline():
            lines -= 1
    connection.close()


def load(options: argparse.Namespace, sidecar: int, engine: int, until: float) -> None:
    """Clients that send one request after the other."""

    def client(seed: int) -> None:
        draw = random.Random(seed)  # the same load each time
        while time.monotonic() < until:
            around = draw.random() < options.around
            hang_up = draw.random() < options.hang_ups
            stream(engine if around else sidecar, draw, hang_up=hang_up)

    for number in range(options.clients):
        threading.Thread(target=client, args=(number,), daemon=True).start()


def show(summary: Summary) -> None:
    """What the condition would say."""
    for _, status, reason, message in metrics_agree([summary]):
        print(f"MetricsAgree={status} ({reason}) {message}", flush=True)


def watch(admin: int, until: float) -> None:
    """Show each comparison as it comes."""
    before = (0, 0)
    while time.monotonic() < until:
        summary = decode_summary(get(admin, "/summary"))
        told = summary.reconciliation
        if (told.spans_agreed, told.spans_differed) != before:
            before = (told.spans_agreed, told.spans_differed)
            show(summary)
        time.sleep(1)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=320)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--hang-ups", type=float, default=0.1)
    parser.add_argument("--around", type=float, default=0.0)
    options = parser.parse_args()
    engine, sidecar, admin = free_port(), free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(process(
            str(SERVER), "--port", str(engine), "--metrics", "--parallel", str(options.clients),
            "--ctx-size", "4096",
        ))  # fmt: skip
        wait_for(engine, "/health", b"ok")
        stack.enter_context(process(
            "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{sidecar}",
            "--engine", f"127.0.0.1:{engine}", "--admin", f"127.0.0.1:{admin}",
        ))  # fmt: skip
        wait_for(sidecar, "/health", b"ok")  # the sidecar learns where the engine is
        wait_for(admin, "/metrics", b"sidelight_engine_up 1.0")
        until = time.monotonic() + options.seconds
        load(options, sidecar, engine, until)
        watch(admin, until + 40)
        for line in get(admin, "/metrics").decode().splitlines():
            if line.startswith(SHOWN):
                print(line)


if __name__ == "__main__":
    main()
