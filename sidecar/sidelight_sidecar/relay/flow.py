"""One flow: a client's connection, the engine's connection for it, and the bytes between them.

Rules:
1. A read is at most 64 KiB and is written at once. What the other side does not take is kept, and
   reading stops until it has gone: nothing else is ever held, so a direction holds at most 64 KiB.
2. End of bytes on one side ends the writing to the other, after what is kept; the other direction
   goes on. A reset on one side resets the other.
3. A side gets one read in a round of the loop, so no flow starves another.
4. No byte is invented. An engine that refuses the connection is a reset for the client.
5. A side is watched edge-triggered unless it waits to be writable: the kernel need not look at it
   again in each round. After a read that was filled, or an event that says more than that bytes are
   there (an end, a reset, urgent data), it is asked again, until a read finds nothing.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from os import read, write
from time import monotonic_ns

from sidelight_sidecar.frames.codec import (
    CLIENT_BYTES,
    CLIENT_EOF,
    ENGINE_BYTES,
    ENGINE_EOF,
    MAX_DELAY_NS,
    NO_DELAY,
)
from sidelight_sidecar.relay.config import format_address
from sidelight_sidecar.relay.counters import Counters
from sidelight_sidecar.relay.tee import Tee

FIRST_READ_BYTES = 1 << 13
"""A side that never fills this is never read with more: giving most of 64 KiB back to malloc for
every small chunk costs more than the chunk."""
READ_BYTES = 1 << 16
DRAIN_READS = 64
"""Reads of what a side had sent before its reset: 4 MiB, about the most a kernel holds for it."""
IN = select.EPOLLIN | select.EPOLLRDHUP
OUT = select.EPOLLOUT
BROKEN = select.EPOLLERR | select.EPOLLHUP
EDGE = select.EPOLLET | select.EPOLLPRI
"""With no other interest, `EDGE` is one in errors, each told once: level-triggered, a side that
both ends have shut, or one with urgent data that nobody takes, would be reported for ever."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Shared:
    """What all flows of a relay use."""

    __slots__ = ("counters", "epoll", "flows", "sides", "tee")

    def __init__(self, epoll: select.epoll, tee: Tee, counters: Counters) -> None:
        self.epoll = epoll
        self.tee = tee
        self.counters = counters
        self.sides: dict[int, Side] = {}
        self.flows: dict[int, Flow] = {}


class Side:
    """One of a flow's two connections.

    Attributes:
        pending: bytes for this side that it did not take yet.
        pending_ns: when these were read from the other.
        ended: no more bytes come from it.
        shut: it was told that no more bytes come.
        connecting: its connection is not made yet.
        interest: the epoll events it is registered for.
        read_bytes: how much is read from it at once.
        moved_bytes: bytes that were read from it for the other side.
    """

    __slots__ = (
        "bytes_kind",
        "connecting",
        "ended",
        "eof_kind",
        "fd",
        "flow",
        "interest",
        "moved_bytes",
        "name",
        "peer",
        "peer_fd",
        "pending",
        "pending_ns",
        "read_bytes",
        "shut",
        "socket",
    )

    peer: Side
    peer_fd: int

    def __init__(self, flow: Flow, connection: socket.socket, *, is_client: bool) -> None:
        self.flow = flow
        self.socket = connection
        self.fd = connection.fileno()
        self.name = b"client" if is_client else b"engine"
        self.bytes_kind = CLIENT_BYTES if is_client else ENGINE_BYTES
        self.eof_kind = CLIENT_EOF if is_client else ENGINE_EOF
        self.pending: memoryview | None = None
        self.pending_ns = 0
        self.ended = False
        self.shut = False
        self.connecting = not is_client
        self.interest = IN | EDGE if is_client else OUT
        self.moved_bytes = 0
        self.read_bytes = FIRST_READ_BYTES

    def meet(self, peer: Side) -> None:
        """Take the other side as the one that gets what is read here."""
        self.peer = peer
        self.peer_fd = peer.fd


