"""Spans as OTLP's protobuf messages, in requests of so many bytes at most."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import (
    ResourceSpans,
    ScopeSpans,
    SpanFlags,
    Status,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from sidelight_sidecar.capture.sinks.otlp.span import Span, Value
from sidelight_sidecar.capture.spool.queue import Entry
from sidelight_sidecar.records.record import Origin

_SAMPLED = 1
_ENVELOPE_BYTES = 16 << 10
"""Of a request without its spans, at most: the resource."""
_PER_SPAN_BYTES = 8


class Encoded(NamedTuple):
    """One record's."""

    entry: Entry
    origin: Origin
    span: SpanMessage


def encode_span(span: Span) -> SpanMessage:
    """A span's message."""
    flags = _SAMPLED if span.sampled else 0
    if span.parent_id:
        flags |= SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
        flags |= SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
    status = Status(code=Status.STATUS_CODE_ERROR, message=span.error) if span.error else Status()
    return SpanMessage(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        flags=flags,
        name=span.name,
        kind=SpanMessage.SPAN_KIND_SERVER,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_attributes(span.attributes),
        status=status,
    )


def resource_of(origin: Origin, more: Mapping[str, str]) -> dict[str, str]:
    """Where it was observed, as a resource's attributes."""
    found = {
        "service.name": origin.observed_model or "sidelight",
        "service.namespace": origin.namespace,
        "service.version": origin.version,
        "service.instance.id": origin.pod,
        "k8s.namespace.name": origin.namespace,
        "k8s.pod.name": origin.pod,
        "sidelight.engine": origin.engine,
        "sidelight.release": origin.release,
    }
    return {name: value for name, value in (found | dict(more)).items() if value}


def request_of(spans: Sequence[Encoded], resource: Mapping[str, str]) -> bytes:
    """A request with spans of one origin."""
    scope = InstrumentationScope(name="sidelight", version=spans[0].origin.release)
    message = ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=_attributes(resource)),
                scope_spans=[ScopeSpans(scope=scope, spans=[one.span for one in spans])],
            )
        ]
    )
    return message.SerializeToString()


def packed(spans: Iterable[Encoded], most_bytes: int) -> Iterator[list[Encoded]]:
    """Spans in groups of one origin that fit into a request; one that fits into none is alone."""
    group: list[Encoded] = []
    size = _ENVELOPE_BYTES
    for one in spans:
        own = one.span.ByteSize() + _PER_SPAN_BYTES
        if group and (size + own > most_bytes or one.origin != group[0].origin):
            yield group
            group, size = [], _ENVELOPE_BYTES
        group.append(one)
        size += own
    if group:
        yield group


def _attributes(values: Mapping[str, Value] | Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_any(value)) for name, value in values.items()]


def _any(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=_utf8(value))
    return AnyValue(array_value=ArrayValue(values=[_any(one) for one in value]))


def _utf8(text: str) -> str:
    """Text that protobuf takes: half a surrogate pair is none."""
    return text.encode("utf-8", "replace").decode()
