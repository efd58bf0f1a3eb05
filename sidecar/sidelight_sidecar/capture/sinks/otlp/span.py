"""From a record to a span, by OpenTelemetry's conventions for generative AI, v1.41.1. Pure.

Rules:
1. Ids are derived from the record's: a record that comes again is the same span again.
2. What is not known is left out, never zero.
3. A span is the server's side of the request, so its kind is SERVER and the caller's span its
   parent.
"""

import hashlib
from dataclasses import dataclass

from sidelight_contract.engines import EngineType
from sidelight_sidecar.records.record import Record

Value = str | bool | int | float | list[str]
Attributes = dict[str, Value]

TIME_TO_FIRST_TOKEN = "gen_ai.response.time_to_first_chunk"  # noqa: S105 - an attribute's name
_MOST = (1 << 63) - 1
"""What OTLP's integers hold."""
MAX_TEXT = 1024
"""Characters of an attribute that is no content. Default 1024: ids and names have far less."""

_OPERATIONS = {
    "chat": "chat", "messages": "chat", "responses": "chat",
    "text_completion": "text_completion", "generate": "text_completion",
    "embeddings": "embeddings",
}  # fmt: skip
"""By the record's; others keep their name, which the conventions allow."""
_PROVIDERS = {
    EngineType.VLLM: "vllm", EngineType.SGLANG: "sglang", EngineType.TGI: "tgi",
    EngineType.LLAMA_CPP: "llama_cpp", EngineType.OLLAMA: "ollama", EngineType.TRITON: "triton",
    EngineType.TENSORRT_LLM: "trtllm", EngineType.MAX: "max", EngineType.HAYHOOKS: "hayhooks",
    EngineType.KSERVE: "kserve", EngineType.NIM: "nim", EngineType.TEI: "tei",
}  # fmt: skip
_API_TYPES = {"chat": "chat_completions", "responses": "responses"}


@dataclass(frozen=True, slots=True)
class Span:
    """One to be encoded."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    """Empty: it is the first of its trace."""
    sampled: bool
    name: str
    start_ns: int
    end_ns: int
    error: str
    """Its class; empty: it went well."""
    attributes: Attributes


def span_of(record: Record) -> Span:
    """A record's, without content."""
    trace, times = record.trace, record.times
    return Span(
        trace_id=bytes.fromhex(trace.trace_id if trace else _id(record, "trace", 16)),
        span_id=bytes.fromhex(_id(record, "span", 8)),
        parent_id=bytes.fromhex(trace.parent_id) if trace else b"",
        sampled=trace.sampled if trace else True,
        name=_name(record),
        start_ns=times.start_unix_ns,
        end_ns=times.start_unix_ns + round(times.duration_seconds * 1e9),
        error=record.error,
        attributes=_genai(record) | _ours(record),
    )


def is_inference(record: Record) -> bool:
    """Whether the conventions have something to say of it."""
    return record.operation not in ("", "other")


def first_token_ns(record: Record) -> int | None:
    """When the first output came; None: it was no stream."""
    seconds = record.times.time_to_first_token_seconds
    return None if seconds is None else record.times.start_unix_ns + round(seconds * 1e9)


def _id(record: Record, what: str, size: int) -> str:
    return hashlib.blake2s(f"{what} {record.id}".encode(), digest_size=size).hexdigest()


def _name(record: Record) -> str:
    """`chat MODEL`; what is no inference has HTTP's, without a method."""
    if not is_inference(record):
        return "HTTP"
    return f"{operation_name(record.operation)} {record.model}".strip()[:MAX_TEXT]


def operation_name(operation: str) -> str:
    """The conventions' word for an operation."""
    return _OPERATIONS.get(operation, operation)


def provider_name(engine: str, spoken: str) -> str:
    """The engine; where that is not known, whose API it spoke."""
    for known, name in _PROVIDERS.items():
        if known == engine:
            return name
    for api in ("openai", "anthropic"):
        if spoken.startswith(api):
            return api
    return "_OTHER"


def _genai(record: Record) -> Attributes:
    found: dict[str, Value | None] = {
        "error.type": record.error or None,
        "http.response.status_code": record.code or None,
    }
    if is_inference(record):
        operation = record.operation
        found |= {
            "gen_ai.operation.name": operation_name(operation),
            "gen_ai.provider.name": provider_name(record.origin.engine, record.api),
            "gen_ai.request.model": record.model or None,
            "gen_ai.response.model": record.model or None,
            "gen_ai.request.stream": True if record.stream else None,
            "gen_ai.request.choice.count": record.choices if record.choices > 1 else None,
            "gen_ai.response.finish_reasons": record.finish_reasons or None,
            "gen_ai.response.id": record.response_id or None,
            TIME_TO_FIRST_TOKEN: record.times.time_to_first_token_seconds,
            "gen_ai.usage.input_tokens": record.tokens.prompt,
            "gen_ai.usage.output_tokens": record.tokens.output,
            "gen_ai.usage.cache_read.input_tokens": record.tokens.cached_prompt,
            "gen_ai.usage.reasoning.output_tokens": record.tokens.reasoning,
        }
        if record.api.startswith("openai"):
            found["openai.api.type"] = _API_TYPES.get(operation)
    return known(found)


def _ours(record: Record) -> Attributes:
    times, energy = record.times, record.energy
    return known(
        {
            "sidelight.record.id": record.id,
            "sidelight.request.id": record.request_id,
            "sidelight.api": record.api or None,
            "sidelight.kept_for": record.kept_for or None,
            "sidelight.probability": record.probability,
            "sidelight.payloads": record.payloads,
            "sidelight.tokens.source": record.tokens.source or None,
            "sidelight.energy.joules": energy.joules if energy is not None else None,
            "sidelight.energy.quality": energy.quality if energy is not None else None,
            "sidelight.tool_calls": record.tool_calls or None,
            "sidelight.upload_seconds": times.upload_seconds,
            "sidelight.time_to_first_byte_seconds": times.time_to_first_byte_seconds,
            "sidelight.time_per_output_token_seconds": times.time_per_output_token_seconds,
            "sidelight.request.bytes": record.request.bytes or None,
            "sidelight.response.bytes": record.response.bytes or None,
            "sidelight.request.left_out": record.request.left_out or None,
            "sidelight.response.left_out": record.response.left_out or None,
            **{f"sidelight.findings.{name}": count for name, count in record.findings.items()},
        }
    )


def known(found: dict[str, Value | None]) -> Attributes:
    """Without what is not known, and counts that no engine has; texts within their limit."""
    return {
        name: _short(value)
        for name, value in found.items()
        if value is not None and not (isinstance(value, int) and abs(value) > _MOST)
    }


def _short(value: Value) -> Value:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    return [one[:MAX_TEXT] for one in value[:MAX_TEXT]] if isinstance(value, list) else value
