"""What an answer says, as its client reads it: output, tokens, why it ended.

Written anew, by the APIs' own documents and what docs/accuracy.md says of output: it shares no code
with the observer, for two that err alike would agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.accuracy.wire import Answer, Piece, Read

Event = tuple[dict[str, Any], Read, int]
"""A decoded event, the read that completed it, and where on the connection it ends."""


@dataclass(slots=True)
class Said:
    """What was said.

    Attributes:
        outputs: of a stream: each event that bears output, as (read, end on the connection).
        prompt_tokens, output_tokens, cached_tokens: by the engine's usage; None: it said nothing.
        finishes: why each choice ended, by its index.
        calls: tool calls, each by its choice and index.
        error: the class of an error that came as an answer, or of an answer without an end.
        complete: the stream ended as its API ends streams.
    """

    stream: bool = False
    response_id: str = ""
    model: str = ""
    outputs: list[tuple[Read, int]] = field(default_factory=list)
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    finishes: dict[int, str] = field(default_factory=dict)
    calls: set[tuple[int, int]] = field(default_factory=set)
    error: str = ""
    complete: bool = False

    @property
    def arrivals(self) -> int:
        """Reads that brought output."""
        return len({read.end for read, _ in self.outputs})


def said(answer: Answer) -> Said:
    """Read an answer."""
    result = Said(stream=answer.headers.get("content-type", "").startswith("text/event-stream"))
    if not answer.done:
        result.error = "upstream_reset"
    if answer.status >= 400:
        result.error = _error_class(answer.status, answer.body)
    elif not result.stream:
        if answer.done:
            _document(result, json.loads(answer.body))
    else:
        for event, read, end in events(answer.pieces, result):
            if _output(result, event):
                result.outputs.append((read, end))
    return result


def events(pieces: list[Piece], result: Said) -> Iterator[Event]:
    """The events of a stream of server-sent events, each at the blank line that ends it; `[DONE]`
    is noted.
    """
    line = data = b""
    for piece in pieces:
        start = 0
        while (stop := piece.data.find(b"\n", start)) >= 0:
            line += piece.data[start:stop].rstrip(b"\r")
            start = stop + 1
            if line.startswith(b"data:"):
                data += line[5:].strip()
            elif not line and data == b"[DONE]":
                result.complete, data = True, b""
            elif not line and data:
                yield json.loads(data), piece.read, piece.end - len(piece.data) + start
                data = b""
            line = b""
        line += piece.data[start:]


_CLASSES = {400: "invalid_request", 404: "not_found", 429: "rate_limited", 503: "overloaded"}


def _error_class(status: int, body: bytes) -> str:
    if b"exceed_context_size_error" in body:
        return "context_length"
    return _CLASSES.get(status, "server_error" if status >= 500 else "invalid_request")


def _usage(result: Said, usage: dict[str, Any]) -> None:
    result.prompt_tokens = usage.get("prompt_tokens", result.prompt_tokens)
    result.output_tokens = usage.get("completion_tokens", result.output_tokens)
    details = usage.get("prompt_tokens_details") or {}
    result.cached_tokens = details.get("cached_tokens", result.cached_tokens)


def _timings(result: Said, timings: dict[str, Any]) -> None:
    """llama.cpp's own counts; `prompt_n` is what was computed."""
    result.cached_tokens = timings["cache_n"]
    result.prompt_tokens = timings["prompt_n"] + timings["cache_n"]
    result.output_tokens = timings["predicted_n"]


def _document(result: Said, answer: dict[str, Any]) -> None:
    """A whole answer of the OpenAI kind: no other comes without a stream in the mix."""
    result.response_id, result.model = answer["id"], answer["model"]
    _usage(result, answer["usage"])
    result.complete = True
    for choice in answer["choices"]:
        result.finishes[choice["index"]] = choice["finish_reason"]
        for number, _ in enumerate(choice["message"].get("tool_calls") or ()):
            result.calls.add((choice["index"], number))


def _output(result: Said, event: dict[str, Any]) -> bool:
    """Take one event; whether it bears output."""
    if "choices" in event:
        return _openai(result, event)
    if "type" in event:
        return _anthropic(result, event)
    return _native(result, event)


def _openai(result: Said, event: dict[str, Any]) -> bool:
    result.response_id, result.model = event.get("id", result.response_id), event["model"]
    if event.get("usage"):
        _usage(result, event["usage"])
    elif event.get("timings"):
        _timings(result, event["timings"])
    bears = False
    for choice in event["choices"]:
        if choice.get("finish_reason"):
            result.finishes[choice["index"]] = choice["finish_reason"]
        delta = choice.get("delta", choice)
        for call in delta.get("tool_calls") or ():
            result.calls.add((choice["index"], call["index"]))
        text = delta.get("content", delta.get("text"))
        bears |= bool(text or delta.get("reasoning_content") or delta.get("tool_calls"))
        # A token that decodes to nothing is a token.
        bears |= text == "" and "role" not in delta and not choice.get("finish_reason")
    return bears


def _anthropic(result: Said, event: dict[str, Any]) -> bool:
    kind = event["type"]
    if kind == "message_start":
        message = event["message"]
        result.response_id, result.model = message["id"], message["model"]
        usage = message["usage"]
        result.cached_tokens = usage.get("cache_read_input_tokens", 0)
        # This API counts what came from the cache apart.
        result.prompt_tokens = usage["input_tokens"] + (result.cached_tokens or 0)
    elif kind == "message_delta":
        result.finishes[0] = event["delta"]["stop_reason"]
        result.output_tokens = event["usage"]["output_tokens"]
    elif kind == "message_stop":
        result.complete = True
    delta = event.get("delta", {})
    return kind == "content_block_delta" and bool(delta.get("text") or delta.get("partial_json"))


def _native(result: Said, event: dict[str, Any]) -> bool:
    if event["stop"]:
        result.complete = True
        result.model = event["model"]
        result.finishes[event["index"]] = event["stop_type"]
        result.prompt_tokens = event["tokens_evaluated"]
        result.output_tokens = event["tokens_predicted"]
    return bool(event["content"]) or (not event["stop"] and event["content"] == "")
