"""From what is passed on of an export to requests for one backend: with where it was observed, and
of the size that the backend takes. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

SERVICE = "service.name"
_UNKNOWN = "unknown_service"
"""What OpenTelemetry's libraries say where nobody has named it, with the program behind."""
_PER_SPAN_BYTES = 8
_ENVELOPE_BYTES = 1 << 10


class Ready(NamedTuple):
    """One request."""

    body: bytes
    spans: int


def requests_of(
    export: ExportTraceServiceRequest,
    resource: Mapping[str, str],
    more: Mapping[str, str],
    most_bytes: int,
) -> Iterator[Ready]:
    """Requests of so many bytes at most, if no span alone has more.

    Args:
        export: of an engine.
        resource: attributes of ours; the engine's name for itself goes before that of these.
        more: attributes that each span is to have, too.
        most_bytes: of a request.
    """
    packing = _Packing(most_bytes)
    for one in export.resource_spans:
        if one.resource.ByteSize() > most_bytes // 4:  # else it could be most of each request
            one.resource.ClearField("attributes")
        base = ResourceSpans(schema_url=one.schema_url)
        base.resource.attributes.extend(_joined(one.resource, resource))
        for some in one.scope_spans:
            scope = ScopeSpans(schema_url=some.schema_url)
            if some.scope.ByteSize() <= most_bytes // 4:
                scope.scope.CopyFrom(some.scope)
            packing.begin(base, scope)
            for span in some.spans:
                span.attributes.extend(_attribute(name, value) for name, value in more.items())
                yield from packing.add(span)
    yield from packing.end()


def halves(ready: Ready) -> tuple[Ready, Ready]:
    """The same spans in two requests, if there is more than one."""
    first = ExportTraceServiceRequest.FromString(ready.body)
    second = ExportTraceServiceRequest.FromString(ready.body)
    half = ready.spans // 2
    _keep(first, range(half))
    _keep(second, range(half, ready.spans))
    return (
        Ready(first.SerializeToString(), half),
        Ready(second.SerializeToString(), ready.spans - half),
    )


def _keep(request: ExportTraceServiceRequest, wanted: range) -> None:
    """Leave so many spans of a request, with the resources and scopes that they need."""
    number = 0
    for one in request.resource_spans:
        for some in one.scope_spans:
            kept = [span for at, span in enumerate(some.spans, number) if at in wanted]
            number += len(some.spans)
            del some.spans[:]
            some.spans.extend(kept)
        kept_scopes = [some for some in one.scope_spans if some.spans]
        del one.scope_spans[:]
        one.scope_spans.extend(kept_scopes)
    kept_resources = [one for one in request.resource_spans if one.scope_spans]
    del request.resource_spans[:]
    request.resource_spans.extend(kept_resources)


class _Packing:
    """Fills one request after the other."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._base, self._scope = ResourceSpans(), ScopeSpans()
        self._begin()

    def _begin(self) -> None:
        self._request = ExportTraceServiceRequest()
        self._size = _ENVELOPE_BYTES
        self._spans = 0
        self._place: ScopeSpans | None = None
        self._resource: ResourceSpans | None = None
        self._of: ResourceSpans | None = None

    def begin(self, base: ResourceSpans, scope: ScopeSpans) -> None:
        """Spans that come are of this resource and scope."""
        self._base, self._scope, self._place = base, scope, None
        self._head = base.ByteSize() + scope.ByteSize()

    def add(self, span: Span) -> Iterator[Ready]:
        """One more; a request that it does not fit into is done."""
        size = span.ByteSize() + _PER_SPAN_BYTES
        head = self._head if self._place is None else 0
        if self._spans and self._size + head + size > self._most:
            yield from self.end()
            head = self._head
        self._size += head + size
        if self._place is None:
            if self._resource is None or self._of is not self._base:
                self._resource, self._of = self._request.resource_spans.add(), self._base
                self._resource.CopyFrom(self._base)
            self._place = self._resource.scope_spans.add()
            self._place.CopyFrom(self._scope)
        self._place.spans.append(span)
        self._spans += 1

    def end(self) -> Iterator[Ready]:
        """What there is of a request."""
        if self._spans:
            yield Ready(self._request.SerializeToString(), self._spans)
        self._begin()


def _joined(engine: Resource, ours: Mapping[str, str]) -> list[KeyValue]:
    """Where it was observed is ours to say; what it is called, the engine's, if it was told."""
    named = any(
        one.key == SERVICE and not one.value.string_value.startswith(_UNKNOWN)
        for one in engine.attributes
        if one.value.string_value
    )
    said = {name: value for name, value in ours.items() if not (named and name == SERVICE)}
    kept = [one for one in engine.attributes if one.key not in said]
    return [*kept, *(_attribute(name, value) for name, value in said.items())]


def _attribute(name: str, value: str) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=value))
