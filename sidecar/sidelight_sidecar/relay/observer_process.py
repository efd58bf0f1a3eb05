"""The observer's process: started by the relay, and started again whenever it dies.

Restarts wait 0.1 s, doubling to a maximum, and 0.1 s again after it has lived for a minute. The
relay never waits for it: frames go through a non-blocking socketpair, descriptor 3 over there.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from sidelight_sidecar.relay.log import log

FRAMES_FD = 3
SOCKET_BUFFER_BYTES = 1 << 20
"""Room for what comes while the observer collects garbage; the kernel may grant less."""
FIRST_WAIT_NS = 100_000_000
LIVED_NS = 60_000_000_000


class ObserverProcess:
    """Start, end and restart one child process.

    Attributes:
        pid: the running child, or None.
        restart_at_ns: monotonic time of the next start, None while it runs.
    """

    __slots__ = ("_argv", "_max_wait_ns", "_started_ns", "_wait_ns", "pid", "restart_at_ns")

    def __init__(self, argv: list[str], max_wait_seconds: float) -> None:
        self._argv = argv
        self._max_wait_ns = int(max_wait_seconds * 1e9)
        self._wait_ns = FIRST_WAIT_NS
        self._started_ns = 0
        self.pid: int | None = None
        self.restart_at_ns: int | None = None

    def start(self, now_ns: int) -> socket.socket | None:
        """Start it; return our end of the frames' socket, None when it cannot be started."""
        self._started_ns = now_ns
        self.restart_at_ns = None
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            self._schedule(now_ns, f"no socketpair: {error.strerror}")
            return None
        with theirs:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            try:
                self.pid = os.posix_spawnp(
                    self._argv[0],
                    self._argv,
                    os.environ,
                    file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), FRAMES_FD)],
                    setsigdef=[signal.SIGPIPE],
                )
            except OSError as error:
                ours.close()
                self._schedule(now_ns, f"cannot start: {error.strerror}")
                return None
        return ours

    def exited(self, status: int, now_ns: int) -> None:
        """Take note that the child has ended with this wait status."""
        self.pid = None
        code = os.waitstatus_to_exitcode(status)
        self._schedule(now_ns, f"exit status {code}" if code >= 0 else f"signal {-code}")

    def kill(self) -> None:
        """End a child that is of no use any more: it closed its frames' socket."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Give the child so long to end, after its socket was closed."""
        deadline = time.monotonic() + seconds
        while self.pid is not None and time.monotonic() < deadline:
            pid, _ = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
            else:
                time.sleep(0.005)

    def _schedule(self, now_ns: int, why: str) -> None:
        if now_ns - self._started_ns >= LIVED_NS:
            self._wait_ns = FIRST_WAIT_NS
        wait_ns = min(self._wait_ns, self._max_wait_ns)
        self._wait_ns = min(wait_ns * 2, self._max_wait_ns)
        self.restart_at_ns = now_ns + wait_ns
        log("observer_ended", f'"why":"{why}","restart_in_ms":{wait_ns // 1_000_000}')
