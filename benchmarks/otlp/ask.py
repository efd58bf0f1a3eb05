"""A streamed chat with a mail address in it, and what its client knows of it."""

from __future__ import annotations

import json
import secrets
import time
import urllib.request
from dataclasses import dataclass

MAIL = "ada.lovelace@example.org"
BOUND_MS = 50.0
"""How far a time may be from the client's: both clocks are of this machine, but the client's
includes connecting, and a scheduler that has the backends to run."""


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
