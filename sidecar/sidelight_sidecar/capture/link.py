"""The observer as the capture process has it: exchanges come from it, and it is told how it goes.

Rules:
1. What comes when nothing has come for a while is taken at once. After that `GATHER_SECONDS` are
   waited for more: exchanges that are masked one after the other take less of the processor's time
   than one by one between the work of relay and observer, and those keep what they have in its
   caches.
2. Where more came than the socket holds, more is waiting behind it: then nothing is waited for.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

from sidelight_sidecar.records.handover import ToCapture, to_capture

READ_BYTES = 1 << 18
GATHER_SECONDS = 0.3
"""Default 0.3: no sink sends sooner than after a second, and a busy pod captures 10 MB a second, of
which the observer keeps 16 for this process. With 0.1 the two cost an eighth more, with 0.6 as
much."""
MUCH_BYTES = 1 << 16


class Observer:
    """The other end of the socket.

    Args:
        connection: the socket.
        wait: so many seconds.
    """

    def __init__(
        self, connection: socket.socket, wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._wait = wait
        self._messages = to_capture()
        self._much = True

    async def receive(self) -> list[ToCapture] | None:
        """What came; None: the observer has ended."""
        if not self._much:
            await self._wait(GATHER_SECONDS)
        try:
            data = await asyncio.get_running_loop().sock_recv(self._connection, READ_BYTES)
        except ConnectionError:
            return None
        self._much = len(data) >= MUCH_BYTES
        return list(self._messages.feed(data)) if data else None

    async def tell(self, message: bytes) -> None:
        """Send a message; one that is gone hears nothing."""
        with contextlib.suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(self._connection, message)
