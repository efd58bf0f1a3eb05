"""Why a request was slow, provoked with a real llama.cpp server: the autopsy names it rightly."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from real_engine import SERVER, free_port, get, process
from relay_harness import wait_for

from sidelight_contract.autopsy import Autopsy, Cause
from sidelight_contract.summary import decode_summary

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(120)]


class Engine:
    """A real llama.cpp server with two slots."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    def stop_for(self, seconds: float) -> None:
        """Let the whole process stand still: the stall itself, not a wait for something."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(self.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    pytest.importorskip("xllamacpp", reason="install it with make setup")
    port = free_port()
    arguments = ["--port", str(port), "--metrics", "--parallel", "2", "--ctx-size", "8192"]
    with process(str(SERVER), *arguments) as running:
        wait_for(lambda: get(port, "/health"), "the engine is healthy")
        yield Engine(running.pid, port)


class Sidecar:
    """A running sidecar's ports."""

    def __init__(self, port: int, admin: int) -> None:
        self.port = port
        self.admin = admin

    def autopsies(self, count: int) -> list[Autopsy]:
        """All of them, once so many requests have ended."""

        def ended() -> bool:
            summary = decode_summary(get(self.admin, "/summary"))
            return sum(part.requests for part in summary.total) >= count

        wait_for(ended, "all requests have ended")
        return decode_summary(get(self.admin, "/summary")).autopsies

    def stands(self) -> bool:
        """Whether the relay, which speaks once a second, passed nothing on for two."""
        before = decode_summary(get(self.admin, "/summary")).relay.bytes_to_client
        time.sleep(2.2)
        return decode_summary(get(self.admin, "/summary")).relay.bytes_to_client == before > 0


@pytest.fixture
def sidecar(engine: Engine) -> Iterator[Sidecar]:
    port, admin = free_port(), free_port()
    arguments = [
        "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
        "--engine", f"127.0.0.1:{engine.port}", "--admin", f"127.0.0.1:{admin}",
    ]  # fmt: skip
    with process(*arguments):
        wait_for(lambda: get(admin, "/healthz"), "the sidecar is healthy")
        yield Sidecar(port, admin)


class Chat:
    """A streamed chat on a raw socket, read as one pleases."""

    def __init__(self, port: int, words: str, tokens: int, **settings: object) -> None:
        body = json.dumps({
            "messages": [{"role": "user", "content": words}], "stream": True,
            "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
            "stream_options": {"include_usage": True}, **settings,
        }).encode()  # fmt: skip
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(head.encode() + body)
        self.received = b""

    def until(self, chunks: int) -> Chat:
        """Read so many chunks with content."""
        while self.received.count(b'"content":"') < chunks:
            data = self.socket.recv(65536)
            assert data, self.received[-300:]
            self.received += data
        return self

    def rest(self) -> None:
        """Read all."""
        while data := self.socket.recv(65536):
            self.received += data
        self.socket.close()
        assert self.received.startswith(b"HTTP/1.1 200"), self.received[:300]


def test_prompt_of_a_neighbour_that_stops_a_stream_is_named(
    engine: Engine, sidecar: Sidecar
) -> None:
    """The short one stood still until the long one's first token; it says so, with both sizes."""
    short = Chat(sidecar.port, "Count.", 24).until(4)
    long = Chat(sidecar.port, " ".join(f"rain{n}" for n in range(200)), 1)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Chat.rest, (short, long)))
    (found,) = [a for a in sidecar.autopsies(2) if (a.output_tokens or 0) == 24]
    assert found.cause == Cause.LONG_PROMPT_NEIGHBOUR, found
    assert found.stalls
    assert "rain" not in found.said


def test_own_long_prompt_is_named(engine: Engine, sidecar: Sidecar) -> None:
    """By the engine's own word on how long it computed the prompt."""
    Chat(sidecar.port, " ".join(f"snow{n}" for n in range(160)), 2).rest()
    (found,) = sidecar.autopsies(1)
    assert found.cause == Cause.LONG_PROMPT, found


def test_client_that_reads_slowly_is_named(engine: Engine, sidecar: Sidecar) -> None:
    """It reads nothing until all buffers are full (`n_probs` makes each output large), and some
    seconds more.
    """
    slow = Chat(sidecar.port, "Count.", 120, n_probs=800).until(1)
    wait_for(sidecar.stands, "the relay passes nothing on")
    time.sleep(4)  # what is provoked: a client that does not read
    slow.rest()
    (found,) = sidecar.autopsies(1)
    assert found.cause == Cause.SLOW_READER, found
    assert found.held_ms > 500


def test_full_queue_is_named(engine: Engine, sidecar: Sidecar) -> None:
    """Two slots and four requests: the last two wait until the first two are done."""
    first = [Chat(sidecar.port, f"Count to {n}.", 150).until(1) for n in range(2)]
    last = [Chat(sidecar.port, f"Count from {n}.", 4) for n in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Chat.rest, [*first, *last]))
    found = [a for a in sidecar.autopsies(4) if a.output_tokens == 4]
    assert [a.cause for a in found] == [Cause.QUEUED, Cause.QUEUED], found
    assert all((a.queue_ms or 0) > 200 for a in found)


def test_engine_that_stands_still_is_named(engine: Engine, sidecar: Sidecar) -> None:
    """Stopped for two seconds in the middle of an answer."""
    chat = Chat(sidecar.port, "Count.", 24).until(4)
    engine.stop_for(2.0)
    chat.rest()
    (found,) = sidecar.autopsies(1)
    assert found.cause == Cause.UPSTREAM_STALL, found
    assert found.stalls[0][1] >= 1500


def test_client_that_left_is_named(engine: Engine, sidecar: Sidecar) -> None:
    """In the middle of the answer."""
    Chat(sidecar.port, "Count.", 200).until(3).socket.close()
    (found,) = sidecar.autopsies(1)
    assert (found.cause, found.error) == (Cause.CLIENT_LEFT, "client_disconnect")
