"""Clients that ask again as soon as they are answered, on connections that stay open.

``python -m benchmarks.clients.closed_loop PORT PID CONNECTIONS PROMPT_BYTES THINK_MS SECONDS``
prints one JSON object: latency from the request's first byte sent to the answer's last byte read
(not of the first 0.2 s), and the processor time that PID and its children used for each request,
until they have come to rest again.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time

from benchmarks.measure import cpu_seconds, settled_cpu_seconds, tree
from benchmarks.numbers import milliseconds

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+) *\r\n", re.IGNORECASE)
WARM_UP_NS = 200_000_000
PATIENCE_SECONDS = 15


def request(prompt_bytes: int) -> bytes:
    """Return a chat request with a prompt of so many bytes."""
    body = (
        b'{"model":"benchmark-model","messages":[{"role":"user","content":"%s"}]}'
        % (b"Tell me more. " * (prompt_bytes // 14 + 1))[:prompt_bytes]
    )
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: benchmark\r\nContent-Type: application/json"
        b"\r\nx-bench: unary\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )


def answered(data: bytes, *, ended: bool) -> bool:
    """Whether this is the whole answer.

    Raises:
        ValueError: it is another one, or the connection has ended.
    """
    if ended:
        raise ValueError("connection closed")
    if (end := data.find(b"\r\n\r\n") + 4) < 4:
        return False
    length = LENGTH.search(data, 0, end)
    if not length or not data.startswith(b"HTTP/1.1 200 "):
        raise ValueError(data[:40].decode("latin-1"))
    if len(data) < end + int(length[1]):
        return False
    if not data.endswith(b'"total_tokens":15}}') or len(data) != end + int(length[1]):
        raise ValueError("not the answer that was sent")
    return True


class ClosedLoop:
    """The connections of one run."""

    def __init__(self, port: int, pid: int, prompt_bytes: int, think_seconds: float) -> None:
        self.port = port
        self.pids = tree(pid) if pid else []
        self.request = request(prompt_bytes)
        self.think_seconds = think_seconds
        self.epoll = select.epoll()
        self.connections: dict[int, socket.socket] = {}
        self.asked_ns: dict[int, int] = {}
        self.partial: dict[int, bytes] = {}
        self.latencies_ns: list[int] = []
        self.reasons: list[str] = []
        self.sent = 0
        self.asking = True

    def run(self, count: int, seconds: float) -> dict[str, object]:
        """Keep so many connections busy for so long."""
        before = sum(map(cpu_seconds, self.pids))
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[connection.fileno()] = connection
            self.epoll.register(connection, select.EPOLLIN)
            self.ask(connection)
        self.until(time.monotonic_ns() + WARM_UP_NS)
        self.latencies_ns.clear()
        begun = time.monotonic_ns()
        self.until(begun + int(seconds * 1e9))
        took = (time.monotonic_ns() - begun) / 1e9
        done = len(self.latencies_ns)
        self.asking = False
        self.until(time.monotonic_ns() + PATIENCE_SECONDS * 1_000_000_000)
        used = settled_cpu_seconds(self.pids) - before if self.pids else 0.0
        return {
            "connections": count,
            "sent": self.sent,
            "requests": done,
            "requests_per_second": done / took,
            "broken": len(self.reasons),
            "reasons": sorted(set(self.reasons))[:5],
            **({"cpu_us": used * 1e6 / self.sent} if self.pids else {}),
            **milliseconds("latency", self.latencies_ns),
        }

    def until(self, end_ns: int) -> None:
        """Go round until a time. A silent proxy is found out: it counts as broken."""
        while self.asked_ns and time.monotonic_ns() < end_ns:
            ready = self.epoll.poll(PATIENCE_SECONDS)
            if not ready:
                self.reasons += ["no answer"] * len(self.asked_ns)
                return
            for fd, _ in ready:
                self.read(self.connections[fd])

    def ask(self, connection: socket.socket) -> None:
        """Send the request, all of it."""
        self.asked_ns[connection.fileno()] = time.monotonic_ns()
        connection.sendall(self.request)
        self.sent += 1

    def read(self, connection: socket.socket) -> None:
        """Take an answer, and ask again."""
        fd = connection.fileno()
        try:
            data = connection.recv(65536)
            whole = self.partial.pop(fd, b"") + data
            if answered(whole, ended=not data):
                self.latencies_ns.append(time.monotonic_ns() - self.asked_ns.pop(fd))
                if self.asking:
                    if self.think_seconds:
                        time.sleep(self.think_seconds)
                    self.ask(connection)
            else:
                self.partial[fd] = whole
        except (OSError, ValueError) as error:
            self.reasons.append(str(error))
            self.asked_ns.pop(fd, None)
            self.connections.pop(fd).close()


def main() -> None:
    """Run what the command line says."""
    port, pid, count, prompt_bytes, think_ms = (int(argument) for argument in sys.argv[1:6])
    loop = ClosedLoop(port, pid, prompt_bytes, think_ms / 1000)
    json.dump(loop.run(count, float(sys.argv[6])), sys.stdout)


if __name__ == "__main__":
    main()
