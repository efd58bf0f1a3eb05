"""Sends snapshots of metrics to the backend of an OTLP sink.

Rules:
1. Headers, Secret, resource, compression and size limits are those of the sink's spans.
2. What the backend has of a snapshot and what not is counted by the shipper; nothing is resent.
"""

import asyncio
from pathlib import Path

from sidelight_contract.export import OtlpProtocol, OtlpSinkSettings
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.sinks.credentials import CredentialsReader
from sidelight_sidecar.capture.sinks.otlp.dialects import DIALECTS
from sidelight_sidecar.capture.sinks.otlp.encode import resource_of
from sidelight_sidecar.capture.sinks.otlp.exported import Transport
from sidelight_sidecar.capture.sinks.otlp.http import HttpTransport
from sidelight_sidecar.capture.sinks.otlp.sink import sent_headers
from sidelight_sidecar.capture.sinks.otlp_metrics.convert import requests_of
from sidelight_sidecar.capture.sinks.posting import PostError
from sidelight_sidecar.capture.sinks.secret import SecretError
from sidelight_sidecar.records.metrics import Snapshot
from sidelight_sidecar.records.record import Origin

PATH = "/v1/metrics"
METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


class OtlpMetrics:
    """To one backend.

    Args:
        settings: the sink's.
        origin: where this is.
        credentials: the sink's Secret.
        transport: how requests get there.
    """

    def __init__(
        self,
        settings: OtlpSinkSettings,
        origin: Origin,
        credentials: CredentialsReader,
        transport: Transport,
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._dialect = DIALECTS[settings.dialect]
        self._origin = origin
        self._credentials = credentials
        self._transport = transport

    async def send(self, snapshot: Snapshot) -> Delivery:
        """Send a snapshot, in as many requests as it takes."""
        rejected = 0
        try:
            headers = sent_headers(self._settings, self._dialect, self._credentials.read())
            more = {**self._dialect.resource(self._origin, headers), **self._settings.resource}
            resource = resource_of(self._origin, more)
            most = self._dialect.max_request_bytes
            for body in await asyncio.to_thread(self._requests, snapshot, resource, most):
                result = await self._transport.export(body, headers)
                if result.outcome is not Outcome.DELIVERED:
                    return Delivery(result.outcome, result.why)
                rejected += result.rejected
        except (PostError, SecretError) as error:
            return Delivery(Outcome.LATER, str(error))
        why = "data points rejected" if rejected else ""
        return Delivery(Outcome.DELIVERED, why, refused=rejected)

    def _requests(self, snapshot: Snapshot, resource: dict[str, str], most: int) -> list[bytes]:
        return list(requests_of(snapshot, self._origin, resource, most))

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()


def metrics_address(endpoint: str) -> str:
    """Where to post, of a sink's endpoint: a base address, or that of traces."""
    endpoint = endpoint.rstrip("/")
    base = endpoint.removesuffix("/traces")
    return f"{base}/metrics" if base != endpoint else endpoint + PATH


def make_otlp_metrics(settings: OtlpSinkSettings, origin: Origin, secret: Path) -> OtlpMetrics:
    """Over the transport that the sink's settings name, with its Secret's folder."""
    compressed = DIALECTS[settings.dialect].gzip
    if settings.protocol is OtlpProtocol.GRPC:
        from sidelight_sidecar.capture.sinks.otlp.grpc import (  # noqa: PLC0415 - h2 for who asks
            GrpcTransport,
        )

        credentials = CredentialsReader(secret, ("h2",))
        called = GrpcTransport(settings.endpoint, credentials, compressed=compressed, method=METHOD)
        return OtlpMetrics(settings, origin, credentials, called)
    credentials = CredentialsReader(secret)
    address = metrics_address(settings.endpoint)
    posted = HttpTransport(address, credentials, compressed=compressed)
    return OtlpMetrics(settings, origin, credentials, posted)
