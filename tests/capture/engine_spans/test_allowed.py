"""What of an engine's spans is passed on in Off and Redacted."""

from __future__ import annotations

from typing import Any

from engine_export import (
    PARENT_ID,
    PLAIN,
    SECRET,
    TRACE_ID,
    attributes_of,
    engine_span,
    export_of,
    leaking_span,
    value_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from receiver import plain, spans_in

from sidelight_sidecar.capture.engine_spans.allowed import (
    MAX_ATTRIBUTES,
    MAX_NAME,
    OF_RESOURCE,
    TEXTS,
    Allowed,
)
from sidelight_sidecar.capture.mask.text import TextMasker
from sidelight_sidecar.capture.words import OTHER, Words

ALLOWED = Allowed(Words(TextMasker()))
MARK = "Zebra said"
"""Of content: no name has a space."""
CONTENT = st.text(max_size=20).map(lambda text: f"{text}{MARK}{text}")
VALUES = st.recursive(
    CONTENT | CONTENT.map(str.encode) | st.booleans() | st.integers(-(2**63), 2**63 - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CONTENT, inner, max_size=3),
    max_leaves=6,
)
NAMES = CONTENT | st.sampled_from(sorted(TEXTS | OF_RESOURCE)) | st.text(max_size=30)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=6)


def passed_on(export: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """As it is sent: through its bytes."""
    return ExportTraceServiceRequest.FromString(ALLOWED.of(export).SerializeToString())


def test_what_vllm_says_of_a_request_is_passed_on_whole():
    """Ids, times, figures, and the parent by which traces join."""
    span = engine_span(attributes=PLAIN | {"gen_ai.response.finish_reasons": ["stop", SECRET]})
    (passed,) = spans_in(passed_on(export_of(span)))
    found = plain(passed.attributes)
    assert found.pop("gen_ai.response.finish_reasons") == ["stop", OTHER]
    assert found == PLAIN
    assert (passed.trace_id, passed.parent_span_id) == (TRACE_ID, PARENT_ID)
    assert passed.name == "llm_request"
    assert passed.kind == span.kind
    assert passed.end_time_unix_nano == span.end_time_unix_nano


def test_content_is_passed_on_from_nowhere():
    """Texts, names, lists of tokens, events, links, states, and what is nobody's field."""
    export = export_of(leaking_span(), resource={"service.name": SECRET, "host.name": SECRET})
    export.resource_spans[0].scope_spans[0].scope.name = SECRET
    export.resource_spans[0].schema_url = SECRET
    unknown = b"\xfa\x07" + bytes([len(SECRET)]) + SECRET.encode()  # field 127
    assert SECRET.encode() in ExportTraceServiceRequest.FromString(unknown).SerializeToString()
    export.MergeFromString(unknown)
    sent = ALLOWED.of(export).SerializeToString()
    assert b"anna" not in sent
    assert b"write" not in sent
    (span,) = spans_in(ExportTraceServiceRequest.FromString(sent))
    kept = ("gen_ai.request.temperature", "gen_ai.usage.prompt_tokens",
            "gen_ai.latency.time_in_queue", "stream")  # fmt: skip
    assert plain(span.attributes) == {name: PLAIN[name] for name in kept}
    assert span.name == OTHER
    assert span.events[0].name == OTHER
    assert span.status == Status(code=Status.STATUS_CODE_ERROR)
    assert span.links[0].span_id == PARENT_ID


@settings(max_examples=150, deadline=None)
@given(of_span=ATTRIBUTES, of_event=ATTRIBUTES, of_resource=ATTRIBUTES, name=CONTENT)
def test_no_content_passes_whatever_attributes_there_are(
    of_span: dict[str, Any], of_event: dict[str, Any], of_resource: dict[str, Any], name: str
):
    """At any depth, of any type, under any name."""
    span = engine_span(attributes=of_span)
    span.events.add(name=name, attributes=attributes_of(of_event))
    span.status.message = name
    sent = ALLOWED.of(export_of(span, resource=of_resource or {"a": name}))
    assert MARK.encode() not in sent.SerializeToString()
    for one in spans_in(sent)[0].attributes:
        kind = one.value.WhichOneof("value")
        assert kind in ("bool_value", "int_value", "double_value") or one.key in TEXTS


def test_a_number_that_is_somebodys_is_not_passed_on():
    """A card's, whether as an integer or not; a time in nanoseconds is."""
    given_values = {"a": 4111111111111111, "b": 4111111111111111.0, "c": float("nan"), "d": 7}
    (span,) = spans_in(ALLOWED.of(export_of(engine_span(attributes=given_values))))
    assert plain(span.attributes) == {"d": 7}


def test_what_is_no_span_is_left_out_and_names_and_counts_are_bounded():
    """Without ids a backend would refuse all of the request."""
    many = engine_span(attributes={f"n{number}": number for number in range(500)})
    long = engine_span(name="x" * (MAX_NAME + 1), attributes={"y" * (MAX_NAME + 1): 1})
    broken = [
        engine_span(trace_id=b"1"),
        engine_span(span_id=b""),
        engine_span(parent_span_id=b"1"),
    ]
    first, second = spans_in(ALLOWED.of(export_of(many, long, *broken)))
    assert len(first.attributes) == MAX_ATTRIBUTES
    assert second.name == OTHER
    assert not second.attributes


def test_a_text_of_a_name_on_the_list_is_judged_as_ids_of_records_are():
    """A client chooses its request's id."""
    for value, passes in (("chatcmpl-1", True), (SECRET, False), ("a@example.com", False)):
        kept = ALLOWED._value(value_of(value), texts=True)
        assert (kept is not None) is passes
