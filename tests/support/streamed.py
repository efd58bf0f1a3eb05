"""One answer as each API streams it, cut wherever a test likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from captured import ndjson, sse
from hypothesis import strategies as st

Events = Callable[[Sequence[str]], bytes]


def cuts(text: str, most: int = 12) -> st.SearchStrategy[list[str]]:
    """A text in pieces, some of them empty."""
    places = st.lists(st.integers(0, len(text)), max_size=most)
    return places.map(
        lambda found: [text[start:end] for start, end in pairwise([0, *sorted(found), len(text)])]
    )


def _choices(field: str) -> Events:
    def events(pieces: Sequence[str]) -> bytes:
        chunks = [{"choices": [{"index": 0, "delta": {field: piece}}]} for piece in pieces]
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        return sse({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}, *chunks, end)

    return events


def _call(piece: str) -> dict[str, Any]:
    call = {"index": 0, "function": {"arguments": piece}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


def _completions(pieces: Sequence[str]) -> bytes:
    return sse(*({"choices": [{"index": 0, "text": piece}]} for piece in pieces), done=True)


def _blocks(kind: str, field: str) -> Events:
    def events(pieces: Sequence[str]) -> bytes:
        block = {"type": kind, field: "", "id": "t", "name": "f"}
        begin = {"type": "content_block_start", "index": 0, "content_block": block}
        delta = f"{kind}_delta"
        return sse(
            {"type": "message_start", "message": {"type": "message", "content": []}},
            begin,
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": delta, field: piece}}
                for piece in pieces
            ),
            {"type": "message_stop"},
        )

    return events


def _items(kind: str) -> Events:
    def events(pieces: Sequence[str]) -> bytes:
        return sse(
            {"type": "response.created", "response": {"object": "response"}},
            *(
                {"type": f"response.{kind}.delta", "output_index": 0, "delta": piece}
                for piece in pieces
            ),
        )

    return events


def _lines(*, chat: bool) -> Events:
    def events(pieces: Sequence[str]) -> bytes:
        lines = [
            {"message": {"role": "assistant", "content": piece}} if chat else {"response": piece}
            for piece in pieces
        ]
        return ndjson(*lines, {"done": True})

    return events


def _tokens(pieces: Sequence[str]) -> bytes:
    return sse(*({"token": {"text": piece}, "generated_text": None} for piece in pieces))


def _llamacpp(pieces: Sequence[str]) -> bytes:
    return sse(*({"content": piece, "stop": False} for piece in pieces), {"stop": True})


def _so_far(pieces: Sequence[str]) -> bytes:
    return sse(*({"text": text, "meta_info": {}} for text in accumulate(pieces)))


def _triton(pieces: Sequence[str]) -> bytes:
    return sse(*({"text_output": piece} for piece in pieces))


def _unknown(pieces: Sequence[str]) -> bytes:
    return sse(*({"a": [{"b": {"c": piece}}]} for piece in pieces))


def _plain(pieces: Sequence[str]) -> bytes:
    return b"".join(b"data: " + piece.encode() + b"\n\n" for piece in pieces)


SSE = "text/event-stream"
LINES = "application/x-ndjson"
STREAMS: dict[str, tuple[str, str, Events]] = {
    "chat": ("openai", SSE, _choices("content")),
    "reasoning": ("openai", SSE, _choices("reasoning")),
    "refusal": ("openai", SSE, _choices("refusal")),
    "unknown delta": ("openai", SSE, _choices("monologue")),
    "completions": ("openai", SSE, _completions),
    "anthropic text": ("anthropic", SSE, _blocks("text", "text")),
    "anthropic thinking": ("anthropic", SSE, _blocks("thinking", "thinking")),
    "responses text": ("openai_responses", SSE, _items("output_text")),
    "responses reasoning": ("openai_responses", SSE, _items("reasoning_summary_text")),
    "responses unknown": ("openai_responses", SSE, _items("monologue")),
    "ollama chat": ("ollama", LINES, _lines(chat=True)),
    "ollama generate": ("ollama", LINES, _lines(chat=False)),
    "tgi": ("tgi", SSE, _tokens),
    "llamacpp": ("llamacpp", SSE, _llamacpp),
    "sglang so far": ("sglang", SSE, _so_far),
    "triton": ("kserve", SSE, _triton),
    "takeoff": ("takeoff", SSE, _plain),
    "unknown": ("", SSE, _unknown),
}
"""Streams of text: dialect, content type, and the events of some pieces."""

CALLS: dict[str, tuple[str, Events]] = {
    "chat": ("openai", lambda pieces: sse(*map(_call, pieces), done=True)),
    "anthropic": (
        "anthropic",
        _blocks("input_json", "partial_json"),
    ),
    "responses": ("openai_responses", _items("function_call_arguments")),
}
"""Streams of a call's arguments."""
