"""The real relay and the real observer, between a hostile client and a hostile engine."""

from __future__ import annotations

import contextlib
import gzip
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random

import brotli
import hostile
import pytest
from fuzzing import Fuzzer
from hostile import MIB, PREFACE, SETTINGS, h2_frame, post
from inputs import Record
from relay_harness import SECONDS, wait_for

from sidelight_contract.summary import Summary, decode_summary
from sidelight_sidecar.coding import zstd
from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.app import MEMORY_LIMIT_MIB

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HELD = 300
"""Connections that stay open with something unfinished, while the others come and go."""
MUTATED = 30
IDLE_LOOKS = 8
"""Looks, 2 ms apart, that find the observer asleep: the relay hands over frames within 10 ms."""
SSE = b"text/event-stream"
_RANDOM = Random(3)


def head(content_type: bytes, *more: bytes) -> bytes:
    """Of an answer that lasts until the connection ends."""
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Type: " + content_type, *more, b"", b""])


def coded(coding: bytes, body: bytes) -> bytes:
    """An event stream in a content coding."""
    return head(SSE, b"Content-Encoding: " + coding) + body


CHAT = post("/v1/chat/completions")
JSON = b"application/json"
EVENTS = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
CALLS = [{"index": n, "id": f"{n}", "function": {"name": "f"}} for n in range(1_000)]
ODD_MODELS = b"".join(
    b'data: {"model":%s,"choices":[{"index":%s,"delta":{}}]}\n\n' % (value, value)
    for value in (b"1", b"[]", b"{}", b'"\\u0000"', b"9" * 4_000, b'"' + b"m" * 900_000 + b'"')
)
NO_TEXT = EVENTS.replace(b'"a"', b'"\xff\xfe\0\xed\xa0"')
_ASKS = b"\x83\x86\x84\x41\x01x"
STREAMS = [h2_frame(1, 5, 2 * n + 1, _ASKS) for n in range(50_000)]
RESETS = [STREAMS[n] + h2_frame(3, 0, 2 * n + 1, bytes(4)) for n in range(10_000)]
GREETING = PREFACE + SETTINGS

TALKS: dict[str, tuple[bytes, bytes]] = {
    "random bytes": (_RANDOM.randbytes(MIB), _RANDOM.randbytes(MIB)),
    "random bytes after a head": (CHAT, head(SSE) + _RANDOM.randbytes(MIB)),
    "gzip bomb": (CHAT, coded(b"gzip", gzip.compress(bytes(64 * MIB), 6))),
    "brotli bomb": (CHAT, coded(b"br", brotli.compress(bytes(256 * MIB), quality=3))),
    "zstd bomb": (CHAT, coded(b"zstd", zstd.compress(bytes(256 * MIB), 1))),
    "a million events in gzip": (CHAT, coded(b"gzip", gzip.compress(b"data: 1\n\n" * 10**6, 6))),
    "a million events": (CHAT, head(SSE) + b"data:1\n\n" * 10**6),
    "an event without end": (CHAT, head(SSE) + b"data: " + b"x" * 4 * MIB),
    "a line without end": (post("/api/chat"), head(b"application/x-ndjson") + b"{" * 4 * MIB),
    "a chunk's size": (CHAT, head(SSE, b"Transfer-Encoding: chunked") + b"0" * 2 * MIB),
    "a header without end": (CHAT, b"HTTP/1.1 200 OK\r\nx: " + b"x" * 2 * MIB),
    "a request's header without end": (b"GET / HTTP/1.1\r\nx: " + b"x" * 2 * MIB, b""),
    "headers without number": (CHAT, b"HTTP/1.1 200 OK\r\n" + b"x:y\r\n" * 200_000),
    "deep JSON": (CHAT, head(JSON) + b'{"a":' * 100_000),
    "a long number": (CHAT, head(JSON) + b'{"id":' + b"9" * 1_000_000 + b"}"),
    "empty lists": (CHAT, head(JSON) + b"[" + b"[]," * 1_300_000 + b"0]"),
    "a long model": (CHAT, head(JSON) + b'{"choices":[],"model":"' + b"m" * 4_000_000 + b'"}'),
    "odd models": (CHAT, head(SSE) + ODD_MODELS),
    "a thousand calls": (CHAT, head(SSE) + hostile.delta(tool_calls=CALLS)),
    "lines that end in CR": (CHAT, head(SSE) + EVENTS.replace(b"\n", b"\r") * 10_000),
    "no UTF-8, and NULs": (CHAT, head(SSE) + NO_TEXT * 1_000),
    "4 GB": (post("/a.B/C"), head(b"application/grpc") + b"\0\xff\xff\xff\xff" + bytes(MIB)),
    "pipelined without answers": (post("/v1/messages", b"{}") * 10_000, b""),
    "streams without answers": (GREETING + b"".join(STREAMS), SETTINGS),
    "reset as soon as open": (GREETING + b"".join(RESETS), SETTINGS * 50_000),
    "continuations": (GREETING + h2_frame(1, 0, 1, b"\x83") + h2_frame(9, 0, 1) * 50_000, SETTINGS),
}
ANSWERS = [
    _RANDOM.randbytes(100_000),
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(64 * MIB), 6),
    b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,
    b"HTTP/1.1 200 OK\r\n\r\n" + b"vllm:num_requests_waiting 0\nvllm:num_requests_waiting nan\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 3 * MIB,
    b'HTTP/1.1 200 OK\r\n\r\n{"count":18446744073709551615,"tokens":7}',
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nx",
    b"HTTP/1.1 302 F\r\nLocation: http://[\r\n\r\n",
]
"""What the engine says when the observer itself asks it something."""
LAST = (
    post("/v1/embeddings", b"{}"),
    head(b"application/json") + b'{"model":"e","usage":{"prompt_tokens":1}}',
)


