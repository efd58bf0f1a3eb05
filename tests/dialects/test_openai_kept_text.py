"""What is kept of a stream, so that the engine's tokenizer can count it where usage is missing."""

from __future__ import annotations

import json

import pytest

from sidelight_sidecar.observer.dialects import route_of
from sidelight_sidecar.observer.dialects.base import Request
from sidelight_sidecar.observer.exchange import Exchange


class Notes:
    """Stands for the kept text."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        """Keep it."""
        self.text += text


def chat(**delta: object) -> dict[str, object]:
    """A chunk of chat."""
    return {"choices": [{"index": 0, "delta": delta}]}


def claude(**delta: object) -> dict[str, object]:
    """A piece of a block."""
    return {"type": "content_block_delta", "delta": delta}


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("/v1/chat/completions", [
            chat(role="assistant", content=""), chat(reasoning_content="a"), chat(reasoning="b"),
            chat(content="c"), chat(content=""), chat(content="d"), chat(content=["x"]), chat(),
        ]),
        ("/v1/chat/completions", [
            chat(tool_calls=[{"index": 0, "function": {"name": "a", "arguments": ""}}]),
            chat(tool_calls=[{"index": 0, "function": {"arguments": "b"}}]),
            chat(function_call={"name": "c"}), chat(refusal="d"),
        ]),
        ("/v1/completions", [{"choices": [{"index": 0, "text": text}]} for text in ("ab", "cd")]),
        ("/v1/messages", [
            {"type": "content_block_start", "content_block": {"type": "text", "text": "a"}},
            claude(type="thinking_delta", thinking="b"), claude(type="text_delta", text="c"),
            claude(type="signature_delta", signature="x"),
            claude(type="input_json_delta", partial_json="d"),
        ]),
        ("/v1/responses", [
            {"type": "response.reasoning_text.delta", "delta": "a"},
            {"type": "response.output_text.delta", "delta": "bc"},
            {"type": "response.output_text.delta", "delta": {"x": 1}},
            {"type": "response.function_call_arguments.delta", "delta": "d"},
            {"type": "response.output_text.done", "text": "bc"},
        ]),
        ("/api/chat", [{"message": {"content": "b", "thinking": "a"}},
                       {"message": {"content": "cd"}}, {"done": True}]),
        ("/api/generate", [{"response": "ab"}, {"response": "cd"}, {"done": True}]),
        ("/generate_stream", [
            {"token": {"id": 1, "text": "ab", "special": False}},
            {"token": {"id": 1, "text": "cd", "special": False}},
            {"token": {"id": 2, "text": "</s>", "special": True}, "generated_text": "abcd"},
        ]),
    ],
)  # fmt: skip
def test_output_is_kept_once_and_whole(path: str, events: list[object]) -> None:
    """In its order, reasoning too; no roles, signatures, ends or special tokens."""
    request = Request("POST", path)
    exchange = Exchange(1, 0)
    exchange.stream = True
    exchange.text = notes = Notes()  # type: ignore[assignment]
    dialect = route_of(request).dialect(exchange, request)
    dialect.head(200, {})
    for event in events:
        dialect.event(b"", json.dumps(event).encode(), 1)
    assert notes.text == "abcd"


def test_nothing_is_kept_unless_it_is_wanted() -> None:
    """An exchange without room for text stays without."""
    request = Request("POST", "/v1/chat/completions")
    exchange = Exchange(1, 0)
    dialect = route_of(request).dialect(exchange, request)
    assert dialect.event(b"", json.dumps(chat(content="a")).encode(), 1) == 1
    assert exchange.text is None
