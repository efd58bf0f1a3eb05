"""Short connections at a fixed rate: connect, one request, its answer, close.

``python -m benchmarks.clients.connections PORT PID RATE SECONDS`` prints one JSON object. An open
loop: each connection has its time, whatever became of those before it, and its latency counts
from that time, so that a proxy which falls behind is seen to.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from dataclasses import dataclass

from benchmarks.clients.closed_loop import answered, request
from benchmarks.engine import exact_timers
from benchmarks.measure import cpu_seconds, settled_cpu_seconds, tree
from benchmarks.numbers import milliseconds

REQUEST = request(64)
PATIENCE_NS = 15_000_000_000


@dataclass
class Visit:
    """One connection, due at a time."""

    connection: socket.socket
    due_ns: int
    data: bytes = b""


class OpenLoop:
    """The connections of one run."""

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self.epoll = select.epoll()
        self.visits: dict[int, Visit] = {}
        self.latencies_ns: list[int] = []
        self.reasons: list[str] = []

    def run(self, rate: int, seconds: float) -> None:
        """Open connections at the rate for so long, and see them to their end."""
        begun = time.monotonic_ns()
        count = int(rate * seconds)
        started = 0
        limit = begun + int(seconds * 1e9) + PATIENCE_NS
        while started < count or self.visits:
            now = time.monotonic_ns()
            if now > limit:
                return
            due = begun + started * 1_000_000_000 // rate
            if started < count and now >= due:
                started += 1
                self.start(due)
                continue
            select.select([self.epoll], [], [], (due - now) / 1e9 if started < count else 1)
            for fd, events in self.epoll.poll(0):
                self.handle(self.visits[fd], events)

    def start(self, due_ns: int) -> None:
        """Begin to connect."""
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect_ex(self.address)
        self.visits[connection.fileno()] = Visit(connection, due_ns)
        self.epoll.register(connection, select.EPOLLOUT)

    def handle(self, visit: Visit, events: int) -> None:
        """Go on with one connection."""
        try:
            if events & select.EPOLLOUT:
                visit.connection.send(REQUEST)
                self.epoll.modify(visit.connection, select.EPOLLIN)
                return
            data = visit.connection.recv(65536)
            visit.data += data
            if not answered(visit.data, ended=not data):
                return
            self.latencies_ns.append(time.monotonic_ns() - visit.due_ns)
        except (OSError, ValueError) as error:
            self.reasons.append(str(error))
        self.visits.pop(visit.connection.fileno()).connection.close()


def main() -> None:
    """Run what the command line says."""
    port, pid, rate = (int(argument) for argument in sys.argv[1:4])
    exact_timers()
    loop = OpenLoop(port)
    pids = tree(pid) if pid else []
    before = sum(map(cpu_seconds, pids))
    loop.run(rate, float(sys.argv[4]))
    used = settled_cpu_seconds(pids) - before if pids else 0.0
    done = len(loop.latencies_ns)
    result = {
        "rate": rate,
        "sent": int(rate * float(sys.argv[4])),
        "requests": done,
        "broken": len(loop.reasons) + len(loop.visits),
        "reasons": sorted(set(loop.reasons))[:5],
        **({"cpu_us": used * 1e6 / max(1, done)} if pids else {}),
        **milliseconds("latency", loop.latencies_ns),
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
