"""Spans by the GenAI conventions v1.41.1."""

from __future__ import annotations

import msgspec
import pytest
from receiver import START_NS, TRACE, chat, off, plain

from sidelight_contract.engines import EngineType
from sidelight_sidecar.capture.sinks.otlp.encode import encode_span
from sidelight_sidecar.capture.sinks.otlp.span import MAX_TEXT, span_of
from sidelight_sidecar.records.record import Origin, Times, Tokens


def test_a_streamed_chat_has_every_attribute_that_is_known():
    """Integers are integers: some backends lose tokens that are floats."""
    span = span_of(off())
    assert span.name == "chat llama"
    assert (span.start_ns, span.end_ns) == (START_NS, START_NS + 2_500_000_000)
    assert span.attributes == {
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "llama",
        "gen_ai.response.model": "llama",
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.id": "c-1",
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 46,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 6,
        "openai.api.type": "chat_completions",
        "sidelight.record.id": f"{1:032x}",
        "sidelight.request.id": "r-1",
        "sidelight.api": "openai",
        "sidelight.kept_for": ["sampled"],
        "sidelight.probability": 0.25,
        "sidelight.payloads": "Off",
        "sidelight.tokens.source": "usage",
        "sidelight.energy.joules": 105.2,
        "sidelight.energy.quality": "settled",
        "sidelight.upload_seconds": 0.1,
        "sidelight.time_to_first_byte_seconds": 0.2,
        "sidelight.time_per_output_token_seconds": 0.05,
    }
    usage = [v for k, v in span.attributes.items() if k.startswith("gen_ai.usage.")]
    assert {type(value) for value in usage} == {int}


def test_what_is_not_known_is_left_out():
    """Never zero, never empty."""
    record = off(
        times=Times(START_NS, 1.0), tokens=Tokens(), finish_reasons=[], response_id="", model="",
        stream=False, kept_for=[], api="", origin=Origin(), energy=None,
    )  # fmt: skip
    span = span_of(record)
    assert span.name == "chat"
    assert set(span.attributes) == {
        "http.response.status_code", "gen_ai.operation.name", "gen_ai.provider.name",
        "sidelight.record.id", "sidelight.request.id", "sidelight.probability",
        "sidelight.payloads",
    }  # fmt: skip
    assert span.attributes["gen_ai.provider.name"] == "_OTHER"


def test_the_caller_is_the_parent_and_a_second_delivery_is_the_same_span():
    """By the request's `traceparent`; ids are derived."""
    first, again, other = (encode_span(span_of(chat(number))) for number in (1, 1, 2))
    assert first.trace_id.hex() == TRACE.trace_id
    assert first.parent_span_id.hex() == TRACE.parent_id
    assert first.span_id == again.span_id != other.span_id
    assert len(first.span_id) == 8
    assert first.flags == 0x301


def test_without_a_caller_a_record_is_a_trace_of_its_own():
    """Always the same one."""
    first, again, other = (encode_span(span_of(chat(n, trace=None))) for n in (1, 1, 2))
    assert first.parent_span_id == b""
    assert first.trace_id == again.trace_id != other.trace_id
    assert len(first.trace_id) == 16
    assert first.flags == 1


def test_a_trace_that_was_not_sampled_says_so():
    """The record was kept for a reason of ours."""
    trace = msgspec.structs.replace(TRACE, sampled=False)
    assert encode_span(span_of(chat(trace=trace))).flags == 0x300


def test_a_failure_is_the_spans_status():
    """And `error.type`; what went well has none."""
    failed = encode_span(span_of(chat(error="engine_error", code=500)))
    assert (failed.status.code, failed.status.message) == (2, "engine_error")
    assert span_of(chat(error="engine_error")).attributes["error.type"] == "engine_error"
    assert encode_span(span_of(chat())).status.code == 0
    assert failed.kind == 2


@pytest.mark.parametrize(
    ("operation", "api", "name", "kind"),
    [
        ("messages", "anthropic", "chat", None),
        ("responses", "openai_responses", "chat", "responses"),
        ("chat", "ollama", "chat", None),
        ("generate", "tgi", "text_completion", None),
        ("text_completion", "openai", "text_completion", None),
        ("embeddings", "openai_embeddings", "embeddings", None),
        ("infer", "kserve", "infer", None),
    ],
)
def test_operations_have_the_conventions_names(
    operation: str, api: str, name: str, kind: str | None
):
    """Backends tell a model's call by them."""
    span = span_of(chat(operation=operation, api=api))
    assert span.name == f"{name} llama"
    assert span.attributes["gen_ai.operation.name"] == name
    assert span.attributes.get("openai.api.type") == kind


def test_what_is_no_inference_is_an_http_span():
    """The conventions for generative AI have nothing to say of it."""
    span = span_of(off(operation="other"))
    assert span.name == "HTTP"
    assert [name for name in span.attributes if name.startswith("gen_ai")] == []


def test_every_engine_has_a_providers_name():
    """But for what is no engine's name."""
    names = {
        engine: span_of(off(origin=Origin(engine=engine.value), api="")).attributes[
            "gen_ai.provider.name"
        ]
        for engine in EngineType
    }
    nameless = {engine for engine, name in names.items() if name == "_OTHER"}
    assert nameless == {EngineType.AUTO, EngineType.GENERIC}
    spoken = span_of(off(origin=Origin(), api="anthropic"))
    assert spoken.attributes["gen_ai.provider.name"] == "anthropic"


def test_texts_have_a_limit():
    """An id is the engine's own word."""
    span = span_of(off(response_id="x" * 5000, model="m" * 5000))
    assert len(str(span.attributes["gen_ai.response.id"])) == MAX_TEXT
    assert len(span.name) == MAX_TEXT


def test_a_count_that_no_integer_of_otlp_holds_costs_the_count_alone():
    """An engine can say anything."""
    span = encode_span(span_of(off(tokens=Tokens("usage", 10**30, 2**63 - 1))))
    found = plain(span.attributes)
    assert "gen_ai.usage.input_tokens" not in found
    assert found["gen_ai.usage.output_tokens"] == 2**63 - 1
