"""`make otlp-backends`: a streamed chat with a real engine, through a whole sidecar, as Phoenix (by
HTTP, then gRPC) and MLflow show it: model, tokens, times, parent, content. Exit 1 if it is wrong.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.accuracy.stand import engine, free_port, get, process, until
from benchmarks.otlp.backends import Backends, backends

MAIL = "ada.lovelace@example.org"
BOUND_MS = 20.0
"""How far a duration may be from the client's: both clocks are of this machine, but the client's
includes connecting, and a scheduler."""
TTFT = "gen_ai.response.time_to_first_chunk"


@dataclass(slots=True)
class Chat:
    """What the client knows of it."""

    trace_id: str
    parent_id: str
    began: float = 0.0
    """Unix seconds."""
    first_ms: float = 0.0
    took_ms: float = 0.0
    prompt: int = 0
    output: int = 0
    said: str = ""


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


def ask(port: int) -> Chat:
    """A streamed chat, timed."""
    chat = Chat(secrets.token_hex(16), secrets.token_hex(8))
    body = {
        "model": "smollm2", "stream": True, "stream_options": {"include_usage": True},
        "temperature": 0, "max_tokens": 24,
        "messages": [{"role": "user", "content": f"Say hello to {MAIL}, please."}],
    }  # fmt: skip
    headers = {
        "Content-Type": "application/json",
        "traceparent": f"00-{chat.trace_id}-{chat.parent_id}-01",
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(), headers
    )
    chat.began, start = time.time(), time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as response:
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            for choice in event["choices"]:
                text = choice["delta"].get("content")
                if text and not chat.said:
                    chat.first_ms = (time.monotonic() - start) * 1e3
                chat.said += text or ""
            if usage := event.get("usage"):
                chat.prompt, chat.output = usage["prompt_tokens"], usage["completion_tokens"]
    chat.took_ms = (time.monotonic() - start) * 1e3
    return chat


@contextlib.contextmanager
def sidecar(engine_port: int, sinks: list[dict[str, Any]], folder: Path) -> Iterator[int]:
    """A whole one that captures, masked; its port."""
    port, admin = free_port(), free_port()
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
        log=log,
    ):  # fmt: skip
        captures = b"sidelight_capture_running 1.0"
        until("the sidecar captures", lambda: captures in get(admin, "/metrics"))
        yield port
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


def sinks_for(running: Backends) -> list[dict[str, Any]]:
    """Phoenix twice, MLflow once."""
    common = {"kind": "otlp", "dialect": "Phoenix"}
    project = "openinference.project.name"
    return [
        {**common, "name": "http", "endpoint": f"http://127.0.0.1:{running.phoenix}",
         "resource": {project: "over-http"}},
        {**common, "name": "grpc", "endpoint": f"http://127.0.0.1:{running.phoenix_grpc}",
         "protocol": "grpc", "resource": {project: "over-grpc"}},
        {"kind": "otlp", "name": "mlflow", "dialect": "MLflow",
         "endpoint": f"http://127.0.0.1:{running.mlflow}"},
    ]  # fmt: skip


def main() -> int:
    """Ask, look, and print."""
    with tempfile.TemporaryDirectory() as name, backends(Path(name)) as running:
        folder = Path(name)
        # Phoenix keeps one span of an id: over gRPC it is another chat's.
        http, grpc, mlflow = sinks_for(running)
        with engine() as port:
            with sidecar(port, [http, mlflow], folder) as listening:
                chat = ask(listening)
            with sidecar(port, [grpc], folder) as listening:
                other = ask(listening)
        for project in ("over-http", "over-grpc"):
            until(f"Phoenix has a span {project}", lambda p=project: running.of_phoenix(p))  # type: ignore[misc]
        until("MLflow has a span", running.of_mlflow)
        shown = [phoenix_shows("Phoenix", running.of_phoenix("over-http")),
                 mlflow_shows(running.of_mlflow())]  # fmt: skip
        over_grpc = phoenix_shows("Phoenix, gRPC", running.of_phoenix("over-grpc"))
    print("\n".join(table(chat, shown)), "\n")
    print("\n".join(table(other, [over_grpc])), "\n")
    errors = [line for one in shown for line in wrong(chat, one)] + wrong(other, over_grpc)
    print("\n".join(f"WRONG {line}" for line in errors) or "Nothing is wrong.")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
