"""An engine that costs little: one process, one epoll, every kind of answer that is measured.

``python -m benchmarks.engine PORT INTERVAL_MS``. A request says in the header ``x-bench`` what it
wants: ``stream spread|batch COUNT`` (the role chunk at once, COUNT chunks on a beat, then finish,
usage and ``[DONE]`` together) or ``unary``. In ``batch`` all streams get their chunk at the same
beat, as tokens leave an engine that batches; in ``spread`` each stream keeps the beat of its own
start. Every event carries the monotonic time at which it was sent (``arrivals.py`` reads it).
"""

from __future__ import annotations

import re
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
EVENT = (
    b'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk",'
    b'"created":1763942400,"model":"benchmark-model","system_fingerprint":"at-%%019d",'
    b'"choices":[%s]%s}\n\n'
)
CHOICE = b'{"index":0,"delta":{%s},"logprobs":null,"finish_reason":%s}'
USAGE = b',"usage":{"prompt_tokens":9,"completion_tokens":%d,"total_tokens":%d}'
DONE = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"
ANSWER = (
    b'{"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion",'
    b'"created":1763942400,"model":"benchmark-model","choices":[{"index":0,"message":{"role":'
    b'"assistant","content":"An answer of a few words."},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15}}'
)
UNARY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(ANSWER),
    ANSWER,
)
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
WANTED = re.compile(rb"\r\nx-bench: *(unary|stream (?:spread|batch) \d+) *\r\n", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+) *\r\n", re.IGNORECASE)


def chunk(data: bytes) -> bytes:
    """Return one chunk of HTTP/1.1's chunked coding, with room for the time of each event."""
    length = len(data) + data.count(b"%019d") * (19 - len(b"%019d"))
    return b"%x\r\n%s\r\n" % (length, data)


FIRST = STREAM_HEAD + chunk(EVENT % (CHOICE % (b'"role":"assistant","content":""', b"null"), b""))
TOKEN = chunk(EVENT % (CHOICE % (b'"content":" token"', b"null"), b""))


def ending(count: int) -> bytes:
    """Return what ends a stream of so many tokens; it has room for two times."""
    finish = chunk(EVENT % (CHOICE % (b"", b'"stop"'), b""))
    usage = chunk(EVENT % (b"", USAGE % (count, count + 9)))
    return finish + usage + chunk(DONE) + LAST_CHUNK


class Connection:
    """One connection: the request that is being read, and the stream that runs on it."""

    __slots__ = ("count", "head", "left", "missing", "open", "socket", "wanted")

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.open = True
        self.head = b""
        self.missing = 0
        self.wanted: list[bytes] = []
        self.count = self.left = 0

    def send(self, data: bytes) -> None:
        """Send at once; whoever does not read is cut off, which the benchmark reports."""
        try:
            whole = self.socket.send(data) == len(data)
        except OSError:
            whole = False
        if not whole:
            self.close()

    def close(self) -> None:
        """Forget it."""
        self.open = False
        self.socket.close()

    def complete(self, data: bytes) -> bool:
        """Take what came of a request; say whether it is whole. No pipelining here."""
        if self.missing:
            self.missing -= len(data)
            return self.missing == 0
        data = self.head + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self.head = data
            return False
        self.head = b""
        wanted, length = WANTED.search(data, 0, end), LENGTH.search(data, 0, end)
        self.wanted = wanted[1].split() if wanted and length else []
        self.missing = end + int(length[1]) - len(data) if length else 0
        return self.missing == 0


class Engine:
    """All connections, and the beats that are due, the next one first."""

    def __init__(self, port: int, interval_ns: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.connections: dict[int, Connection] = {}
        self.interval_ns = interval_ns
        self.due: deque[tuple[int, Connection]] = deque()
        """Sorted, for a beat is appended a fixed time, or a grid point, ahead; spread and batch
        never run at the same time."""

    def serve(self) -> None:
        """Answer until killed."""
        while True:
            self.wait()
            for fd, _ in self.epoll.poll(0):
                if fd == self.listener.fileno():
                    self.accept()
                else:
                    self.read(self.connections[fd])
            self.beat()

    def wait(self) -> None:
        """Sleep to the next beat or event; `select` does so to the microsecond, epoll to the ms."""
        if not self.due:
            select.select([self.epoll], [], [])
        elif (ahead := self.due[0][0] - time.monotonic_ns()) > 0:
            select.select([self.epoll], [], [], ahead / 1e9)

    def accept(self) -> None:
        """Take every connection that waits."""
        while True:
            try:
                accepted, _ = self.listener.accept()
            except BlockingIOError:
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[accepted.fileno()] = Connection(accepted)
            self.epoll.register(accepted, select.EPOLLIN)

    def read(self, connection: Connection) -> None:
        """Answer a request that is whole; forget a connection that ended."""
        if not connection.open:
            return
        try:
            data = connection.socket.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            connection.close()
        elif connection.complete(data):
            self.answer(connection)

    def answer(self, connection: Connection) -> None:
        """Give what the request wants."""
        wanted = connection.wanted
        if not wanted:
            connection.send(REFUSAL)
        elif len(wanted) == 1:
            connection.send(UNARY)
        else:
            now = time.monotonic_ns()
            connection.send(FIRST % now)
            connection.count = connection.left = int(wanted[2])
            due = now + self.interval_ns
            if wanted[1] == b"batch":  # the next beat of all that is half an interval away
                due = (due + self.interval_ns // 2) // self.interval_ns * self.interval_ns
            self.due.append((due, connection))

    def beat(self) -> None:
        """Send every stream whose time has come its next chunk."""
        now = time.monotonic_ns()
        while self.due and self.due[0][0] <= now:
            due, connection = self.due.popleft()
            now = time.monotonic_ns()
            if not connection.open:
                continue
            if connection.left:
                connection.left -= 1
                connection.send(TOKEN % now)
                self.due.append((due + self.interval_ns, connection))
            else:
                connection.send(ending(connection.count) % (now, now))


def exact_timers() -> None:
    """Ask the kernel to wake this process when it says, not up to 50 us later."""
    Path("/proc/self/timerslack_ns").write_text("1000")


if __name__ == "__main__":
    exact_timers()
    Engine(int(sys.argv[1]), int(sys.argv[2]) * 1_000_000).serve()