def sides_of(records: list[Record]) -> tuple[bytes, bytes]:
    """What each side of a fuzzer's records sends, whatever the flow."""
    sides = [
        b"".join([record.payload for record in records if record.kind == kind])
        for kind in (codec.CLIENT_BYTES, codec.ENGINE_BYTES)
    ]
    return sides[0], sides[1]


def receive(connection: socket.socket, into: list[bytes]) -> None:
    """Read to the end; a reset shows in what is missing."""
    digest = sha256()
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(1 << 16):
            digest.update(data)
    into.append(digest.digest())


def send(connection: socket.socket, data: bytes, size: int = 1 << 20) -> None:
    """Send, and end this side."""
    for start in range(0, len(data), size):
        connection.sendall(data[start : start + size])
    connection.shutdown(socket.SHUT_WR)


def _belongs_to(pid: int, port: int) -> bool:
    """Whether a process holds the connection from this local port."""
    sockets = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}")
    }
    names = {f"socket:[{inode}]" for inode in sockets}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            if str(link.readlink()) in names:
                return True
    return False


class World:
    """A sidecar, and a listener in the engine's place."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._of_relay: queue.Queue[socket.socket] = queue.Queue()
        self.asked = 0
        with (
            socket.create_server(("127.0.0.1", 0)) as one,
            socket.create_server(("127.0.0.1", 0)) as two,
        ):
            self.port, self.admin = one.getsockname()[1], two.getsockname()[1]
        engine = self.listener.getsockname()[1]
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "sidelight_sidecar", "run",
                "--listen", f"127.0.0.1:{self.port}", "--engine", f"127.0.0.1:{engine}",
                "--admin", f"127.0.0.1:{self.admin}",
            ],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        wait_for(self._healthy, "the sidecar is healthy")

    def _accept(self) -> None:
        """Connections are the relay's; or the observer's, which asks the engine by itself."""
        with contextlib.suppress(OSError):
            while True:
                connection, address = self.listener.accept()
                connection.settimeout(SECONDS)
                if _belongs_to(self.process.pid, address[1]):
                    self._of_relay.put(connection)
                else:
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        self.asked += 1
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(ANSWERS[self.asked % len(ANSWERS)])

    def _healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self._get("/healthz"))
        return False

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=20) as answer:
            return bytes(answer.read())

    def summary(self) -> Summary:
        """What the sidecar says."""
        return decode_summary(self._get("/summary"))

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Both ends of a connection through the relay."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        engine = self._of_relay.get(timeout=SECONDS)
        for end in (client, engine):
            end.settimeout(SECONDS)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client, engine

    def arrives_unchanged(self, up: bytes, down: bytes, size: int = 1 << 20) -> bool:
        """Send both ways at once; say whether what came is what was sent."""
        client, engine = self.pair()
        at_engine: list[bytes] = []
        at_client: list[bytes] = []
        with client, engine:
            threads = [
                threading.Thread(target=send, args=(client, up)),
                threading.Thread(target=receive, args=(engine, at_engine)),
                threading.Thread(target=send, args=(engine, down, size)),
                threading.Thread(target=receive, args=(client, at_client)),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(SECONDS)
        return [*at_engine, *at_client] == [sha256(up).digest(), sha256(down).digest()]

    def observer(self) -> tuple[int, float]:
        """The observer's process, and the most MiB that it has weighed."""
        pid = self.process.pid
        child = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        status = Path(f"/proc/{child}/status").read_text()
        return child, int(status.split("VmHWM:")[1].split()[0]) / 1024

    def settle(self) -> None:
        """Wait until the observer has nothing to do, for as long as the relay keeps frames."""
        child, _ = self.observer()
        idle = 0

        def sleeps() -> bool:
            nonlocal idle
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
            idle = idle + 1 if state == "S" else 0
            return idle > IDLE_LOOKS

        wait_for(sleeps, "the observer has nothing to do")

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(SECONDS)
        self.listener.shutdown(socket.SHUT_RDWR)  # which ends `accept` too
        self._acceptor.join(SECONDS)
        self.listener.close()


