"""OTLP sinks under test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from receiver import Posted, entries, plain, receiver

from sidelight_contract.export import OtlpDialect, OtlpSinkSettings
from sidelight_sidecar.capture.sinks.otlp.sink import OtlpSink, make_otlp_sink
from sidelight_sidecar.records.record import Record


@asynccontextmanager
async def otlp_sink(
    endpoint: str, secrets: Path = Path("/nowhere"), **settings: Any
) -> AsyncIterator[OtlpSink]:
    """A sink that is closed at the end."""
    made = make_otlp_sink(OtlpSinkSettings(name="traces", endpoint=endpoint, **settings), secrets)
    try:
        yield made
    finally:
        await made.close()


async def posted_by(
    dialect: OtlpDialect, record: Record, secrets: Path, **settings: Any
) -> tuple[Posted, dict[str, Any], dict[str, Any]]:
    """The request that a dialect makes of a record, the span's attributes and the resource's."""
    async with (
        receiver() as server,
        otlp_sink(server.url, secrets, dialect=dialect, **settings) as sink,
    ):
        delivery = await sink.send(entries(record))
        assert delivery.outcome == "delivered", delivery
        (posted,) = server.posted
    (resource,) = posted.otlp.resource_spans
    (span,) = posted.spans
    return posted, plain(span.attributes), plain(resource.resource.attributes)
