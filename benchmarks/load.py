"""Streaming clients: many at once in one process, each stream checked to its last byte.

``python benchmarks/load.py PORT STREAMS REQUESTS LIMIT_SECONDS`` prints one JSON object. Streams
are started over one second; a connection makes its requests one after the other.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

BODY = (
    b'{"model":"benchmark-model","messages":[{"role":"user","content":"Tell me a story."}],'
    b'"stream_options":{"include_usage":true},"stream":true}'
)
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: benchmark\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
END = b"\r\n0\r\n\r\n"
"""No chunk of the benchmark's server holds this."""
SPREAD_SECONDS = 1.0


class Stream:
    """One connection and the answer that comes on it."""

    def __init__(self, connection: socket.socket, requests: int) -> None:
        self.connection = connection
        self.requests = requests
        self.sent_at = 0.0
        self.waiting = False
        self.tail = b""


class Load:
    """All streams, and what was measured."""

    def __init__(self, port: int, requests: int) -> None:
        self.port = port
        self.requests = requests
        self.epoll = select.epoll()
        self.streams: dict[int, Stream] = {}
        self.first: list[float] = []
        self.reads = self.merged = self.chunks = self.finished = self.broken = 0

    def start(self) -> None:
        """Open one connection and ask."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        stream = Stream(connection, self.requests)
        self.streams[connection.fileno()] = stream
        self.epoll.register(connection, select.EPOLLIN)
        self.ask(stream)

    def ask(self, stream: Stream) -> None:
        """Send the next request of a connection."""
        stream.requests -= 1
        stream.waiting = True
        stream.sent_at = time.perf_counter()
        stream.connection.send(REQUEST)

    def read(self, fd: int, now: float) -> None:
        """Take what has come on one connection."""
        stream = self.streams[fd]
        try:
            data = stream.connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.broken += 1
            self.streams.pop(fd).connection.close()
            return
        if stream.waiting:
            stream.waiting = False
            self.first.append(now - stream.sent_at)
        chunks = data.count(b"data: ")
        stream.tail = (stream.tail + data)[-len(END) :]  # the end can come in pieces
        done = stream.tail == END
        self.reads += 1
        self.chunks += chunks
        self.merged += chunks > 1 and b"[DONE]" not in data  # the last chunks are sent together
        if done:
            self.finished += 1
            if stream.requests:
                self.ask(stream)
            else:
                self.streams.pop(fd).connection.close()

    def run(self, count: int, limit: float) -> dict[str, object]:
        """Run so many streams to their end, or to the time limit."""
        begun = time.monotonic()
        started = 0
        while (started < count or self.streams) and time.monotonic() - begun < limit:
            due = begun + started * SPREAD_SECONDS / count
            if started < count and time.monotonic() >= due:
                started += 1
                self.start()
            wait = max(0.0, due - time.monotonic()) if started < count else 1.0
            for fd, _ in self.epoll.poll(wait):
                self.read(fd, time.perf_counter())
        return {
            "finished": self.finished,
            "broken": self.broken + len(self.streams),
            "chunks": self.chunks,
            "reads": self.reads,
            "merged_reads": self.merged,
            "ttft_ms": [round(value * 1000, 4) for value in sorted(self.first)],
        }


if __name__ == "__main__":
    port, streams, requests, limit = (int(argument) for argument in sys.argv[1:])
    json.dump(Load(port, requests).run(streams, limit), sys.stdout)
