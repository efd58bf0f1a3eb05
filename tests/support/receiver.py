"""A record of a chat, and an HTTP server that keeps what it is sent: for sinks that post."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sidelight_sidecar.capture.spool.queue import Entry
from sidelight_sidecar.records.record import (
    Body,
    Energy,
    Origin,
    Record,
    Times,
    Tokens,
    Trace,
    encode_record,
)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

START_NS = 1_764_000_000_123_456_789
TRACE = Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True)
REQUEST = {
    "model": "llama",
    "temperature": 1,
    "max_tokens": 64,
    "stop": ["###"],
    "messages": [{"role": "user", "content": "Write to [EMAIL]"}],
}
ANSWER = {
    "id": "c-1",
    "model": "llama",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It is sent."},
            "finish_reason": "stop",
        }
    ],
}


def body(value: object, **more: Any) -> Body:
    """A masked one."""
    return Body("application/json", 100, msgspec.Raw(msgspec.json.encode(value)), **more)


def chat(number: int = 1, **changes: Any) -> Record:
    """A streamed chat that went well, with masked payloads."""
    made = Record(
        id=f"{number:032x}",
        request_id=f"r-{number}",
        origin=Origin("ml", "chat-0", "chat", "v1", "VLLM", "0.1.0"),
        times=Times(START_NS, 2.5, 0.1, 0.2, 0.25, 0.05),
        operation="chat",
        payloads="Redacted",
        code=200,
        api="openai",
        model="llama",
        stream=True,
        choices=1,
        finish_reasons=["stop"],
        response_id="c-1",
        tokens=Tokens("usage", 12, 46, 4, 6),
        energy=Energy(105.2, "settled"),
        trace=TRACE,
        kept_for=["sampled"],
        probability=0.25,
        request=body(REQUEST),
        response=body(ANSWER),
        findings={"email": 1},
    )
    return msgspec.structs.replace(made, **changes)


def off(number: int = 1, **changes: Any) -> Record:
    """The same without payloads."""
    bare = {"payloads": "Off", "request": Body(), "response": Body(), "findings": {}}
    return chat(number, **(bare | changes))


def entries(*records: Record) -> list[Entry]:
    """As the shipper sends them."""
    return [Entry(number, encode_record(one), 0.0) for number, one in enumerate(records)]


@dataclass
class Posted:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> bytes:
        """Decompressed."""
        zipped = self.headers.get("Content-Encoding") == "gzip"
        return gzip.decompress(self.body) if zipped else self.body

    @property
    def otlp(self) -> ExportTraceServiceRequest:
        """As an export of spans."""
        return ExportTraceServiceRequest.FromString(self.data)

    @property
    def spans(self) -> list[Span]:
        """All of it."""
        return spans_in(self.otlp)


@dataclass
class Receiver:
    """A running server."""

    posted: list[Posted] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    """What it says, one after the other; then 200."""
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        data = await request.content.read()
        self.posted.append(Posted(request.path, request.headers.copy(), data))
        return self.answers.pop(0) if self.answers else web.Response()

    @property
    def spans(self) -> list[Span]:
        """Of all requests."""
        return [span for one in self.posted for span in one.spans]


@asynccontextmanager
async def receiver(handle: Handler | None = None, **options: Any) -> AsyncIterator[Receiver]:
    """A server on loopback; `ssl_context` makes it speak TLS, `handle` answers otherwise."""
    made = Receiver()
    server = web.Server(handle or made.handle, auto_decompress=False)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, **options)
    await site.start()
    scheme = "https" if options else "http"
    made.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


def spans_in(request: ExportTraceServiceRequest) -> list[Span]:
    """Whatever their resource and scope."""
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def plain(attributes: Sequence[KeyValue]) -> dict[str, Any]:
    """Attributes as Python values."""
    return {one.key: _plain(one.value) for one in attributes}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    return getattr(value, kind)
