"""The independent client: raw sockets in one loop, every read with two times.

Rules:
1. Nothing is parsed while it runs but the framing of HTTP, so that the loop is back at its wait
   soon; what the answers say is read afterwards.
2. The time of a read is the monotonic clock after it. Beside it stands when the kernel got the last
   of its bytes (SO_TIMESTAMPNS), which does not depend on when this process got a core.
3. It runs before others (SCHED_FIFO) where that is allowed: it is the instrument.
4. The relay's processor time is read (`/proc/PID/schedstat`: nanoseconds on a core, and waiting for
   one) when a request is sent and when its answer begins: so much it can have been late, and no
   more.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.accuracy.asks import Ask
from benchmarks.accuracy.wire import Answer, Read

SO_TIMESTAMPNS = 35
READ_BYTES = 1 << 16
BRACKET_NS = 20_000
"""The two clocks are read within this, or again."""
AFTER_LEAVING_NS = 100_000_000
DEADLINE_SECONDS = 300
_connections = itertools.count(1)


@dataclass(slots=True)
class Seen:
    """What the client saw of one request.

    Attributes:
        port: the client's own, by which the connection is known on the other side.
        connection: number of the connection; the same for requests on one.
        sending_ns: before its bytes were given to the kernel.
        sent_ns: after that.
        relay_ns: the relay's time on a core or waiting for one, from sending to the answer's begin.
        left_ns: before the client hung up; 0: it did not.
        relay_after_ns: the relay's time again, in the tenth of a second after that.
        broken_ns: when the connection was found to have ended within the answer; 0: it was not.
        own_ns: how long this process was on a core or waited for one, since it last waited for
            anything to come, until then.
        events: `data:` lines so far, for the sake of leaving.
    """

    ask: Ask
    port: int
    connection: int
    answer: Answer
    sending_ns: int = 0
    sent_ns: int = 0
    relay_ns: int = 0
    left_ns: int = 0
    relay_after_ns: int = 0
    broken_ns: int = 0
    own_ns: int = 0
    events: int = 0
    reads: list[Read] = field(default_factory=list)


class _Slot:
    """One connection at a time, one request at a time."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.socket: socket.socket | None = None
        self.port = 0
        self.connection = 0
        self.received = 0
        self.seen: Seen | None = None


