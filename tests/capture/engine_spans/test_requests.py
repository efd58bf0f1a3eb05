"""Requests for a backend, of an engine's export."""

from __future__ import annotations

from engine_export import engine_span, export_of
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from receiver import plain, spans_in

from sidelight_sidecar.capture.engine_spans.requests import Ready, halves, requests_of

OURS = {"service.name": "chat", "k8s.pod.name": "chat-0"}
MOST = 8192


def parsed(ready: Ready) -> ExportTraceServiceRequest:
    """As the backend reads it."""
    return ExportTraceServiceRequest.FromString(ready.body)


def test_where_it_was_observed_is_ours_and_its_name_the_engines_if_it_was_told():
    """`unknown_service` is nobody's word."""
    for said, name in (("engine", "engine"), ("unknown_service:python3", "chat"), ("", "chat")):
        resource = {"service.name": said, "k8s.pod.name": "another", "vllm.process_id": "7"}
        (ready,) = requests_of(export_of(engine_span(), resource=resource), OURS, {}, MOST)
        (one,) = parsed(ready).resource_spans
        found = {"service.name": name, "k8s.pod.name": "chat-0", "vllm.process_id": "7"}
        assert plain(one.resource.attributes) == found
        assert len(one.resource.attributes) == 3


def test_what_a_backend_wants_on_each_span_is_there():
    """Galileo's project."""
    (ready,) = requests_of(export_of(engine_span()), OURS, {"galileo.project.name": "chat"}, MOST)
    assert plain(spans_in(parsed(ready))[0].attributes)["galileo.project.name"] == "chat"


@settings(max_examples=60, deadline=None)
@given(
    scopes=st.lists(st.integers(0, 40), max_size=5),
    pad=st.integers(0, 500),
    big_resource=st.booleans(),
)
def test_every_span_goes_once_in_order_in_requests_of_the_size(
    scopes: list[int], pad: int, big_resource: bool
):
    """And all requests together are not much more than what came, whatever the resource."""
    export = ExportTraceServiceRequest()
    ids, number = [], 0
    for count in scopes:
        spans = []
        for _ in range(count):
            number += 1
            ids.append(number)
            spans.append(engine_span(number, {"pad": "x" * pad}))
        resource = {"a": "y" * (MOST if big_resource else 100)}
        export.MergeFrom(export_of(*spans, resource=resource))
    came = export.ByteSize()
    found = list(requests_of(export, OURS, {}, MOST))
    sent = [int.from_bytes(one.span_id, "big") for r in found for one in spans_in(parsed(r))]
    assert sent == ids
    assert [one.spans for one in found] == [len(spans_in(parsed(one))) for one in found]
    assert all(len(one.body) <= MOST for one in found)
    assert sum(len(one.body) for one in found) <= 2 * came + 200 * len(scopes)


def test_a_span_that_fits_into_none_goes_alone():
    """The backend refuses that one, and no other."""
    large = engine_span(2, {"a": "x" * (2 * MOST)})
    found = list(requests_of(export_of(engine_span(1), large, engine_span(3)), OURS, {}, MOST))
    assert [one.spans for one in found] == [1, 1, 1]


def test_without_spans_there_is_no_request():
    """Nothing is to be said."""
    assert list(requests_of(export_of(), OURS, {}, MOST)) == []


@given(scopes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_halves_have_each_span_once_where_it_was(scopes: list[int]):
    """With its resource and its scope, and none that is empty."""
    export, number = ExportTraceServiceRequest(), 0
    for count in scopes:
        export.MergeFrom(
            export_of(
                *[engine_span(number + one) for one in range(1, count + 1)],
                resource={"a": str(number)},
            )
        )
        number += count
    whole = Ready(export.SerializeToString(), number)
    if number == 1:
        return
    first, second = halves(whole)
    assert (first.spans, second.spans) == (number // 2, number - number // 2)
    assert placed(first) + placed(second) == placed(whole)
    for half in (first, second):
        assert all(some.spans for one in parsed(half).resource_spans for some in one.scope_spans)


def placed(ready: Ready) -> list[tuple[object, str, bytes]]:
    """Spans, each with its resource and scope."""
    return [
        (plain(one.resource.attributes)["a"], some.scope.name, span.SerializeToString())
        for one in parsed(ready).resource_spans
        for some in one.scope_spans
        for span in some.spans
    ]
