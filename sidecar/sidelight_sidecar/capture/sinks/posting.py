"""Posts to one address over a pool of connections, and says what an answer means for what was sent.

Rules:
1. No redirect is followed, no cookie kept, no proxy of the environment used: what is sent goes
   where the owner said.
2. Of an answer so much is read and no more, never decompressed.
3. An error of the connection is said in a word of ours.
"""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.sinks.credentials import CredentialsReader

MAX_ANSWER_BYTES = 64 << 10
CONNECTIONS = 8
"""At once, to one sink. Default 8: a sink of its own speed is not to be run over by a pod's."""
IDLE_SECONDS = 30.0
"""After which a connection is closed. Default 30: servers' and balancers' begin at 60."""
_OURS = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 429})
"""What a server says of the address, of who asks or of the moment, not of what was sent."""


class PostError(Exception):
    """Nothing came back."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes = b""
    after_seconds: float | None = None
    """When to come back, if it said so."""
    media_type: str = ""

    @property
    def outcome(self) -> Outcome:
        """What it means for what was sent.

        Rights that are missing and a wrong address are mended by somebody; until then it waits.
        """
        if 200 <= self.status < 300:
            return Outcome.DELIVERED
        if self.status in _OURS or not 400 <= self.status < 500:
            return Outcome.LATER
        return Outcome.REFUSED

    def delivery(self) -> Delivery:
        """The same, for the shipper."""
        why = "" if self.outcome is Outcome.DELIVERED else f"status {self.status}"
        return Delivery(self.outcome, why, self.after_seconds)


class Poster:
    """Of one sink."""

    def __init__(self, url: str, credentials: CredentialsReader) -> None:
        self._url = url
        self._secure = urlsplit(url).scheme == "https"
        self._credentials = credentials
        self._session: aiohttp.ClientSession | None = None

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post a body.

        Raises:
            PostError: nothing came back.
            SecretError: the Secret cannot be used.
        """
        tls = self._credentials.tls() if self._secure else True
        try:
            async with self._opened().post(
                self._url, data=body, headers=headers, ssl=tls, allow_redirects=False
            ) as response:
                answer = await _read(response)
                after = retry_after(response.headers.get("Retry-After", ""), time.time())
                return Answer(response.status, answer, after, response.content_type)
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise PostError(_word(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "sidelight", "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=None),  # the shipper's holds
                auto_decompress=False,
            )
        return self._session


def retry_after(value: str, now: float) -> float | None:
    """Seconds that a `Retry-After` asks for, if it is one."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The answer, as far as it is read; a connection with more on it is not used again."""
    found = bytearray()
    async for piece in response.content.iter_chunked(1 << 14):
        found += piece
        if len(found) > MAX_ANSWER_BYTES:
            response.close()
            break
    return bytes(found[:MAX_ANSWER_BYTES])


def _word(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientSSLError):
        return "TLS failed"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name not found"
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return "no connection"
    return "no answer"
