"""OTLP over HTTP: protobuf, in gzip where the backend takes it."""

import asyncio
import gzip
from collections.abc import Mapping

from sidelight_sidecar.capture.ship.policy import Outcome
from sidelight_sidecar.capture.sinks.credentials import CredentialsReader
from sidelight_sidecar.capture.sinks.otlp.exported import Exported, taken
from sidelight_sidecar.capture.sinks.posting import Poster

PROTOBUF = "application/x-protobuf"
LEVEL = 4
"""Of gzip. Default 4: text is a third then, at twice the default level's speed."""


def address_of(endpoint: str, path: str) -> str:
    """Where to post: the endpoint with the dialect's path, unless it has one for traces already."""
    endpoint = endpoint.rstrip("/")
    return endpoint if endpoint.endswith("/traces") else endpoint + path


class HttpTransport:
    """To one address."""

    def __init__(self, url: str, credentials: CredentialsReader, *, compressed: bool) -> None:
        self._poster = Poster(url, credentials)
        self._compressed = compressed

    async def export(self, body: bytes, headers: Mapping[str, str]) -> Exported:
        """Post one request."""
        sent = {**headers, "Content-Type": PROTOBUF}
        if self._compressed:
            sent["Content-Encoding"] = "gzip"
            body = await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)
        answer = await self._poster.post(sent, body)
        if answer.outcome is Outcome.DELIVERED:
            return taken(answer.body if answer.media_type == PROTOBUF else b"")
        return Exported(answer.outcome, f"status {answer.status}", answer.after_seconds)

    async def close(self) -> None:
        """Close all connections."""
        await self._poster.close()
