"""HTTP/1.1 and HTTP/2 on one port, told by the first byte that could be neither's.

An engine is told one address, and its exporter's protocol is set somewhere else: both are to work.
"""

import asyncio
from collections.abc import Callable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client of HTTP/2 begins with."""
Make = Callable[[], asyncio.Protocol]


class EitherProtocol(asyncio.Protocol):
    """A connection of which it is not known yet what it speaks.

    Args:
        http1: makes the protocol of one that speaks HTTP/1.1.
        http2: of one that speaks HTTP/2, without asking first.
    """

    def __init__(self, http1: Make, http2: Make, seconds: float) -> None:
        self._http1 = http1
        self._http2 = http2
        self._seconds = seconds
        self._began = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for what it says, but not for ever."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(self._seconds, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Nothing came of it."""
        self._end_wait()

    def data_received(self, data: bytes) -> None:
        """Hand over to who understands it, as soon as that is known."""
        self._began += data
        known = min(len(self._began), len(PREFACE))
        is_http2 = self._began[:known] == PREFACE[:known]
        if is_http2 and known < len(PREFACE):
            return
        self._end_wait()
        assert self._transport is not None
        protocol = self._http2() if is_http2 else self._http1()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._began)

    def _end_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
