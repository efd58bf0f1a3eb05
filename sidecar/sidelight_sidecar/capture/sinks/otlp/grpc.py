"""OTLP over gRPC, and what its statuses mean for what was sent (OTLP's specification, Failures)."""

import asyncio
import gzip
from collections.abc import Mapping
from urllib.parse import urlsplit

from sidelight_sidecar.capture.ship.policy import Outcome
from sidelight_sidecar.capture.sinks.credentials import CredentialsReader
from sidelight_sidecar.capture.sinks.otlp.exported import Exported, taken
from sidelight_sidecar.capture.sinks.otlp.http import LEVEL
from sidelight_sidecar.capture.sinks.otlp.retry_info import retry_seconds
from sidelight_sidecar.capture.sinks.otlp.unary import Channel, Reply

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_OK = 0
_RESOURCE_EXHAUSTED = 8
_REFUSED = frozenset({3, 6, 9})
"""INVALID_ARGUMENT, ALREADY_EXISTS, FAILED_PRECONDITION: said of what was sent."""


class GrpcTransport:
    """To one server: `http://host:port` in plain text, `https://host:port` with TLS."""

    def __init__(
        self,
        endpoint: str,
        credentials: CredentialsReader,
        *,
        compressed: bool,
        method: str = METHOD,
    ) -> None:
        parts = urlsplit(endpoint)
        secure = parts.scheme == "https"
        self._channel = Channel(
            parts.hostname or "", parts.port or 4317, credentials.tls if secure else None
        )
        self._compressed = compressed
        self._method = method

    async def export(self, body: bytes, headers: Mapping[str, str]) -> Exported:
        """Make one call."""
        metadata = {name.lower(): value for name, value in headers.items()}
        if self._compressed:
            metadata["grpc-encoding"] = "gzip"
            body = await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)
        return exported(await self._channel.unary(self._method, metadata, body))

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


def exported(reply: Reply) -> Exported:
    """What a reply means."""
    status = reply.status
    if status is None:
        http = reply.headers.get(":status", "")
        said = f"status {http}" if http.isascii() and http.isdigit() else "no answer"
        return Exported(Outcome.LATER, said)
    if status == _OK:
        return taken(reply.message)
    after = retry_seconds(reply.details)
    # without a time to come back, it is the request that is too large
    too_large = status == _RESOURCE_EXHAUSTED and after is None
    outcome = Outcome.REFUSED if status in _REFUSED or too_large else Outcome.LATER
    return Exported(outcome, f"gRPC status {status}", after)
