"""Processes beside the test, for more connections than one process may have descriptors."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

ECHO = """
import resource, select, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
listener.setblocking(False)
epoll = select.epoll()
epoll.register(listener, select.EPOLLIN)
epoll.register(0, select.EPOLLIN)
print(listener.getsockname()[1], flush=True)
connections = {}
while True:
    for fd, _ in epoll.poll():
        if fd == 0:
            sys.exit()
        if fd != listener.fileno():
            data = connections[fd].recv(65536)
            if data:
                connections[fd].sendall(data)
            else:
                connections.pop(fd).close()
            continue
        with __import__("contextlib").suppress(BlockingIOError):
            while True:
                connection, _ = listener.accept()
                connections[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
"""

IDLE = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connections = []
for _ in range(count):
    connections.append(socket.create_connection((host, port)))
    connections[-1].sendall(b"here")
for connection in connections:
    assert connection.recv(4, socket.MSG_WAITALL) == b"here"
print("all here", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def helper(program: str, *arguments: object) -> Iterator[str]:
    """Run a program for the length of a block; yield its first line. It ends with its stdin."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(30)


@contextlib.contextmanager
def echo_engine() -> Iterator[list[object]]:
    """Run an engine that sends back what it gets; yield its address."""
    with helper(ECHO) as port:
        yield ["127.0.0.1", int(port)]


@contextlib.contextmanager
def idle_clients(address: tuple[str, int], count: int) -> Iterator[None]:
    """Hold so many connections open, each of which was served once."""
    with helper(IDLE, *address, count) as line:
        assert line == "all here"
        yield
