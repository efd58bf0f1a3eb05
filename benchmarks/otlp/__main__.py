"""`make otlp-backends`: a streamed chat with a real engine, through a whole sidecar, as Phoenix,
MLflow and an OpenTelemetry Collector show it, by HTTP and gRPC: model, tokens, times, parent,
content; an engine's own spans beside it; and its metrics, as a Prometheus has them. Exit 1 if
anything is wrong.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.accuracy.stand import engine, free_port, get, process, until
from benchmarks.otlp.ask import BOUND_MS, MAIL, Chat, ask
from benchmarks.otlp.backends import Backends, backends
from benchmarks.otlp.collector import Collector, collector
from benchmarks.otlp.engine_spans import NAME, make_spans, wrong_spans
from benchmarks.otlp.metrics import main as measured
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sidelight_contract.names import ENGINE_SPANS_VARIABLE

TTFT = "gen_ai.response.time_to_first_chunk"


class Shown(NamedTuple):
    """The same, as a backend shows it."""

    where: str
    model: Any
    prompt: Any
    output: Any
    took_ms: float
    began: float
    first_ms: float | None
    trace_id: str
    parent_id: str
    kind: str
    asked: str
    said: str


@contextlib.contextmanager
def sidecar(
    engine_port: int, sinks: list[dict[str, Any]], folder: Path
) -> Iterator[tuple[int, int]]:
    """A whole one that captures, masked; its port, and that for the engine's spans."""
    port, admin, spans = free_port(), free_port(), free_port()
    config = folder / "config.json"
    settings = {
        "version": 1, "model": "chat", "engine": "LlamaCpp",
        "capture": {"payloads": "Redacted"}, "export": {"sinks": sinks},
    }  # fmt: skip
    config.write_text(json.dumps(settings))
    log = folder / "sidecar.log"
    with process(
        "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
        "--engine", f"127.0.0.1:{engine_port}", "--admin", f"127.0.0.1:{admin}",
        "--config", str(config), "--records", str(folder), "--spool", str(folder / "spool"),
        log=log, more={ENGINE_SPANS_VARIABLE: str(spans)},
    ):  # fmt: skip
        captures = b"sidelight_capture_running 1.0"
        until("the sidecar captures", lambda: captures in get(admin, "/metrics"))
        if any(sink.get("engine_spans") for sink in sinks):
            taken = b"sidelight_capture_engine_spans_taken 1.0"
            until("it takes the engine's spans", lambda: taken in get(admin, "/metrics"))
        yield port, spans
        done = b'result="delivered"'
        for sink in sinks:
            named = f'sink="{sink["name"]}"'.encode()
            until(
                f"{sink['name']} has the record",
                lambda named=named: any(  # type: ignore[misc]
                    named in line and done in line and not line.endswith(b" 0.0")
                    for line in get(admin, "/metrics").splitlines()
                ),
            )


def phoenix_shows(where: str, spans: list[dict[str, Any]]) -> Shown:
    """Of Phoenix's API."""
    (span,) = spans
    found, context = span["attributes"], span["context"]
    start, end = (datetime.fromisoformat(span[name]) for name in ("start_time", "end_time"))
    first = _at(found, TTFT)
    return Shown(
        where, _at(found, "llm.model_name"), _at(found, "llm.token_count.prompt"),
        _at(found, "llm.token_count.completion"), (end - start).total_seconds() * 1e3,
        start.timestamp(), None if first is None else first * 1e3, context["trace_id"],
        span["parent_id"] or "", span["span_kind"], str(_at(found, "input.value")),
        str(_at(found, "output.value")),
    )  # fmt: skip


def mlflow_shows(spans: list[dict[str, Any]]) -> Shown:
    """Of MLflow's client."""
    (one,) = spans
    span, found = one["span"], one["attributes"]
    began = span["start_time_unix_nano"] / 1e9
    first = found.get(TTFT)
    return Shown(
        "MLflow", found.get("mlflow.llm.model"), (one["tokens"] or {}).get("input_tokens"),
        (one["tokens"] or {}).get("output_tokens"),
        (span["end_time_unix_nano"] / 1e9 - began) * 1e3, began,
        None if first is None else float(first) * 1e3, one["trace"].removeprefix("tr-"),
        _hex(span["parent_span_id"]), one["kind"], json.dumps(one["inputs"]),
        json.dumps(one["outputs"]),
    )  # fmt: skip


def collector_shows(where: str, spans: list[Span]) -> Shown:
    """What it handed on."""
    (span,) = [one for one in spans if one.name != NAME]
    found = {one.key: one.value for one in span.attributes}
    began = span.start_time_unix_nano / 1e9
    return Shown(
        where, found["gen_ai.request.model"].string_value,
        found["gen_ai.usage.input_tokens"].int_value, found["gen_ai.usage.output_tokens"].int_value,
        (span.end_time_unix_nano / 1e9 - began) * 1e3, began, found[TTFT].double_value * 1e3,
        span.trace_id.hex(), span.parent_span_id.hex(), Span.SpanKind.Name(span.kind)[10:],
        found["gen_ai.input.messages"].string_value, found["gen_ai.output.messages"].string_value,
    )  # fmt: skip


def _at(found: dict[str, Any], name: str) -> Any:
    """An attribute, flat or nested."""
    if name in found:
        return found[name]
    value: Any = found
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _hex(value: str | None) -> str:
    """An id as it is written in traces; MLflow's client may have it in base64."""
    if not value or len(value) == 16:
        return value or ""
    import base64  # noqa: PLC0415 - of this form alone

    return base64.b64decode(value).hex()


