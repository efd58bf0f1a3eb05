"""Exports of spans as an engine makes them."""

from __future__ import annotations

import io
import socket
from typing import Any

import aiohttp
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

PROTOBUF = {"Content-Type": "application/x-protobuf"}
TRACE_ID = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
PARENT_ID = bytes.fromhex("b7ad6b7169203331")
SECRET = "write to anna@example.com"
PLAIN = {
    "gen_ai.request.id": "chatcmpl-7",
    "gen_ai.response.model": "llama",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.latency.time_in_queue": 0.25,
    "stream": True,
}
"""What vLLM says of a request."""


def value_of(value: Any) -> AnyValue:
    """A Python value as an attribute's."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[value_of(one) for one in value]))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=attributes_of(value)))
    return AnyValue(string_value=value)


def attributes_of(values: dict[str, Any]) -> list[KeyValue]:
    """Attributes."""
    return [KeyValue(key=name, value=value_of(value)) for name, value in values.items()]


def engine_span(number: int = 1, attributes: dict[str, Any] | None = None, **more: Any) -> Span:
    """One as vLLM's `llm_request`, of a request with a `traceparent`."""
    fields: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": number.to_bytes(8, "big"),
        "parent_span_id": PARENT_ID,
        "name": "llm_request",
        "kind": Span.SPAN_KIND_SERVER,
        "start_time_unix_nano": 1_764_000_000_000_000_000,
        "end_time_unix_nano": 1_764_000_001_000_000_000,
    }
    found = attributes_of(PLAIN if attributes is None else attributes)
    return Span(**(fields | more), attributes=found)


def export_of(*spans: Span, resource: dict[str, Any] | None = None) -> ExportTraceServiceRequest:
    """A request with them."""
    said = {"service.name": "unknown_service:python3", "vllm.process_id": "7"}
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=attributes_of(resource or said)),
                scope_spans=[
                    ScopeSpans(scope=InstrumentationScope(name="vllm.llm_engine"), spans=spans)
                ],
            )
        ]
    )


def leaking_span() -> Span:
    """One with content wherever a span can have some."""
    span = engine_span(
        2,
        {
            **PLAIN,
            "gen_ai.prompt": SECRET,
            "gen_ai.request.id": SECRET,
            "gen_ai.response.model": "anna@example.com",
            "gen_ai.input.messages": [SECRET],
            "tokens": [1, 2, 3],
            "nested": {"inner": SECRET},
            "raw": SECRET.encode(),
            SECRET: 1,
            "card": 4111111111111111,
        },
        name=SECRET,
        trace_state=f"a={SECRET}",
        status=Status(code=Status.STATUS_CODE_ERROR, message=SECRET),
    )
    span.events.add(name=SECRET, attributes=attributes_of({"exception.message": SECRET}))
    span.links.add(
        trace_id=TRACE_ID, span_id=PARENT_ID, attributes=attributes_of({"a": SECRET}),
        trace_state=SECRET,
    )  # fmt: skip
    return span


def free_port() -> int:
    """One of loopback."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def status(url: str, data: object, headers: dict[str, str] | None = None) -> int:
    """Of a post."""
    data = io.BytesIO(data) if isinstance(data, bytes) else data
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=data, headers=headers or PROTOBUF) as answer,
    ):
        return answer.status
