"""Spans as vLLM makes them, by the same libraries: OpenTelemetry's SDK, its batches, its exporters.

vLLM 0.33 (vllm/tracing): the exporter is gRPC's unless OTEL_EXPORTER_OTLP_TRACES_PROTOCOL says
`http/protobuf`, and gets the one endpoint; a request's span is `llm_request`, of kind SERVER, and
its parent is the request's `traceparent`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.otlp.ask import MAIL, Chat
from opentelemetry.proto.trace.v1.trace_pb2 import Span

NAME = "llm_request"
PROTOCOLS = ("grpc", "http/protobuf")
ATTRIBUTES = {
    "gen_ai.request.id": "cmpl-7", "gen_ai.response.model": "smollm2",
    "gen_ai.request.max_tokens": 24, "gen_ai.request.temperature": 0.0, "gen_ai.request.n": 1,
    "gen_ai.usage.prompt_tokens": 25, "gen_ai.usage.completion_tokens": 24,
    "gen_ai.latency.time_in_queue": 0.001, "gen_ai.latency.time_to_first_token": 0.1,
    "gen_ai.latency.e2e": 0.5,
}  # fmt: skip
_ENGINE = """
import os, sys
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

endpoint, parent, said, mail = sys.argv[1:]
if os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc") == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
tracer = provider.get_tracer("vllm.llm_engine")
context = extract({"traceparent": parent})
with tracer.start_as_current_span(
    "llm_request", kind=SpanKind.SERVER, context=context
) as span:
    for name, value in eval(said).items():
        span.set_attribute(name, value)
    span.set_attribute("gen_ai.prompt", mail)  # which vLLM does not; it is not to pass
assert provider.force_flush(20000)
provider.shutdown()
"""


def make_spans(home: Path, port: int, chat: Chat) -> None:
    """One span over each protocol, of the chat's trace."""
    for protocol in PROTOCOLS:
        done = subprocess.run(
            [
                home / "phoenix/bin/python", "-c", _ENGINE, f"http://127.0.0.1:{port}/v1/traces",
                f"00-{chat.trace_id}-{chat.parent_id}-01", repr(ATTRIBUTES), MAIL,
            ],
            stderr=subprocess.PIPE, text=True, check=True, timeout=60,
            env={**os.environ, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": protocol},
        )  # fmt: skip
        if done.stderr:
            raise RuntimeError(f"the engine's exporter over {protocol} said: {done.stderr[-2000:]}")


def wrong_spans(where: str, spans: Sequence[Span], chat: Chat) -> Iterator[str]:
    """What a backend has of them otherwise than it was."""
    engines = [span for span in spans if span.name == NAME]
    if len(engines) != len(PROTOCOLS):
        yield f"{where}: {len(engines)} spans of the engine, not {len(PROTOCOLS)}"
    for span in engines:
        found = {one.key: one.value for one in span.attributes}
        if (span.trace_id.hex(), span.parent_span_id.hex()) != (chat.trace_id, chat.parent_id):
            yield f"{where}: a span of the engine has another trace or parent"
        if missing := ATTRIBUTES.keys() - found.keys():
            yield f"{where}: a span of the engine is without {sorted(missing)}"
        tokens = found["gen_ai.usage.completion_tokens"].int_value
        if tokens != ATTRIBUTES["gen_ai.usage.completion_tokens"]:
            yield f"{where}: the engine's tokens are {tokens}"
        if MAIL.encode() in span.SerializeToString():
            yield f"{where}: what was asked passed with a span of the engine"
