"""Fixtures that are recorded: a real llama.cpp behind `sidelight-sidecar record`.

Every request has a connection of its own, so that one recording falls apart into fixtures by flow.
Clocks are moved to nought and addresses made the same; nothing else is changed.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidelight_sidecar.frames import codec
from sidelight_sidecar.frames.codec import encode
from sidelight_sidecar.frames.file import FrameFileReader

SERVER = Path(__file__).parents[1] / "examples" / "llama-server" / "llama_server.py"
ADDRESSES = b'{"client":"127.0.0.1:1","engine":"127.0.0.1:2"}'
DEADLINE_SECONDS = 60.0

_CHAT = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 6, "seed": 1}
_PROMPT = {"prompt": "The sea is", "n_predict": 5, "seed": 1}
_STREAM = {"stream": True}
REQUESTS: dict[str, tuple[str, dict[str, object]]] = {
    "llamacpp_chat": ("/v1/chat/completions", _CHAT),
    "llamacpp_chat_stream": (
        "/v1/chat/completions",
        {**_CHAT, **_STREAM, "stream_options": {"include_usage": True}},
    ),
    "llamacpp_chat_stream_timings_alone": ("/v1/chat/completions", {**_CHAT, **_STREAM}),
    "llamacpp_completions": ("/v1/completions", {"prompt": "The sea is", "max_tokens": 5, "n": 2}),
    "llamacpp_native": ("/completion", _PROMPT),
    "llamacpp_native_stream": ("/completion", {**_PROMPT, **_STREAM}),
    "llamacpp_native_two_prompts_stream": (
        "/completions",
        {**_PROMPT, **_STREAM, "prompt": ["The sea is", "The sky is"]},
    ),
    "llamacpp_messages_stream": ("/v1/messages", {**_CHAT, **_STREAM, "model": "smollm2"}),
    "llamacpp_responses_stream": (
        "/v1/responses",
        {"input": "Say hello.", "max_output_tokens": 6, **_STREAM},
    ),
    "llamacpp_context_overflow": ("/completion", {"prompt": "word " * 1200}),
    "llamacpp_no_embeddings": ("/v1/embeddings", {"input": "x"}),
    "llamacpp_client_aborts": ("/completion", {**_STREAM, "prompt": "The sea is", "n_predict": 64}),
}


def record() -> dict[str, bytes]:
    """The frames of each fixture."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames"
        engine, port = _free_port(), _free_port()
        with (
            _running(str(SERVER), "--port", str(engine), "-np", "2"),
            _running(
                "-m", "sidelight_sidecar", "record", "--listen", f"127.0.0.1:{port}",
                "--engine", f"127.0.0.1:{engine}", str(path),
            ),
        ):  # fmt: skip
            _wait_for(engine)
            _wait_for(port)
            for name, (target, body) in REQUESTS.items():
                _ask(port, target, body, abort=name.endswith("_aborts"))
        return dict(zip(REQUESTS, list(_flows(path))[-len(REQUESTS) :], strict=True))


def _ask(port: int, target: str, body: dict[str, object], *, abort: bool) -> None:
    data = json.dumps(body).encode()
    head = (
        f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(head.encode() + data)
        reads = 0
        while connection.recv(1 << 16):
            reads += 1
            if abort and reads == 4:
                linger = struct.pack("ii", 1, 0)  # a reset, as a killed client's
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return


def _flows(path: Path) -> Iterator[bytes]:
    """Each flow's frames, from nought on; those of waiting come first."""
    flows: dict[int, list[codec.Frame]] = {}
    with path.open("rb") as file:
        for frame in FrameFileReader(file):
            if frame[1] != codec.STATS:
                flows.setdefault(frame[0], []).append(frame)
    for frames in flows.values():
        start = frames[0][2]
        yield b"".join(
            encode(1, kind, at - start, delay, ADDRESSES if kind == codec.OPEN else payload)
            for _, kind, at, delay, payload in frames
        )


@contextmanager
def _running(*arguments: str) -> Iterator[None]:
    with subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(DEADLINE_SECONDS)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
