"""Streaming clients: many at once in one process, each stream checked to its last byte.

``python -m benchmarks.clients.streams PORT PID STREAMS MODE TOKENS`` prints one JSON object. The
streams start evenly over some beats, each on a connection of its own. Processor time of the
process PID and its children is read over the steady part: from the moment when all streams run to
the end of the first. While it runs, reads are only kept; they are understood afterwards.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from dataclasses import dataclass, field

from benchmarks.arrivals import Arrivals, BrokenStreamError, Read, arrivals
from benchmarks.engine import LAST_CHUNK, exact_timers
from benchmarks.measure import cpu_seconds, tree
from benchmarks.numbers import milliseconds
from benchmarks.workloads import BEAT_MS

BODY = (
    b'{"model":"benchmark-model","messages":[{"role":"user","content":"Tell me a story."}],'
    b'"stream_options":{"include_usage":true},"stream":true}'
)
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: benchmark\r\nContent-Type: application/json\r\n"
    b"x-bench: stream %%s %%d\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
BEAT_NS = BEAT_MS * 1_000_000
RAMP_BEATS = 27
"""Starts are spread over 27 beats: prime to every power of two, so that so many streams in mode
`spread` have so many different phases."""
PATIENCE_NS = 15_000_000_000


@dataclass
class Stream:
    """One connection, and the answer that comes on it."""

    connection: socket.socket
    asked_ns: int
    reads: list[Read] = field(default_factory=list)

    def ended(self) -> bool:
        """Whether the last chunk has come, in however many pieces."""
        tail = b"".join(data for _, data in self.reads[-5:])
        return tail.endswith(b"\r\n" + LAST_CHUNK)


class Load:
    """All streams of one run."""

    def __init__(self, port: int, pid: int, count: int, mode: str, tokens: int) -> None:
        self.port = port
        self.pids = tree(pid) if pid else []
        self.count = count
        self.tokens = tokens
        self.request = REQUEST % (mode.encode(), tokens)
        self.epoll = select.epoll()
        self.streams: dict[int, Stream] = {}
        self.finished: list[Stream] = []
        self.failed = 0
        self.silent = count
        self.steady: list[tuple[int, dict[int, float]]] = []

    def run(self) -> None:
        """Start the streams and read them to their end, or until patience ends."""
        begun = time.monotonic_ns()
        for number in range(self.count):
            due = begun + number * RAMP_BEATS * BEAT_NS // self.count
            while (ahead := due - time.monotonic_ns()) > 0:
                select.select([self.epoll], [], [], ahead / 1e9)
                self.read_all(0)
            self.start()
        limit = begun + (RAMP_BEATS + self.tokens + 2) * BEAT_NS + PATIENCE_NS
        while self.streams and time.monotonic_ns() < limit:
            self.read_all(1)

    def start(self) -> None:
        """Connect and ask."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self.epoll.register(connection, select.EPOLLIN)
        self.streams[connection.fileno()] = Stream(connection, time.monotonic_ns())
        connection.send(self.request)

    def read_all(self, wait: float) -> None:
        """Take what has come."""
        for fd, _ in self.epoll.poll(wait):
            stream = self.streams[fd]
            try:
                data = stream.connection.recv(65536)
            except OSError:
                data = b""
            stream.reads.append((time.monotonic_ns(), data))
            if len(stream.reads) == 1:
                self.heard()
            if not data:
                self.failed += 1
                self.streams.pop(fd).connection.close()
            elif (data.endswith(b"\r\n\r\n") or len(data) < 8) and stream.ended():
                self.end(self.streams.pop(fd))

    def heard(self) -> None:
        """One more stream runs; when it is the last, the steady part begins."""
        self.silent -= 1
        if not self.silent:
            self.mark()

    def end(self, stream: Stream) -> None:
        """Keep a stream that ended; the first to do so ends the steady part."""
        stream.connection.close()
        if not self.finished:
            self.mark()
        self.finished.append(stream)

    def mark(self) -> None:
        """Note the time and what the processes have used."""
        used = {pid: cpu_seconds(pid) for pid in self.pids}
        self.steady.append((time.monotonic_ns(), used))

    def result(self) -> dict[str, object]:
        """Return what was measured."""
        good: list[Arrivals] = []
        first: list[int] = []
        reasons: list[str] = []
        for stream in self.finished:
            try:
                good.append(arrivals(stream.reads, self.tokens))
                first.append(stream.reads[0][0] - stream.asked_ns)
            except BrokenStreamError as error:
                reasons.append(str(error))
        broken = self.failed + len(self.streams) + len(reasons)
        return {
            "streams": self.count,
            "sent": self.count,
            "broken": broken,
            "reasons": sorted(set(reasons))[:5],
            "events": sum(len(one.sent_ns) for one in good),
            "reads": sum(len(stream.reads) for stream in self.finished),
            "merged_reads": sum(one.merged_reads for one in good),
            **self.cpu(good),
            **milliseconds("ttft", first),
            **milliseconds("delay", [d for one in good for d in one.delays_ns()]),
            **milliseconds("gap", [d for one in good for d in one.gap_deviations_ns()]),
        }

    def cpu(self, good: list[Arrivals]) -> dict[str, float]:
        """Return the steady part's processor time for each event that arrived in it."""
        if not self.pids or len(self.steady) != 2:
            return {}
        (begin, before), (end, after) = self.steady
        events = sum(begin < at <= end for one in good for at in one.read_ns)
        used = {pid: (after[pid] - before[pid]) * 1e6 / max(1, events) for pid in self.pids}
        return {
            "steady_events": events,
            "steady_seconds": (end - begin) / 1e9,
            "cpu_us": sum(used.values()),
            "first_cpu_us": used[self.pids[0]],
        }


def main() -> None:
    """Run the streams that the command line says."""
    port, pid, count = (int(argument) for argument in sys.argv[1:4])
    exact_timers()
    load = Load(port, pid, count, sys.argv[4], int(sys.argv[5]))
    load.run()
    json.dump(load.result(), sys.stdout)


if __name__ == "__main__":
    main()
