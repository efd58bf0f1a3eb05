"""A whole sidecar, and what its sinks are sent of a streamed chat."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from aiohttp import web
from otlp_collector import collector
from real_engine import free_port, get
from receiver import plain, receiver
from relay_harness import wait_for

MAIL = "ada.lovelace@example.org"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def chat_engine(request: web.BaseRequest) -> web.StreamResponse:
    """Streams an answer that has the address in two pieces."""
    await request.content.read()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    pieces = [{"content": "Write to ada.love"}, {"content": "lace@example.org."}, {}]
    for number, piece in enumerate(pieces):
        choice = {"index": 0, "delta": piece, "finish_reason": None if number < 2 else "stop"}
        event: dict[str, Any] = {"id": "c-1", "model": "m", "choices": [choice]}
        if number == 2:
            event["usage"] = {"prompt_tokens": 5, "completion_tokens": 7}
        await response.write(b"data: %s\n\n" % json.dumps(event).encode())
    await response.write(b"data: [DONE]\n\n")
    return response


def sidecar(engine: str, directory: Path, sinks: list[dict[str, Any]]) -> tuple[Any, int]:
    """A running one that captures, and its port."""
    port, admin = free_port(), free_port()
    config = directory / "config.json"
    capture = {"payloads": "Redacted"}
    config.write_text(
        json.dumps({"version": 1, "model": "chat", "capture": capture, "export": {"sinks": sinks}})
    )
    running = subprocess.Popen(
        [
            sys.executable, "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
            "--engine", engine, "--admin", f"127.0.0.1:{admin}", "--config", str(config),
            "--records", str(directory), "--spool", str(directory / "spool"),
            "--secrets", str(directory / "secrets"),
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: b"sidelight_capture_running 1.0" in get(admin, "/metrics"), "it captures")
    return running, port


def ask(port: int) -> None:
    """Send one chat through it."""
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": f"Mail {MAIL}"}]}
    headers = {
        "Content-Type": "application/json",
        "X-Request-ID": "r-1",
        "traceparent": f"00-{TRACE}-{PARENT}-01",
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()


async def test_a_streamed_chat_is_spans_and_events_with_the_address_masked(tmp_path: Path):
    """Over HTTP, gRPC, and as CloudEvents: all is shipped when the pod ends, though no batch was
    full; each has its own Secret.
    """
    for name in ("http", "events"):
        (tmp_path / "secrets" / name).mkdir(parents=True)
        (tmp_path / "secrets" / name / "token").write_text(f"for {name}")
    async with (
        receiver(chat_engine) as engine,
        receiver() as spans,
        receiver() as events,
        collector() as calls,
    ):
        sinks = [
            {"kind": "otlp", "name": "http", "endpoint": spans.url},
            {"kind": "otlp", "name": "grpc", "endpoint": calls.address, "protocol": "grpc"},
            {"kind": "cloudEvents", "name": "events", "url": events.url},
        ]
        place = engine.url.removeprefix("http://")
        running, port = await asyncio.to_thread(sidecar, place, tmp_path, sinks)
        try:
            await asyncio.to_thread(ask, port)
        finally:
            running.send_signal(signal.SIGTERM)
            await asyncio.to_thread(running.wait, 30)
        (over_http,), (over_grpc,) = spans.spans, calls.spans
        assert over_http == over_grpc
        found = plain(over_http.attributes)
        asked, said = events.posted
    assert (over_http.trace_id.hex(), over_http.parent_span_id.hex()) == (TRACE, PARENT)
    assert over_http.name == "chat m"
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (5, 7)
    assert found["gen_ai.response.time_to_first_chunk"] > 0
    assert json.loads(found["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "text", "content": "Write to [EMAIL]."}
    ]
    assert json.loads(asked.body)["messages"][0]["content"] == "Mail [EMAIL]"
    assert json.loads(said.body)["choices"][0]["message"]["content"] == "Write to [EMAIL]."
    assert {one.headers["Ce-Id"] for one in (asked, said)} == {"r-1"}
    assert spans.posted[0].headers["Authorization"] == "Bearer for http"
    assert asked.headers["Authorization"] == "Bearer for events"
    assert b"lovelace" not in spans.posted[0].data + asked.body + said.body