@pytest.fixture
def world() -> Iterator[World]:
    """A sidecar of its own."""
    world = World()
    try:
        yield world
    finally:
        world.close()


def embeddings(world: World) -> int:
    """Requests for embeddings that the observer has counted."""
    return sum([t.requests for t in world.summary().total if t.operation == "embeddings"])


def observer_has_caught_up(world: World) -> bool:
    """Send one plain request more; say whether the observer has seen it or one like it."""
    assert world.arrives_unchanged(*LAST)
    deadline = time.monotonic() + 2
    while not embeddings(world) and time.monotonic() < deadline:
        time.sleep(0.05)
    return embeddings(world) > 0


def test_traffic_passes_unchanged_and_the_observer_lives(world: World) -> None:
    """Every byte of every talk arrives, in both directions; the observer is the one that began, and
    saw most of it: where it fell behind, that connection was given up, not the traffic. What the
    engine answers to the observer's own questions is no better.
    """
    first, _ = world.observer()
    begun = CHAT + post("/v1/messages", b"{", length=MIB)
    held = [world.pair() for _ in range(HELD)]
    for client, engine in held:
        client.sendall(begun)
        engine.sendall(head(SSE) + b"data: " + b"x" * 30_000)
    world.settle()
    for name, (up, down) in TALKS.items():
        assert world.arrives_unchanged(up, down), name
        world.settle()
    event = b"data: " + b"x" * 10_000 + b"\n\n"
    assert world.arrives_unchanged(CHAT, head(SSE) + event, size=1)
    fuzzer = Fuzzer(9)
    for number in range(MUTATED):
        assert world.arrives_unchanged(*sides_of(fuzzer.made())), f"made up, {number}"
        world.settle()
    for client, engine in held:
        client.close()
        engine.close()
    wait_for(lambda: observer_has_caught_up(world), "the observer has caught up")
    assert world.asked
    last, heaviest = world.observer()
    assert last == first
    assert world.summary().relay.observer_starts == 1
    assert heaviest < 0.75 * MEMORY_LIMIT_MIB
    assert all(len(traffic.model) <= 128 for traffic in world.summary().total)
    assert world.summary().relay.flows_gapped_queue_full < len(TALKS) // 2
