"""The tap's loop: packets, the tee, and the few things that happen by time.

Rules:
1. Capabilities go right after the socket is open: before a packet is read, before the observer is
   started.
2. One thread, one epoll. A round reads a few blocks of packets at most; then the tee is flushed.
3. A stop is no end of the connections: nothing is said of those that are open.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from time import monotonic_ns

from sidelight_sidecar.relay.log import log, speak_as
from sidelight_sidecar.relay.observer_link import ObserverLink
from sidelight_sidecar.relay.tee import Tee
from sidelight_sidecar.tap.capture import Capture
from sidelight_sidecar.tap.clock import Clock
from sidelight_sidecar.tap.config import TapConfig
from sidelight_sidecar.tap.connections import Connections
from sidelight_sidecar.tap.counters import TapCounters
from sidelight_sidecar.tap.packet import CHECKSUM, FRAGMENT, parse
from sidelight_sidecar.tap.privileges import drop_all

TICK_NS = 1_000_000_000
EXIT_WAIT_SECONDS = 2.0
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def run(config: TapConfig) -> int:
    """Tap until told to stop; return the process' exit status.

    Call it from the main thread: it takes over SIGTERM, SIGINT and SIGCHLD.

    Raises:
        CaptureError: packets cannot be read.
        OSError: capabilities cannot be dropped.
    """
    speak_as("tap")
    tap = Tap(config)
    status = tap.serve()
    tap.stop()
    return status


class Tap:
    """Packets, connections, tee and observer of one process."""

    def __init__(self, config: TapConfig) -> None:
        self._config = config
        self._capture = Capture(config.interface, config.port, blocks=config.ring_blocks)
        drop_all()
        self._clock = Clock()
        self._counters = TapCounters()
        self._epoll = select.epoll()
        self._tee = Tee(config.tee_queue_bytes, self._counters)
        self._connections = Connections(config.port, self._tee, self._counters)
        self._observer = ObserverLink(
            self._epoll,
            self._tee,
            self._counters,
            config.observer_argv,
            config.restart_max_seconds,
        )
        self._tick_at_ns = monotonic_ns() + TICK_NS
        self._stop = False
        self._status = 0
        self._wake_fd = self._take_signals()
        self._epoll.register(self._capture, select.EPOLLIN)

    def serve(self) -> int:
        """Run until stopped by a signal or because the interface is gone; return the status."""
        interface, port = self._config.interface, self._config.port
        log("tapping", f'"interface":"{interface}","port":{port},"pid":{os.getpid()}')
        self._observer.start(monotonic_ns())
        due_ns = self._tick(monotonic_ns())
        while not self._stop:
            wait_ns = min(due_ns, self._tee.due_ns) - monotonic_ns()
            for fd, events in self._epoll.poll(wait_ns / 1e9 if wait_ns > 0 else 0):
                self._event(fd, events)
            now_ns = monotonic_ns()
            if now_ns >= self._tee.due_ns:
                self._observer.flush()
            if now_ns >= due_ns:
                due_ns = self._tick(now_ns)
        return self._status

    def stop(self) -> None:
        """Take what is in the ring, send it and the last counters."""
        self._read()
        self._count()
        self._capture.close()
        self._observer.stop(EXIT_WAIT_SECONDS)
        log("stopped", f'"counters":{self._counters.to_json()}')
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

    def _event(self, fd: int, events: int) -> None:
        if fd == self._capture.fileno():
            if events & select.EPOLLERR:
                self._interface_failed()
            self._read()
        elif fd == self._wake_fd:
            for number in os.read(fd, 4096):
                if number == signal.SIGCHLD:
                    self._observer.reap(monotonic_ns())
                else:
                    self._stop = True
        else:
            self._observer.event(fd, events)

    def _read(self) -> None:
        clock, port, counters = self._clock, self._config.port, self._counters
        ring = self._capture.ring
        take, monotonic = self._connections.segment, clock.monotonic
        clock.read()
        for day_ns, start, end, wire_bytes, verify in self._capture.packets():
            segment = parse(ring, start, end, wire_bytes, port, verify=verify)
            if not isinstance(segment, str):
                take(monotonic(day_ns), segment)
            elif segment == FRAGMENT:
                counters.tap_fragments_skipped += 1
            elif segment == CHECKSUM:
                counters.tap_checksum_errors += 1
            else:
                counters.tap_packets_malformed += 1

    def _interface_failed(self) -> None:
        """It is down, and may come back; or it was removed, and then there is nothing to tap."""
        error = self._capture.error()
        name = self._config.interface
        log("interface_failed", f'"interface":"{name}","why":"{error.strerror if error else ""}"')
        try:
            socket.if_nametoindex(name)
        except OSError:
            self._stop, self._status = True, 1

    def _tick(self, now_ns: int) -> int:
        """Do what is due by time; return when to look again."""
        if now_ns >= self._tick_at_ns:
            self._tick_at_ns = now_ns + TICK_NS
            self._count()
            self._connections.tick(now_ns)
            self._tee.stats(now_ns)
        return min(self._tick_at_ns, self._observer.tick(now_ns))

    def _count(self) -> None:
        passed, dropped = self._capture.statistics()
        self._counters.tap_packets += passed
        self._counters.tap_packets_dropped += dropped


def _noted(_number: int, _frame: object) -> None:
    """Exists so that the signal is caught; the wake-up pipe tells the loop."""
