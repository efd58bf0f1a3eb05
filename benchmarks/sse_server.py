"""An engine that costs little: streams of chat chunks on a fixed beat, one process, one epoll.

``python benchmarks/sse_server.py PORT CHUNKS INTERVAL_MS``. Any request is answered with the
headers and the role chunk at once, then one chunk at each beat, then finish, usage, ``[DONE]``.
All streams get their chunk at the same beat, as tokens leave an engine that batches.
"""

from __future__ import annotations

import select
import socket
import sys
import time

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
EVENT = (
    b'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk",'
    b'"created":1763942400,"model":"benchmark-model","choices":[{"index":0,"delta":{%s},'
    b'"logprobs":null,"finish_reason":%s,"token_ids":null}]%s}\n\n'
)
USAGE = b',"usage":{"prompt_tokens":9,"completion_tokens":%d,"total_tokens":%d}'
END_OF_REQUEST = b'"stream":true}'


def chunk(data: bytes) -> bytes:
    """Return one chunk of HTTP/1.1's chunked coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


FIRST = HEAD + chunk(EVENT % (b'"role":"assistant","content":""', b"null", b""))
TOKEN = chunk(EVENT % (b'"content":" token"', b"null", b""))


def last(count: int) -> bytes:
    """Return what ends a stream of so many tokens."""
    finish = chunk(EVENT % (b"", b'"stop"', b""))
    usage = chunk(EVENT % (b"", b"null", USAGE % (count, count + 9)))
    return finish + usage + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Server:
    """Connections, and the streams that run on them."""

    def __init__(self, port: int, count: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.connections: dict[int, socket.socket] = {}
        self.streams: dict[int, int] = {}
        self.count = count
        self.last = last(count)

    def serve(self, interval: float) -> None:
        """Answer until killed."""
        beat = time.monotonic() + interval
        while True:
            for fd, _ in self.epoll.poll(max(0.0, beat - time.monotonic())):
                if fd == self.listener.fileno():
                    self.accept()
                else:
                    self.read(fd)
            if time.monotonic() >= beat:
                beat += interval
                self.tick()

    def accept(self) -> None:
        """Take every connection that waits."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[connection.fileno()] = connection
            self.epoll.register(connection, select.EPOLLIN)

    def read(self, fd: int) -> None:
        """Start a stream when a request has come; forget a connection that ended."""
        connection = self.connections[fd]
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.streams.pop(fd, None)
            self.connections.pop(fd).close()
        elif data.endswith(END_OF_REQUEST):
            connection.send(FIRST)
            self.streams[fd] = self.count

    def tick(self) -> None:
        """Send every stream its next chunk."""
        for fd, left in list(self.streams.items()):
            try:
                self.connections[fd].send(TOKEN if left else self.last)
            except OSError:
                continue  # the reader is told of the end by the next read
            if left:
                self.streams[fd] = left - 1
            else:
                del self.streams[fd]


if __name__ == "__main__":
    Server(int(sys.argv[1]), int(sys.argv[2])).serve(int(sys.argv[3]) / 1000)
