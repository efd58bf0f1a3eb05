"""The relay's one loop: accept, dispatch, and the few things that happen by time.

Rules:
1. One thread, one epoll. Nothing here blocks but the wait for events.
2. New connections are accepted after a round's events, so that no event of a closed descriptor
   reaches a new flow that got the same number.
3. Out of descriptors or memory, accepting rests for 100 ms; flows go on, and clients wait in the
   kernel's queue. A spare descriptor makes sure that a client once accepted gets its engine.
4. SIGTERM: flows go on (and new ones are accepted) until none is left or the drain time is over.
   A second SIGTERM, or SIGINT, ends at once.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import socket
from time import monotonic_ns

from sidelight_sidecar.relay.config import (
    ORIGINAL_DESTINATION,
    Address,
    RelayConfig,
    format_address,
)
from sidelight_sidecar.relay.counters import Counters
from sidelight_sidecar.relay.flow import Flow, Shared, reset_on_close
from sidelight_sidecar.relay.log import log
from sidelight_sidecar.relay.observer_process import ObserverProcess
from sidelight_sidecar.relay.original_destination import Destination, original_destination
from sidelight_sidecar.relay.tee import NEVER, Tee

BACKLOG = 4096
ACCEPTS_PER_ROUND = 32
ACCEPT_REST_NS = 100_000_000
STATS_EVERY_NS = 1_000_000_000
EXIT_WAIT_SECONDS = 10.0
"""How long the observer may take to end. Default 10: at once, or once its records are shipped."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC})
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def run(config: RelayConfig) -> int:
    """Relay until told to stop; return the process' exit status.

    Call it from the main thread: it takes over SIGTERM, SIGINT and SIGCHLD.

    Raises:
        OSError: an address cannot be listened on.
    """
    raise_descriptor_limit()
    relay = Relay(config)
    relay.serve()
    relay.stop()
    return 0


