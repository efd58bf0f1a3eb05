"""The observer as a loop sees it: its process, the tee's socket in epoll, and restarts by time."""

from __future__ import annotations

import os
import select
from time import monotonic_ns

from sidelight_sidecar.relay.counters import Counters
from sidelight_sidecar.relay.observer_process import ObserverProcess
from sidelight_sidecar.relay.tee import NEVER, Tee


class ObserverLink:
    """Keeps an observer at the other end of a tee.

    Args:
        epoll: the loop's; the observer's socket comes and goes in it.
        argv: the observer's command line.
        restart_max_seconds: longest wait before a dead observer is started again.
    """

    __slots__ = ("_counters", "_epoll", "_fd", "_interest", "_process", "_tee")

    def __init__(
        self,
        epoll: select.epoll,
        tee: Tee,
        counters: Counters,
        argv: list[str],
        restart_max_seconds: float,
    ) -> None:
        self._epoll = epoll
        self._tee = tee
        self._counters = counters
        self._process = ObserverProcess(argv, restart_max_seconds)
        self._fd = -1
        self._interest = 0

    def start(self, now_ns: int) -> None:
        """Start the observer; one that cannot be started is tried again."""
        self._counters.observer_starts += 1
        ours = self._process.start(now_ns)
        if ours is not None:
            self._fd, self._interest = ours.fileno(), select.EPOLLET
            self._epoll.register(self._fd, self._interest)
            self._tee.attach(ours)

    def tick(self, now_ns: int) -> int:
        """Start it again when that is due; return when to look next."""
        due_ns = self._process.restart_at_ns
        if due_ns is not None and now_ns >= due_ns:
            self.start(now_ns)
            due_ns = self._process.restart_at_ns
        return NEVER if due_ns is None else due_ns

    def event(self, fd: int, events: int) -> bool:
        """Handle an event of the observer's socket; return False for another descriptor's."""
        if fd != self._fd or fd < 0:
            return False
        if events & (select.EPOLLERR | select.EPOLLHUP):
            self._lose()
        else:
            self.flush()
        return True

    def flush(self) -> None:
        """Write what the observer takes."""
        if not self._tee.flush():
            self._lose()
            return
        interest = select.EPOLLOUT if self._tee.blocked else select.EPOLLET
        if self._fd >= 0 and interest != self._interest:
            self._interest = interest
            self._epoll.modify(self._fd, interest)

    def reap(self, now_ns: int) -> None:
        """Collect every child that ended: as a container's first process we inherit others' too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._process.pid:
                self._drop()
                self._process.exited(status, now_ns)

    def stop(self, wait_seconds: float) -> None:
        """Send the last counters and close: that tells the observer, which gets a little time."""
        self._tee.stats(monotonic_ns())
        if self._tee.socket is not None:
            self._tee.socket.settimeout(wait_seconds)
            self._tee.flush()
        self._tee.detach()
        self._process.wait(wait_seconds)

    def _lose(self) -> None:
        """Its end of the socket is closed: it is dead, or of no use and to be started again."""
        self._drop()
        self._process.kill()

    def _drop(self) -> None:
        self._tee.detach()
        self._fd = -1
