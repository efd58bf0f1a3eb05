"""Hostile answers: any JSON in place of any field, any bytes; no dialect may raise or grow."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from answers import answered, exchange_of
from hypothesis import given, settings
from hypothesis import strategies as st
from observed import STREAM_END, STREAM_HEAD, chunk

from sidelight_sidecar.observer.exchange import Exchange

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGE = {
    "role": "assistant", "content": "x", "reasoning": "x", "reasoning_content": "x", "refusal": "x",
    "tool_calls": [CALL], "function_call": {"name": "f"}, "audio": {"id": "x"},
}  # fmt: skip
COUNTS = {
    "prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1},
}  # fmt: skip
ERROR = {"type": "x", "code": 400, "message": "x", "param": None}
CLAUDE = {"input_tokens": 5, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 1,
          "output_tokens": 4, "output_tokens_details": {"thinking_tokens": 1}}  # fmt: skip
RESPONSE = {
    "id": "r", "model": "m", "status": "incomplete", "incomplete_details": {"reason": "x"},
    "error": ERROR, "usage": {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 1},
                              "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 1},
                              "total_tokens": 9},
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "x"}]},
               {"type": "reasoning", "summary": [{"text": "x"}]}, {"type": "function_call"},
               {"type": "tool_search_call", "execution": "client"}],
}  # fmt: skip
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {
        "id": "c", "object": "chat.completion.chunk", "model": "m", "usage": COUNTS,
        "x_groq": {"usage": COUNTS}, "error": ERROR,
        "choices": [{"index": 0, "delta": MESSAGE, "message": MESSAGE, "finish_reason": "stop"}],
    }),
    ("/v1/completions", {
        "id": "c", "object": "error", "model": "m", "usage": COUNTS,
        "choices": [{"index": 1, "text": "x", "finish_reason": "stop"}],
    }),
    ("/v1/embeddings", {"id": "e", "model": "m", "object": "list", "usage": COUNTS, "data": []}),
    ("/v1/messages", {"type": "message_start",
                      "message": {"id": "m", "model": "m", "stop_reason": "x", "usage": CLAUDE}}),
    ("/v1/messages", {"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": CLAUDE}),
    ("/v1/messages", {"type": "content_block_start", "content_block": {"type": "tool_use"}}),
    ("/v1/messages", {"type": "content_block_start",
                      "content_block": {"type": "text", "text": "x"}}),
    ("/v1/messages", {"type": "content_block_delta",
                      "delta": {"type": "text_delta", "text": "x"}}),
    ("/v1/messages", {"type": "error", "error": ERROR}),
    ("/v1/messages", {"id": "m", "model": "m", "stop_reason": "x", "usage": CLAUDE,
                      "content": [{"type": "thinking", "thinking": "x"}, {"type": "tool_use"}]}),
    ("/v1/responses", {"type": "response.failed", "response": RESPONSE}),
    ("/v1/responses", {"type": "response.output_text.delta", "delta": "x"}),
    ("/v1/responses", {"type": "response.output_item.added", "item": {"type": "function_call"}}),
    ("/v1/responses", {"type": "error", "error": ERROR}),
    ("/v1/responses", RESPONSE),
    ("/api/chat", {"model": "m", "message": {**MESSAGE, "thinking": "x"}, "done": True,
                   "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 4, "error": "x"}),
    ("/api/generate", {"model": "m", "response": "x", "thinking": "x", "done": False}),
    ("/generate_stream", {"token": {"id": 1, "text": "x", "special": False}, "error": "x",
                          "error_type": "x", "generated_text": "x",
                          "details": {"finish_reason": "length", "generated_tokens": 4,
                                      "input_length": 5}}),
]  # fmt: skip


def places(value: object, here: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The path to every value within a value, its own included."""
    found = [here]
    inner = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = enumerate(value)  # type: ignore[assignment]
    for key, one in inner:
        found += places(one, (*here, key))
    return found


def put(value: object, place: tuple[object, ...], other: object) -> object:
    """The value with another one at a place."""
    if not place:
        return other
    changed = copy.deepcopy(value)
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = other
    return changed


def check(exchange: Exchange) -> None:
    """What holds for any exchange, whatever came."""
    for whole, part in (
        (exchange.prompt_tokens, exchange.cached_tokens),
        (exchange.output_tokens, exchange.reasoning_tokens),
    ):
        assert part >= 0
        assert part == 0 or (whole is not None and part <= whole)
    assert all(isinstance(reason, str) for reason in exchange.finish_reasons)
    assert len(exchange.model) <= 256
    assert len(exchange.response_id) <= 256


def streamed(path: str, *values: object) -> Exchange:
    """The exchange of a stream in SSE, or in lines for Ollama."""
    head, form = STREAM_HEAD, b"data: %s\n\n"
    if path.startswith("/api/"):
        head, form = STREAM_HEAD.replace(b"text/event-stream", b"application/x-ndjson"), b"%s\n"
    pieces = [chunk(form % json.dumps(value).encode()) for value in values]
    return exchange_of(path, {}, head, *pieces, STREAM_END)


def test_places_reach_every_field() -> None:
    """The strategy below would else test less than it says."""
    assert len(places({"a": [1, {"b": 2}]})) == 5
    assert put({"a": [1, {"b": 2}]}, ("a", 1, "b"), 3) == {"a": [1, {"b": 3}]}


@pytest.mark.parametrize(("path", "value"), EVENTS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_json_in_place_of_any_field(path: str, value: object, data: st.DataObject) -> None:
    """In a stream and in a whole answer, with a good status and a bad one."""
    place = data.draw(st.sampled_from(places(value)))
    changed = put(value, place, data.draw(JSON))
    check(streamed(path, value, changed, value))
    check(answered(path, {}, changed))
    check(answered(path, {}, changed, 400))


@pytest.mark.parametrize("path", sorted({path for path, _ in EVENTS}))
@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body(path: str, body: bytes) -> None:
    """Bytes that are no JSON, or none that any dialect knows."""
    check(answered(path, {}, body))
    check(exchange_of(path, {}, STREAM_HEAD, *([chunk(body)] if body else []), STREAM_END))


@pytest.mark.parametrize("path", sorted({path for path, _ in EVENTS}))
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"choices":' * 50_000, id="deep objects"),
        pytest.param(b'{"usage":{"prompt_tokens":1%s}}' % (b"0" * 5000), id="huge number"),
        pytest.param(b'{"model":"%s"}' % (b"m" * 100_000), id="long model"),
        pytest.param(b'{"model":"\\ud800"}', id="half a surrogate"),
        pytest.param(b'\xff\xfe{"a":1}', id="not UTF-8"),
    ],
)
def test_hostile_json(path: str, body: bytes) -> None:
    """Depth, size and encodings that break parsers."""
    check(answered(path, {}, body))
    check(exchange_of(path, {}, STREAM_HEAD, chunk(b"data: " + body + b"\n\n"), STREAM_END))
