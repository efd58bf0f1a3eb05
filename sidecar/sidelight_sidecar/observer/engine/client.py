"""Requests to the engine, over its own port and within limits; they do not pass the relay."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

import aiohttp

MAX_ANSWER_BYTES = 4 << 20
"""vLLM's metrics take some hundred kilobytes, the tokens of the longest text that is asked 2 MB."""
TIMEOUT_SECONDS = 2.0
"""An engine that takes longer has better things to do."""


class Answer(NamedTuple):
    """What came back; status 0: nothing did."""

    status: int
    body: bytes = b""


class EngineClient(Protocol):
    """Asks an engine."""

    async def get(self, address: str, path: str) -> Answer:
        """GET from `host:port`."""

    async def post(self, address: str, path: str, body: bytes) -> Answer:
        """POST JSON to `host:port`."""


class HttpEngineClient:
    """Asks over HTTP, one connection at a time, without cookies, redirects, proxies or codings."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, address: str, path: str) -> Answer:
        """GET from `host:port`."""
        return await self._ask("GET", address, path, None)

    async def post(self, address: str, path: str, body: bytes) -> Answer:
        """POST JSON to `host:port`."""
        return await self._ask("POST", address, path, body)

    async def _ask(self, method: str, address: str, path: str, body: bytes | None) -> Answer:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self._session.request(
                method, f"http://{address}{path}", data=body, headers=headers, allow_redirects=False
            ) as response:
                parts = []
                size = 0
                async for part in response.content.iter_any():
                    size += len(part)
                    if size > MAX_ANSWER_BYTES:
                        return Answer(0)
                    parts.append(part)
                return Answer(response.status, b"".join(parts))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return Answer(0)


@asynccontextmanager
async def http_engine_client() -> AsyncIterator[HttpEngineClient]:
    """A client for the length of a block."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        connector=aiohttp.TCPConnector(limit=1),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,  # an answer's size is what came
    ) as session:
        yield HttpEngineClient(session)