def raise_descriptor_limit() -> None:
    """Allow as many descriptors as the hard limit does; a flow needs two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Relay:
    """Listeners, flows, tee and observer of one process."""

    def __init__(self, config: RelayConfig) -> None:
        self._config = config
        self._engine = _resolve(config.engine)
        self._counters = Counters()
        self._epoll = select.epoll()
        self._tee = Tee(config.tee_queue_bytes, self._counters)
        self._shared = Shared(self._epoll, self._tee, self._counters)
        self._listeners = {s.fileno(): s for s in map(_listen, config.listen)}
        for fd in self._listeners:
            self._epoll.register(fd, select.EPOLLIN)
        self._accept_at_ns = NEVER
        self._deadline_ns = NEVER
        self._stats_at_ns = monotonic_ns() + STATS_EVERY_NS
        self._next_flow = 0
        self._tee_fd = -1
        self._tee_interest = 0
        self._stop_now = False
        self._exit_wait_seconds = EXIT_WAIT_SECONDS
        self._wake_fd = self._take_signals()
        self._spare_fd = os.dup(self._wake_fd)
        argv = config.observer_argv
        self._observer = ObserverProcess(argv, config.restart_max_seconds) if argv else None

    def serve(self) -> None:
        """Run until stopped by signals."""
        addresses = [f'"{format_address(s.getsockname())}"' for s in self._listeners.values()]
        where = format_address(self._engine) if self._engine is not None else ORIGINAL_DESTINATION
        log("listening", f'"listen":[{",".join(addresses)}],"engine":"{where}","pid":{os.getpid()}')
        self._start_observer(monotonic_ns())
        due_ns = self._tick(monotonic_ns())
        poll, sides, tee = self._epoll.poll, self._shared.sides, self._tee
        readable = select.EPOLLIN
        while not self._stop_now:
            wait_ns = min(due_ns, tee.due_ns) - monotonic_ns()
            others = None
            for fd, events in poll(wait_ns / 1e9 if wait_ns > 0 else 0):
                side = sides.get(fd)
                if side is None:
                    others = [*(others or ()), (fd, events)]
                elif events == readable:
                    side.flow.readable(side)
                else:
                    side.flow.event(side, events)
            if others:
                for fd, events in others:
                    self._other_event(fd, events)
            now_ns = monotonic_ns()
            if now_ns >= tee.due_ns:
                self._flush_tee()
            if others or now_ns >= due_ns:
                due_ns = self._tick(now_ns)
            if self._deadline_ns != NEVER and not self._shared.flows:
                break

    def stop(self) -> None:
        """Close everything; the end of its frames tells the observer, which gets a little time."""
        for listener in self._listeners.values():
            listener.close()
        for flow in list(self._shared.flows.values()):
            flow.abort()
        if self._tee.socket is not None:
            self._tee.socket.settimeout(self._exit_wait_seconds)
            if self._tee.flush():  # by itself, for it counts too
                self._tee.stats(monotonic_ns())
                self._tee.flush()
        self._tee.detach()
        log("stopped", f'"counters":{self._counters.to_json()}')
        if self._observer is not None:
            self._observer.wait(self._exit_wait_seconds)
        signal.set_wakeup_fd(-1)
        os.close(self._wake_fd)
        self._epoll.close()

    def _take_signals(self) -> int:
        """Turn signals into bytes on a pipe that epoll watches; return its reading end."""
        read_fd, write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, _noted)
        self._epoll.register(read_fd, select.EPOLLIN)
        return read_fd

    def _other_event(self, fd: int, events: int) -> None:
        if fd in self._listeners:
            self._accept(self._listeners[fd])
        elif fd == self._wake_fd:
            for number in os.read(fd, 4096):
                self._signalled(number)
        elif fd == self._tee_fd:
            if events & (select.EPOLLERR | select.EPOLLHUP):
                self._lose_observer()
            else:
                self._flush_tee()

    def _signalled(self, number: int) -> None:
        now_ns = monotonic_ns()
        if number == signal.SIGCHLD:
            self._reap(now_ns)
        elif number == signal.SIGINT or self._deadline_ns != NEVER:
            self._stop_now = True
            self._exit_wait_seconds = 0.0
        elif number == signal.SIGTERM:
            self._deadline_ns = now_ns + int(self._config.drain_seconds * 1e9)
            log("draining", f'"flows":{len(self._shared.flows)}')

    def _reap(self, now_ns: int) -> None:
        """Collect every child that ended: as a container's first process we inherit others' too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if self._observer is not None and pid == self._observer.pid:
                self._drop_tee()
                self._observer.exited(status, now_ns)

    def _tick(self, now_ns: int) -> int:
        """Do what is due by time; return when to look again."""
        if now_ns >= self._deadline_ns:
            self._stop_now = True
        if now_ns >= self._accept_at_ns:
            self._accept_again()
        if now_ns >= self._stats_at_ns:
            self._stats_at_ns = now_ns + STATS_EVERY_NS
            for flow in self._shared.flows.values():
                flow.count_bytes()
            self._tee.stats(now_ns)
        restart_at_ns = self._observer.restart_at_ns if self._observer is not None else None
        if restart_at_ns is not None and now_ns >= restart_at_ns:
            self._start_observer(now_ns)
            restart_at_ns = None
        stats_at_ns = self._stats_at_ns if self._tee.socket is not None else NEVER
        return min(
            self._accept_at_ns,
            self._deadline_ns,
            stats_at_ns,
            restart_at_ns or NEVER,
            now_ns + STATS_EVERY_NS,
        )

    def _start_observer(self, now_ns: int) -> None:
        if self._observer is None:
            return
        self._counters.observer_starts += 1
        ours = self._observer.start(now_ns)
        if ours is not None:
            self._tee_fd, self._tee_interest = ours.fileno(), select.EPOLLET
            self._epoll.register(self._tee_fd, self._tee_interest)
            self._tee.attach(ours)

    def _flush_tee(self) -> None:
        if not self._tee.flush():
            self._lose_observer()
            return
        interest = select.EPOLLOUT if self._tee.blocked else select.EPOLLET
        if self._tee_fd >= 0 and interest != self._tee_interest:
            self._tee_interest = interest
            self._epoll.modify(self._tee_fd, interest)

    def _lose_observer(self) -> None:
        """Its end of the socket is closed: it is dead, or of no use and to be started again."""
        self._drop_tee()
        if self._observer is not None:
            self._observer.kill()

    def _drop_tee(self) -> None:
        self._tee.detach()
        self._tee_fd = -1

    def _accept(self, listener: socket.socket) -> None:
        if self._accept_at_ns != NEVER:
            return
        for _ in range(ACCEPTS_PER_ROUND):
            try:
                client, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._rest_accepting()
                    return
                continue  # that client has gone already
            if not self._open(client, address):
                return

    def _open(self, client: socket.socket, address: tuple[object, ...]) -> bool:
        """Start a flow for an accepted connection; return False to accept no more for now."""
        to = original_destination(client) if self._engine is None else self._engine
        if to is None:
            self._counters.refused_not_redirected += 1
            _refuse(client)
            return True
        try:
            engine = self._engine_socket(_family(to[0]))
        except OSError:
            self._counters.refused_exhausted += 1
            _refuse(client)
            return False
        client.setblocking(False)
        for connection in (client, engine):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = engine.connect_ex(to)
        self._next_flow = (self._next_flow + 1) & 0xFFFFFFFF or 1  # 0 is the stats'
        try:
            flow = Flow(self._next_flow, self._shared, client, engine, (address, to))
        except OSError:
            self._counters.refused_exhausted += 1
            _refuse(client)
            engine.close()
            self._rest_accepting()
            return False
        if error not in (0, errno.EINPROGRESS):
            flow.reset(flow.engine)
        return self._accept_at_ns == NEVER

    def _engine_socket(self, family: socket.AddressFamily) -> socket.socket:
        """Make the second socket of a flow; the spare descriptor goes for it if it must."""
        try:
            return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            self._rest_accepting()
            os.close(self._spare_fd)
            self._spare_fd = -1
            return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    def _rest_accepting(self) -> None:
        self._counters.accept_errors += 1
        self._accept_at_ns = monotonic_ns() + ACCEPT_REST_NS
        for fd in self._listeners:
            self._epoll.modify(fd, 0)

    def _accept_again(self) -> None:
        if self._spare_fd < 0:
            try:
                self._spare_fd = os.dup(self._wake_fd)
            except OSError:
                self._rest_accepting()
                return
        self._accept_at_ns = NEVER
        for fd in self._listeners:
            self._epoll.modify(fd, select.EPOLLIN)


def _listen(address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(_family(address[0]), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        where = format_address(address)
        raise OSError(error.errno, f"relay: cannot listen on {where}: {error.strerror}") from error
    return listener


def _resolve(engine: str | Address) -> Destination | None:
    """Look the engine's name up once: a lookup would block, so there is none while serving."""
    if isinstance(engine, str):
        return None
    host, port = engine
    try:
        address: Destination = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4]  # type: ignore[assignment]
    except OSError as error:
        raise OSError(
            error.errno, f"relay: no address for engine {host}: {error.strerror}"
        ) from error
    return address


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _refuse(client: socket.socket) -> None:
    reset_on_close(client)
    client.close()


def _noted(_number: int, _frame: object) -> None:
    """Exists so that the signal is caught; the wake-up pipe tells the loop."""