class Client:
    """Asks at so many places at once.

    Args:
        address: of the sidecar.
        relay_pid: its relay's process.
        slots: how many requests are open at once.
    """

    def __init__(self, address: tuple[str, int], relay_pid: int, slots: int) -> None:
        self._address = address
        self._relay = os.open(f"/proc/{relay_pid}/schedstat", os.O_RDONLY)
        self._own = os.open(f"/proc/{os.getpid()}/schedstat", os.O_RDONLY)
        self._own_ns = 0
        self._slots = [_Slot(number) for number in range(slots)]
        self._selector = selectors.DefaultSelector()
        self._left: list[Seen] = []  # whose `relay_after_ns` is still to be taken
        self.log: list[Seen] = []

    def run(self, asks: Sequence[Ask]) -> list[Seen]:
        """Send them all; return what was seen, in the order of sending."""
        waiting = list(reversed(asks))
        begun = len(self.log)
        deadline = time.monotonic() + DEADLINE_SECONDS
        with _undisturbed():
            while True:
                for slot in self._slots:
                    if slot.seen is None and waiting:
                        self._send(slot, waiting.pop())
                open_ = [slot for slot in self._slots if slot.seen is not None]
                if not open_ and not self._left:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(open_)} requests without an end")
                self._wait(open_)
                self._look_after()
        return self.log[begun:]

    def close(self) -> None:
        """Let go of connections that were kept."""
        for slot in self._slots:
            self._drop(slot)
        self._selector.close()
        os.close(self._relay)
        os.close(self._own)

    def _relay_ns(self) -> int:
        return _on_or_for_a_core_ns(self._relay)

    def _connect(self, slot: _Slot) -> None:
        slot.socket = connection = socket.create_connection(self._address, timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ, slot)
        slot.port, slot.connection = connection.getsockname()[1], next(_connections)
        slot.received = 0

    def _send(self, slot: _Slot, ask: Ask) -> None:
        if slot.socket is None:
            self._connect(slot)
        assert slot.socket is not None
        request = (
            f"{ask.method} {ask.path} HTTP/1.1\r\nHost: engine\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(ask.body)}\r\n\r\n"
        ).encode() + ask.body
        seen = Seen(ask, slot.port, slot.connection, Answer(slot.received))
        seen.relay_ns = self._relay_ns()
        seen.sending_ns = time.monotonic_ns()
        self.log.append(seen)
        try:
            sent = slot.socket.send(request)
        except (ConnectionResetError, BrokenPipeError):  # nobody is there
            seen.sent_ns = seen.broken_ns = time.monotonic_ns()
            self._drop(slot)
            return
        if sent != len(request):
            raise OSError("a request did not fit into the socket")
        seen.sent_ns = time.monotonic_ns()
        slot.seen = seen

    def _look_after(self) -> None:
        """Take the relay's time where somebody left a while ago."""
        while self._left and time.monotonic_ns() - self._left[0].left_ns > AFTER_LEAVING_NS:
            seen = self._left.pop(0)
            seen.relay_after_ns = self._relay_ns() - seen.relay_after_ns

    def _wait(self, open_: list[_Slot]) -> None:
        """Until something comes, or it is time for somebody to leave."""
        leaving = [slot for slot in open_ if slot.seen and slot.seen.ask.leave_after_ns]
        due = [slot.seen.sent_ns + slot.seen.ask.leave_after_ns for slot in leaving if slot.seen]
        wait = min([0.1, *((at - time.monotonic_ns()) / 1e9 for at in due)])
        self._own_ns = _on_or_for_a_core_ns(self._own)
        for key, _ in self._selector.select(max(0.0, wait)):
            self._read(key.data)
        for slot, at in zip(leaving, due, strict=True):
            if slot.seen is not None and time.monotonic_ns() >= at:
                self._leave(slot)

    def _read(self, slot: _Slot) -> None:
        """One read; what ends the answer, or the client's patience, is seen to."""
        assert slot.socket is not None
        try:
            data, ancillary, _, _ = slot.socket.recvmsg(READ_BYTES, 64)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data, ancillary = b"", []
        seen = slot.seen
        if not data or seen is None:
            if seen is not None:
                seen.broken_ns = time.monotonic_ns()
                seen.own_ns = _on_or_for_a_core_ns(self._own) - self._own_ns
                slot.seen = None
            self._drop(slot)
            return
        user_ns, kernel_ns = _times(ancillary)
        slot.received += len(data)
        read = Read(user_ns, kernel_ns, slot.received)
        if not seen.reads:
            seen.relay_ns = self._relay_ns() - seen.relay_ns
        seen.reads.append(read)
        seen.answer.feed(data, read)
        seen.events += data.count(b"data: ")
        if seen.answer.done:
            slot.seen = None
            if seen.answer.closes or not seen.ask.keep:
                self._drop(slot)
        elif 0 < seen.ask.leave_after_events <= seen.events and not seen.left_ns:
            self._leave(slot)

    def _leave(self, slot: _Slot) -> None:
        """Hang up, after a last look at what is there: nothing that had come may be lost."""
        seen = slot.seen
        assert seen is not None
        assert slot.socket is not None
        seen.left_ns = 1  # the look may not lead back here
        while slot.seen is not None and _waits(slot.socket):
            self._read(slot)
        if slot.seen is None:
            seen.left_ns = 0  # it had ended
            return
        if not seen.reads:
            seen.relay_ns = self._relay_ns() - seen.relay_ns
        seen.relay_after_ns = self._relay_ns()
        self._left.append(seen)
        seen.left_ns = time.monotonic_ns()
        if seen.ask.resets:
            slot.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        slot.seen = None
        self._drop(slot)

    def _drop(self, slot: _Slot) -> None:
        if slot.socket is not None:
            self._selector.unregister(slot.socket)
            slot.socket.close()
            slot.socket = None


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let nothing come between the loop and what it waits for."""
    collects, policy = gc.isenabled(), os.sched_getscheduler(0)
    gc.disable()
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, policy, os.sched_param(0))
        if collects:
            gc.enable()


def _on_or_for_a_core_ns(schedstat: int) -> int:
    running, waiting, _ = os.pread(schedstat, 128, 0).split()
    return int(running) + int(waiting)


def _waits(connection: socket.socket) -> bool:
    """Whether there is something to read."""
    with contextlib.suppress(BlockingIOError, ConnectionResetError):
        return bool(connection.recv(1, socket.MSG_PEEK))
    return False


def _times(ancillary: Sequence[tuple[int, int, bytes]]) -> tuple[int, int]:
    """Now, and when the kernel got the bytes; the kernel's clock is the time of day."""
    for _ in range(5):
        now_ns = time.monotonic_ns()
        wall_ns = time.time_ns()
        if time.monotonic_ns() - now_ns < BRACKET_NS:
            break
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return now_ns, now_ns - max(0, wall_ns - (seconds * 1_000_000_000 + nanoseconds))
    return now_ns, now_ns