def wrong(chat: Chat, shown: Shown) -> list[str]:
    """What a backend shows otherwise than it was."""
    same = [
        ("model", "smollm2", shown.model),
        ("prompt tokens", chat.prompt, shown.prompt),
        ("output tokens", chat.output, shown.output),
        ("trace", chat.trace_id, shown.trace_id),
        ("parent", chat.parent_id, shown.parent_id),
    ]
    found = [f"{name} is {is_!r}, not {was!r}" for name, was, is_ in same if str(is_) != str(was)]
    times = [
        ("duration", chat.took_ms, shown.took_ms),
        ("begin", chat.began * 1e3, shown.began * 1e3),
        ("time to first token", chat.first_ms, shown.first_ms),
    ]
    for name, was, is_ in times:
        if is_ is None or abs(is_ - was) > BOUND_MS:
            found.append(f"{name} is {is_} ms, not {was} ms")
    if "[EMAIL]" not in shown.asked or MAIL in shown.asked + shown.said:
        found.append("what was asked is not there, masked")
    if chat.said.split()[0] not in shown.said:
        found.append("what was answered is not there")
    return [f"{shown.where}: {line}" for line in found]


def table(chat: Chat, shown: list[Shown]) -> Iterator[str]:
    """Side by side."""
    yield f"| | client | {' | '.join(one.where for one in shown)} |"
    yield "|---" * (len(shown) + 2) + "|"
    rows: list[tuple[str, Any, list[Any]]] = [
        ("kind of span", "", [one.kind for one in shown]),
        ("model", "smollm2", [one.model for one in shown]),
        ("prompt tokens", chat.prompt, [one.prompt for one in shown]),
        ("output tokens", chat.output, [one.output for one in shown]),
        ("time to first token, ms", f"{chat.first_ms:.1f}",
         [f"{one.first_ms or 0:.1f}" for one in shown]),
        ("duration, ms", f"{chat.took_ms:.1f}", [f"{one.took_ms:.1f}" for one in shown]),
        ("begin, ms after the client's", "0",
         [f"{(one.began - chat.began) * 1e3:.1f}" for one in shown]),
        ("same trace", "", ["yes" if one.trace_id == chat.trace_id else "no" for one in shown]),
        ("parent is the caller's span", "",
         ["yes" if one.parent_id == chat.parent_id else "no" for one in shown]),
        ("prompt, masked", "", ["yes" if "[EMAIL]" in one.asked else "no" for one in shown]),
    ]  # fmt: skip
    for name, client, theirs in rows:
        yield f"| {name} | {client} | {' | '.join(map(str, theirs))} |"


def sinks_for(running: Backends, through: Collector) -> list[dict[str, Any]]:
    """Phoenix and the collector twice, MLflow once. Phoenix by gRPC is the last."""
    phoenix = {"kind": "otlp", "dialect": "Phoenix"}
    project, service = "openinference.project.name", "service.name"
    return [
        {**phoenix, "name": "phoenix", "endpoint": f"http://127.0.0.1:{running.phoenix}",
         "resource": {project: "by-http"}},
        {"kind": "otlp", "name": "mlflow", "dialect": "MLflow",
         "endpoint": f"http://127.0.0.1:{running.mlflow}"},
        {"kind": "otlp", "name": "collector", "endpoint": f"http://127.0.0.1:{through.http}",
         "engine_spans": True, "resource": {service: "by-http"}},
        {"kind": "otlp", "name": "collector-grpc", "endpoint": f"http://127.0.0.1:{through.grpc}",
         "protocol": "grpc", "engine_spans": True, "resource": {service: "by-grpc"}},
        {**phoenix, "name": "phoenix-grpc", "protocol": "grpc",
         "endpoint": f"http://127.0.0.1:{running.phoenix_grpc}", "resource": {project: "by-grpc"}},
    ]  # fmt: skip


def main() -> int:
    """Ask, look, and print."""
    with (
        tempfile.TemporaryDirectory() as name,
        backends(Path(name)) as running,
        collector(Path(name)) as through,
    ):
        folder = Path(name)
        *first, last = sinks_for(running, through)
        with engine() as port:
            with sidecar(port, first, folder) as (listening, spans):
                chat = ask(listening)
                make_spans(running.home, spans, chat)
            # Phoenix keeps one span of an id: over gRPC it gets another chat's.
            with sidecar(port, [last], folder) as (listening, _):
                other = ask(listening)
        for how in ("by-http", "by-grpc"):
            until("Phoenix has a span", lambda how=how: running.of_phoenix(how))  # type: ignore[misc]
            until("the collector has all", lambda how=how: len(through.spans(how)) == 3)  # type: ignore[misc]
        until("MLflow has a span", running.of_mlflow)
        shown = [
            phoenix_shows("Phoenix", running.of_phoenix("by-http")),
            mlflow_shows(running.of_mlflow()),
            collector_shows("Collector", through.spans("by-http")),
            collector_shows("Collector, gRPC", through.spans("by-grpc")),
        ]
        over_grpc = phoenix_shows("Phoenix, gRPC", running.of_phoenix("by-grpc"))
    print("\n".join(table(chat, shown)), "\n")
    print("\n".join(table(other, [over_grpc])), "\n")
    errors = [line for one in shown for line in wrong(chat, one)] + wrong(other, over_grpc)
    for how in ("by-http", "by-grpc"):
        errors += wrong_spans(f"Collector, {how}", through.spans(how), chat)
    print("\n".join(f"WRONG {line}" for line in errors) or "Nothing is wrong.")
    return measured() or bool(errors)


if __name__ == "__main__":
    sys.exit(main())