class Flow:
    """Both sides of one connection through the relay."""

    __slots__ = ("client", "closed", "engine", "id", "shared", "tee", "tee_state")

    def __init__(
        self,
        number: int,
        shared: Shared,
        client: socket.socket,
        engine: socket.socket,
        addresses: tuple[tuple[object, ...], tuple[object, ...]],
    ) -> None:
        self.id = number
        self.shared = shared
        self.tee = shared.tee
        self.closed = False
        self.client = Side(self, client, is_client=True)
        self.engine = Side(self, engine, is_client=False)
        self.client.meet(self.engine)
        self.engine.meet(self.client)
        for side in (self.client, self.engine):
            shared.epoll.register(side.fd, side.interest)
            shared.sides[side.fd] = side
        shared.flows[number] = self
        shared.counters.flows_opened += 1
        from_, to = format_address(addresses[0]), format_address(addresses[1])
        opened = f'{{"client":"{from_}","engine":"{to}"}}'.encode()
        self.tee_state = self.tee.open(number, monotonic_ns(), opened)

    def readable(self, side: Side) -> None:
        """Read once from a side and write that to the other."""
        # For every chunk of every stream. `read` and `write` take their arguments a little faster
        # than a socket's methods do; a descriptor is this flow's for as long as it is not closed.
        try:
            data = read(side.fd, side.read_bytes)
        except BlockingIOError:
            return
        except OSError:
            self.reset(side)
            return
        at_ns = monotonic_ns()
        if not data:
            self._end(side, at_ns)
            return
        try:
            sent = write(side.peer_fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.tee.traffic(self.tee_state, side.bytes_kind, at_ns, NO_DELAY, data)
            self.reset(side.peer)
            return
        delay_ns = monotonic_ns() - at_ns
        size = len(data)
        side.moved_bytes += size
        if size == side.read_bytes:
            side.read_bytes = READ_BYTES
            self._ask_again(side)
        if sent != size:
            delay_ns = NO_DELAY
            side.peer.pending = memoryview(data)[sent:]
            side.peer.pending_ns = at_ns
            self._watch(side)
            self._watch(side.peer)
        elif delay_ns > MAX_DELAY_NS:
            delay_ns = MAX_DELAY_NS
        self.tee.traffic(self.tee_state, side.bytes_kind, at_ns, delay_ns, data)

    def event(self, side: Side, events: int) -> None:
        """Handle anything but the common case, which is `readable`."""
        if side.connecting and not self._connected(side):
            return
        if events & OUT and not self._flush(side):
            return
        if side.interest & IN:
            if events & (IN | BROKEN):
                before = side.moved_bytes
                self.readable(side)
                if side.moved_bytes != before:
                    self._ask_again(side)
        elif events & BROKEN and _error_of(side.socket):
            self.reset(side)

    def reset(self, side: Side) -> None:
        """One side has reset the flow (or its connection could not be made): reset the other."""
        if self.closed:
            return
        shared = self.shared
        if side.connecting:
            shared.counters.connect_errors += 1
            by = b"connect"
        else:
            self._pass_on_rest(side)
            by = side.name
            if side is self.client:
                shared.counters.resets_client += 1
            else:
                shared.counters.resets_engine += 1
        self.tee.reset(self.tee_state, monotonic_ns(), by)
        self.abort()

    def abort(self) -> None:
        """Close both connections with a reset."""
        reset_on_close(self.client.socket)
        reset_on_close(self.engine.socket)
        self._close()

    def _connected(self, side: Side) -> bool:
        """Finish the engine's connect; return False when it failed, or the engine left already."""
        error = _error_of(side.socket)
        side.connecting = error not in (0, errno.ECONNRESET)  # who resets had accepted before
        if error:
            self.reset(side)
        return not error

    def _flush(self, side: Side) -> bool:
        """Write what is kept for a side; return False when the flow was closed by that."""
        if side.pending is not None:
            try:
                sent = side.socket.send(side.pending)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.reset(side)
                return False
            side.pending = side.pending[sent:] or None
            if side.pending is None:
                self.shared.counters.hold(monotonic_ns() - side.pending_ns, 1)
        if side.pending is None and side.peer.ended:
            self._shut(side)
        self._watch(side)
        self._watch(side.peer)
        return not self.closed

    def _end(self, side: Side, at_ns: int) -> None:
        """No more bytes come from this side."""
        side.ended = True
        self.tee.traffic(self.tee_state, side.eof_kind, at_ns, NO_DELAY, b"")
        peer = side.peer
        if peer.pending is None and not peer.connecting:
            self._shut(peer)
        if not self.closed:
            self._watch(side)

    def _shut(self, side: Side) -> None:
        """Tell a side that no more bytes come; close the flow when both are told."""
        if side.shut:
            return
        side.shut = True
        if side.peer.shut:
            self._close()
            return
        try:
            side.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.reset(side)

    def _watch(self, side: Side) -> None:
        """Register a side for what it can do now."""
        interest = 0
        if not side.ended and side.peer.pending is None:
            interest |= IN
        if side.pending is not None or side.connecting:
            interest |= OUT
        else:
            interest |= EDGE
        if not self.closed and interest != side.interest:
            side.interest = interest
            self.shared.epoll.modify(side.fd, interest)

    def _ask_again(self, side: Side) -> None:
        """Have the kernel report this side once more if there is anything to report."""
        if not self.closed:
            self.shared.epoll.modify(side.fd, side.interest)

    def _pass_on_rest(self, side: Side) -> None:
        """Forward what a side had sent before it reset, as the kernel would without the relay."""
        peer = side.peer
        try:
            for _ in range(DRAIN_READS):
                if peer.pending is not None or peer.connecting or side.ended:
                    return
                data = side.socket.recv(READ_BYTES)
                if not data:
                    return
                at_ns = monotonic_ns()
                sent = peer.socket.send(data)
                side.moved_bytes += len(data)
                self.tee.traffic(self.tee_state, side.bytes_kind, at_ns, NO_DELAY, data)
                if sent < len(data):
                    return
        except OSError:
            return

    def count_bytes(self) -> None:
        """Move what both sides have counted to the relay's counters."""
        self.shared.counters.bytes_to_engine += self.client.moved_bytes
        self.shared.counters.bytes_to_client += self.engine.moved_bytes
        self.client.moved_bytes = self.engine.moved_bytes = 0

    def _close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.count_bytes()
        shared = self.shared
        for side in (self.client, self.engine):
            del shared.sides[side.fd]
            side.socket.close()  # epoll forgets it with its last descriptor
        del shared.flows[self.id]
        shared.counters.flows_closed += 1
        self.tee.close(self.tee_state, monotonic_ns())


def reset_on_close(connection: socket.socket) -> None:
    """Make the close of this connection a reset (RST), not an end (FIN)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def _error_of(connection: socket.socket) -> int:
    """Return and clear the connection's pending error, 0 for none."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
