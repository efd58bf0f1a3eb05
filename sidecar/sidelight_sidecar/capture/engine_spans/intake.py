"""Takes the engine's exports on loopback: OTLP over HTTP in protobuf, and over gRPC (`grpc.py`).

Rules:
1. It listens on 127.0.0.1 alone: what another pod sends never arrives.
2. An engine's exporter is never made to wait or to try again for what is ours: what was read is
   answered 200 at once, before it is looked at, though there is no room and it is let go of. Told
   429, an exporter would keep its spans and send them again, in the engine's memory and time. What
   it does wrong itself (another path, JSON, too large) is answered 4xx, which none tries again.
3. Bytes are bounded: of a request, of all that are read, of what waits to be looked at.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

from aiohttp import web

from sidelight_sidecar.capture.engine_spans.spoken import EitherProtocol
from sidelight_sidecar.coding import CodingError, decoder_for

if TYPE_CHECKING:
    from sidelight_sidecar.capture.engine_spans.grpc import GrpcConnection

PATH = "/v1/traces"
PROTOBUF = "application/x-protobuf"
MAX_BODY_BYTES = 4 << 20
"""Of an export, with and without its coding. Default 4 MiB: 512 spans are below one."""
MAX_INBOX_BYTES = 4 << 20
MAX_READING = 4
"""Requests whose bodies are read at once. Default 4: an engine has a few processes that export,
each every 5 seconds."""
READ_SECONDS = 5.0
END_SECONDS = 1.0
TRY_SECONDS = 5.0
"""How long until the port is tried again. Default 5: whoever had it may be about to end."""
TAKEN = "taken"
_QUIET = logging.getLogger("sidelight.capture.engine_spans")
_QUIET.disabled = True  # the library's errors could hold what was sent


class _TooLargeError(Exception):
    """A body is."""


class Intake:
    """The server, and what waits to be looked at.

    Attributes:
        results: of exports, by what became of them.
        listening: whether the port is open; None: that was not tried yet.
        wake: set when something came.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._reading = 0
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._calls: WeakSet[GrpcConnection] = WeakSet()
        self.results: Counter[str] = Counter()
        self.listening: bool | None = None
        self.wake = asyncio.Event()

    async def serve(self) -> None:
        """Listen, until cancelled. Port 0: never, for the port is the pod's."""
        if not self._port:
            self.listening = False
            await asyncio.Event().wait()
        http1 = web.Server(self._answer, auto_decompress=False, access_log=None, logger=_QUIET)
        make = partial(EitherProtocol, http1, self._grpc, READ_SECONDS)
        server = None
        try:
            while server is None:
                server = await self._opened(make)
            await asyncio.Event().wait()
        finally:
            self.listening = False
            if server is not None:
                server.close()
            http1.pre_shutdown()
            await http1.shutdown(END_SECONDS)
            for connection in self._calls:
                connection.close()

    async def _opened(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Server | None:
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(make, "127.0.0.1", self._port, backlog=16)
        except OSError:
            self.listening = False
            await asyncio.sleep(TRY_SECONDS)
            return None
        self.listening = True
        return server

    def _grpc(self) -> asyncio.Protocol:
        from sidelight_sidecar.capture.engine_spans import grpc  # noqa: PLC0415 - h2 for who asks

        made = grpc.GrpcConnection(self, MAX_BODY_BYTES, READ_SECONDS)
        self._calls.add(made)
        return made

    def next(self) -> bytes | None:
        """The oldest that waits."""
        if not self._inbox:
            return None
        body = self._inbox.popleft()
        self._inbox_bytes -= len(body)
        return body

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        refused = _refused(request)
        if refused is None and self.begin():
            try:
                async with asyncio.timeout(READ_SECONDS):
                    self.put(await _body(request))
            except TimeoutError:
                refused = web.Response(status=400, reason="slow")
            except CodingError as error:
                refused = web.Response(status=400, reason=error.why)
            except _TooLargeError:
                refused = web.Response(status=413, reason="too_large")
            finally:
                self.end()
        elif refused is None:
            self.count("busy")
        if refused is not None:
            self.count(refused.reason)
            refused.force_close()
            return refused
        return web.Response(content_type=PROTOBUF)

    def begin(self) -> bool:
        """A body is going to be read; False: too many are."""
        if self._reading >= MAX_READING:
            return False
        self._reading += 1
        return True

    def end(self) -> None:
        """It is no longer read."""
        self._reading -= 1

    def count(self, why: str) -> None:
        """One was not taken."""
        self.results[why] += 1

    def put(self, body: bytes) -> None:
        """One was read; it waits to be looked at."""
        self.results[TAKEN] += 1
        self._inbox.append(body)
        self._inbox_bytes += len(body)
        while self._inbox_bytes > MAX_INBOX_BYTES:
            self.next()
            self.results["no_room"] += 1
        self.wake.set()


def _refused(request: web.BaseRequest) -> web.Response | None:
    """What is no export of this form, by its head; the reason is a word of `results`."""
    if request.path != PATH or request.method != "POST":
        return web.Response(status=404 if request.path != PATH else 405, reason="no_export")
    if request.content_type != PROTOBUF:
        return web.Response(status=415, reason="media_type")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return web.Response(status=413, reason="too_large")
    return None


async def _body(request: web.BaseRequest) -> bytes:
    """A body without its coding.

    Raises:
        CodingError: it is not what its coding says, or grows without measure.
        _TooLargeError: it is.
    """
    decoder = decoder_for(request.headers.get("Content-Encoding", "").encode("utf-8", "replace"))
    found = bytearray()
    came = 0
    async for data in request.content.iter_chunked(1 << 14):
        came += len(data)
        for piece in decoder.feed(data) if decoder is not None else (data,):
            found += piece
            if max(came, len(found)) > MAX_BODY_BYTES:
                raise _TooLargeError
    return bytes(found)
