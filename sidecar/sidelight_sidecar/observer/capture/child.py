"""The capture process as the observer has it: started when there is something to capture, given
settings and exchanges, and started again when it dies.

Rules:
1. Nothing waits for it. What does not fit into `QUEUE_BYTES` of what it has not taken yet is
   refused, and counted by whoever offered it.
2. A start that failed, or a process that died, is followed by a wait that doubles up to a minute.
3. With nothing to capture there is no process.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable

from sidelight_sidecar.records.handover import (
    Captured,
    CaptureState,
    HandoverError,
    Settings,
    encode,
    to_observer,
)

QUEUE_BYTES = 16 << 20
"""Default 16 MiB: a second of what a busy pod captures."""
SOCKET_BYTES = 1 << 20
"""What the process has not read yet is in the kernel up to here, or to what the kernel allows: the
observer need not wake up for each piece of it."""
FIRST_WAIT_SECONDS = 1.0
MOST_WAIT_SECONDS = 60.0
LIVED_SECONDS = 60.0
END_SECONDS = 12.0
"""How long the process may take to ship what waits when the observer ends."""

log = logging.getLogger("sidelight.observer")
PROGRAM = (sys.executable, "-P", "-s", "-m", "sidelight_sidecar.capture")
"""Its end of the socket is descriptor 0. Not `-I`: the image's packages are on PYTHONPATH."""


class CaptureChild:
    """Keeps one process.

    Args:
        options: of its command line.

    Attributes:
        state: what it told last.
        pid: of the process; None: there is none.
        restarts: how often it had to be started again.
        last_words: makes the last message to a process before it is to end; empty: none.
    """

    def __init__(self, *options: str) -> None:
        self._argv = (*PROGRAM, *options)
        self._settings: Settings | None = None
        self._changed = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self.state = CaptureState()
        self.pid: int | None = None
        self.restarts = 0
        self.last_words: Callable[[], bytes] = bytes

    @property
    def running(self) -> bool:
        """Whether it takes exchanges."""
        return self._transport is not None

    def configure(self, settings: Settings | None) -> None:
        """Put settings in force; None: there is nothing to capture."""
        if settings != self._settings:
            self._settings = settings
            self._changed.set()

    def give(self, captured: Captured) -> bool:
        """Hand an exchange over; False: it does not run, or lags."""
        if not self._has_room():
            return False
        return self.pass_on(encode(captured))

    def pass_on(self, message: bytes) -> bool:
        """Hand over a message, if it is one; False: it does not run, or lags."""
        if self._transport is None or not self._has_room():
            return False
        if message:
            self._transport.write(message)
        return True

    def _has_room(self) -> bool:
        transport = self._transport
        return transport is not None and transport.get_write_buffer_size() <= QUEUE_BYTES

    async def run(self) -> None:
        """Keep it running as configured, until cancelled; then let it ship what waits."""
        wait = FIRST_WAIT_SECONDS
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            if self._settings is None:
                await self._changed.wait()
                continue
            began = loop.time()
            wanted = await self._run_one(self._settings)
            if wanted:
                continue
            self.restarts += 1
            wait = FIRST_WAIT_SECONDS if loop.time() - began > LIVED_SECONDS else wait
            log.warning("capture_ended", extra={"fields": {"again_in_seconds": wait}})
            await asyncio.sleep(wait)
            wait = min(wait * 2, MOST_WAIT_SECONDS)

    async def _run_one(self, settings: Settings) -> bool:
        """Run one until it ends; whether that was by our own will."""
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        with theirs:
            process = await asyncio.create_subprocess_exec(*self._argv, stdin=theirs.fileno())
        self.state, self.pid = CaptureState(), process.pid
        link = _Link(self)
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: link, sock=ours)
        transport.set_write_buffer_limits(high=2 * QUEUE_BYTES)
        transport.write(encode(settings))
        self._transport = transport
        try:
            async with asyncio.TaskGroup() as group:
                gone = group.create_task(process.wait())
                changed = group.create_task(self._changed.wait())
                await asyncio.wait({gone, changed}, return_when=asyncio.FIRST_COMPLETED)
                for task in (gone, changed):
                    task.cancel()
            return self._changed.is_set()
        finally:
            if process.returncode is None:
                self.pass_on(self.last_words())
            self._transport = None
            transport.close()
            await _end(process)
            self.pid = None


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let it end by itself, then make it end."""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


class _Link(asyncio.Protocol):
    def __init__(self, child: CaptureChild) -> None:
        self._child = child
        self._messages = to_observer()

    def data_received(self, data: bytes) -> None:
        try:
            for state in self._messages.feed(data):
                self._child.state = state
        except HandoverError:
            log.error("capture_not_understood")  # noqa: TRY400
