"""The bytes of an exporter's answer, within limits of time and shape.

One connection, kept open; no cookies, redirects or proxies. An answer that is packed although it
was not asked for is unpacked a piece at a time, so that a small one cannot become a large one in
memory.
"""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Protocol

import aiohttp

from sidelight_contract.names import Reason

PIECE_BYTES = 16 << 10
"""What is handed on at once: a few milliseconds of work at the very worst."""
TIMEOUT_SECONDS = 3.0
"""For the whole answer; a read more or less does not matter."""
_BROKEN_OFF = "breaks off its answer"
_GZIP = 16 + zlib.MAX_WBITS


class ExporterError(Exception):
    """The exporter gave nothing to read.

    Args:
        reason: what kind of failure it is.
        what: goes on after "the exporter at ADDRESS"; nothing of the answer is in it.
    """

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(what)
        self.reason = reason
        self.what = what


class ExporterClient(Protocol):
    """Reads exporters."""

    def read(self, address: str) -> AsyncGenerator[bytes, None]:
        """The text of `http://ADDRESS/metrics`, in pieces of at most `PIECE_BYTES`.

        Raises:
            ExporterError: there is none, or it ends too early.
        """
        ...


class HttpExporterClient:
    """Reads them over HTTP."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def read(self, address: str) -> AsyncGenerator[bytes, None]:
        """See `ExporterClient`."""
        try:
            async with self._session.get(
                f"http://{address}/metrics", allow_redirects=False
            ) as response:
                _refuse(response.status)
                decoder = _decoder(response.headers.get("Content-Encoding", ""))
                async for part in response.content.iter_chunked(PIECE_BYTES):
                    for piece in _unpack(decoder, part) if decoder else (part,):
                        yield piece
                if decoder and not decoder.eof:
                    raise ExporterError(Reason.EXPORTER_UNREACHABLE, _BROKEN_OFF)
        except TimeoutError as error:
            what = "does not answer in time"
            raise ExporterError(Reason.EXPORTER_UNREACHABLE, what) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = _why(error)
            raise ExporterError(Reason.EXPORTER_UNREACHABLE, what) from error
        except zlib.error as error:
            what = "answers something packed that cannot be unpacked"
            raise ExporterError(Reason.EXPORTER_NOT_UNDERSTOOD, what) from error


@asynccontextmanager
async def http_exporter_client(
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> AsyncIterator[HttpExporterClient]:
    """A client for the length of a block."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        connector=aiohttp.TCPConnector(limit=1),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,  # it would unpack a whole read at once
    ) as session:
        yield HttpExporterClient(session)


def _refuse(status: int) -> None:
    if status == 200:
        return
    if status in {401, 403}:
        raise ExporterError(
            Reason.EXPORTER_UNREACHABLE, f"answers {status}: it wants a password; none is sent"
        )
    if 300 <= status < 400:
        raise ExporterError(
            Reason.EXPORTER_NOT_UNDERSTOOD, f"answers {status}, a redirect; none is followed"
        )
    busy = status >= 500 or status == 429
    raise ExporterError(
        Reason.EXPORTER_UNREACHABLE if busy else Reason.EXPORTER_NOT_UNDERSTOOD,
        f"answers {status}" if busy else f"answers {status} where its metrics should be",
    )


def _why(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorError():
            return "cannot be connected to"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return _BROKEN_OFF
        case aiohttp.InvalidURL():
            return "has no address that can be asked"
        case _:
            return f"does not speak HTTP that is understood ({type(error).__name__})"


def _decoder(coding: str) -> "zlib._Decompress | None":
    match coding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(_GZIP)
        case _:
            what = "packs its answer in a way that was not asked for"
            raise ExporterError(Reason.EXPORTER_NOT_UNDERSTOOD, what)


def _unpack(decoder: "zlib._Decompress", part: bytes) -> Iterator[bytes]:
    """What the part makes, so much at a time; output can be left when all input is gone."""
    while True:
        piece = decoder.decompress(part, PIECE_BYTES)
        if piece:
            yield piece
        part = decoder.unconsumed_tail
        if not part and len(piece) < PIECE_BYTES:
            return
