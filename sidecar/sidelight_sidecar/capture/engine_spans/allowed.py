"""What of an engine's spans is passed on in Off and Redacted: messages made anew, of what is on the
list and of nothing else. Pure.

Rules:
1. Numbers and booleans of any name are passed on; texts only of names that are known to hold none
   of the content. Lists of numbers are not: engines have the tokens of a prompt in them.
2. Each text, and each name, has the form of a name and is nothing that the masker finds: the same
   rule as for ids and models of records (`words.py`). So is each number long enough to be one.
3. Of events, links and status what a span is known by remains: names, times, ids, the code.
4. In Full spans pass as they are, and this is not asked.
"""

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from sidelight_sidecar.capture.words import MAX_ID_CHARACTERS, OTHER, Words

MAX_NAME = 64
"""Characters of an attribute's name, a span's or an event's. Default 64: vLLM's longest has 42."""
MAX_ATTRIBUTES = 128
"""Of one span. Default 128, as OpenTelemetry's libraries."""
MAX_EVENTS = 128
MAX_LIST = 16
_TRACE_ID, _SPAN_ID = 16, 8
_LONG = 10**8
"""A number from which on it could be somebody's: of a card, a telephone, an account."""

TEXTS = frozenset({
    "gen_ai.request.id", "gen_ai.request.model", "gen_ai.response.id", "gen_ai.response.model",
    "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.system", "gen_ai.output.type",
    "gen_ai.response.finish_reasons", "gen_ai.token.type", "error.type",
    "http.request.method", "http.method", "http.route", "http.response.status_code",
    "http.status_code", "network.protocol.name", "network.protocol.version", "url.scheme",
    "rpc.system", "rpc.service", "rpc.method", "otel.status_code", "span.kind", "thread.name",
    "code.function", "code.function.name", "code.namespace", "code.lineno",
})  # fmt: skip
"""Names whose texts are passed on. vLLM's, and those of the conventions that its middleware and
other engines use; none that holds an address, a query, a header or what was said."""
OF_RESOURCE = frozenset({
    "service.name", "service.namespace", "service.version", "service.instance.id",
    "deployment.environment", "deployment.environment.name",
    "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version",
    "telemetry.auto.version", "process.runtime.name", "process.runtime.version",
    "vllm.instrumenting_module_name", "vllm.process_id", "vllm.process_kind", "vllm.process_name",
})  # fmt: skip
"""The same of resources."""


class Allowed:
    """The list, with what judges words.

    Args:
        words: with the masker of the settings in force.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        self._is_name = lru_cache(maxsize=1024)(self._judged)

    def of(self, request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
        """What of an export is passed on."""
        return ExportTraceServiceRequest(
            resource_spans=(
                ResourceSpans(
                    resource=Resource(
                        attributes=self._attributes(one.resource.attributes, OF_RESOURCE)
                    ),
                    scope_spans=(self._scope_spans(some) for some in one.scope_spans),
                    schema_url=self._words.name(one.schema_url, MAX_NAME),
                )
                for one in request.resource_spans
            )
        )

    def _scope_spans(self, some: ScopeSpans) -> ScopeSpans:
        return ScopeSpans(
            scope=InstrumentationScope(
                name=self._words.name(some.scope.name, MAX_NAME),
                version=self._words.name(some.scope.version, MAX_NAME),
            ),
            spans=(self._span(span) for span in some.spans if is_whole(span)),
            schema_url=self._words.name(some.schema_url, MAX_NAME),
        )

    def _span(self, span: Span) -> Span:
        links = [link for link in span.links[:MAX_EVENTS] if _has_ids(link)]
        return Span(
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            flags=span.flags & 0x3FF,
            name=self._words.name(span.name, MAX_NAME) or OTHER,
            kind=span.kind if span.kind in Span.SpanKind.values() else 0,  # type: ignore[arg-type]
            start_time_unix_nano=span.start_time_unix_nano,
            end_time_unix_nano=span.end_time_unix_nano,
            attributes=self._attributes(span.attributes, TEXTS),
            events=[
                Span.Event(
                    time_unix_nano=event.time_unix_nano,
                    name=self._words.name(event.name, MAX_NAME) or OTHER,
                )
                for event in span.events[:MAX_EVENTS]
            ],
            links=[Span.Link(trace_id=one.trace_id, span_id=one.span_id) for one in links],
            status=Status(code=span.status.code) if span.status.code in (1, 2) else Status(),
        )

    def _attributes(self, given: Iterable[KeyValue], texts: frozenset[str]) -> Iterator[KeyValue]:
        left = MAX_ATTRIBUTES
        for one in given:
            value = self._value(one.value, texts=one.key in texts)
            if value is not None and left and self._is_name(one.key):
                left -= 1
                yield KeyValue(key=one.key, value=value)

    def _value(self, value: AnyValue, *, texts: bool) -> AnyValue | None:
        kind = value.WhichOneof("value")
        if kind == "bool_value":
            return AnyValue(bool_value=value.bool_value)
        if kind == "int_value":
            return AnyValue(int_value=value.int_value) if self._is_number(value.int_value) else None
        if kind == "double_value":
            passes = self._is_number(value.double_value)
            return AnyValue(double_value=value.double_value) if passes else None
        if kind == "string_value" and texts:
            word = self._words.name(value.string_value, MAX_ID_CHARACTERS)
            return AnyValue(string_value=word) if word else None
        if kind == "array_value" and texts:
            return self._list(value.array_value)
        return None

    def _list(self, values: ArrayValue) -> AnyValue | None:
        """Of words alone."""
        if any(one.WhichOneof("value") != "string_value" for one in values.values):
            return None
        words = [
            self._words.name(one.string_value, MAX_NAME) or OTHER
            for one in values.values[:MAX_LIST]
        ]
        return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=w) for w in words]))

    def _is_number(self, number: float) -> bool:
        if not math.isfinite(number):
            return False
        return abs(number) < _LONG or bool(self._words.name(str(abs(int(number))), MAX_NAME))

    def _judged(self, name: str) -> bool:
        return bool(self._words.name(name, MAX_NAME))


def is_whole(span: Span) -> bool:
    """Whether it has the ids that a span has."""
    return _has_ids(span) and len(span.parent_span_id) in (0, _SPAN_ID)


def _has_ids(one: Span | Span.Link) -> bool:
    return len(one.trace_id) == _TRACE_ID and len(one.span_id) == _SPAN_ID
