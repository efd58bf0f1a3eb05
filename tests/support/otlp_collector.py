"""A server of gRPC's own library that takes spans."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from receiver import plain, spans_in

Context = grpc.aio.ServicerContext
Handler = Callable[[ExportTraceServiceRequest, Context], Awaitable[ExportTraceServiceResponse]]


@dataclass
class Collector:
    """A running server."""

    address: str = ""
    calls: list[tuple[ExportTraceServiceRequest, dict[str, Any]]] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)
    answer: Handler | None = None

    async def export(
        self, request: ExportTraceServiceRequest, context: Context
    ) -> ExportTraceServiceResponse:
        self.calls.append((request, dict(context.invocation_metadata() or ())))
        self.peers.append(context.peer())
        if self.answer is not None:
            return await self.answer(request, context)
        return ExportTraceServiceResponse()

    @property
    def spans(self) -> list[Span]:
        """Of all requests."""
        return [span for request, _ in self.calls for span in spans_in(request)]

    @property
    def names(self) -> list[str]:
        """Their request ids."""
        return [plain(span.attributes)["sidelight.request.id"] for span in self.spans]


@asynccontextmanager
async def collector(
    *, port: int = 0, credentials: grpc.ServerCredentials | None = None, **options: int
) -> AsyncIterator[Collector]:
    """One on loopback."""
    made = Collector()
    server = grpc.aio.server(options=[(f"grpc.{name}", value) for name, value in options.items()])
    method = grpc.unary_unary_rpc_method_handler(
        made.export,
        request_deserializer=ExportTraceServiceRequest.FromString,
        response_serializer=ExportTraceServiceResponse.SerializeToString,
    )
    name = "opentelemetry.proto.collector.trace.v1.TraceService"
    handlers = grpc.method_handlers_generic_handler(name, {"Export": method})
    server.add_generic_rpc_handlers((handlers,))
    place = f"127.0.0.1:{port}"
    if credentials is None:
        made.address = f"http://127.0.0.1:{server.add_insecure_port(place)}"
    else:
        made.address = f"https://localhost:{server.add_secure_port(place, credentials)}"
    await server.start()
    try:
        yield made
    finally:
        await server.stop(0)
