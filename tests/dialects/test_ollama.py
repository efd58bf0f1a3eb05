"""Ollama's own API: JSON lines unless told not to."""

from __future__ import annotations

import json

import pytest
from answers import answered, exchange_of
from observed import STREAM_END, STREAM_HEAD, chunk

from sidelight_sidecar.observer.dialects.finish import reasons_of
from sidelight_sidecar.observer.exchange import Exchange

CHAT, GENERATE = "/api/chat", "/api/generate"
HEAD = STREAM_HEAD.replace(b"text/event-stream", b"application/x-ndjson")
COUNTS = {"total_duration": 9, "prompt_eval_count": 5, "eval_count": 3, "eval_duration": 4}


def line(**fields: object) -> bytes:
    """One line in an HTTP chunk."""
    body = {"model": "m", "created_at": "x", "done": False, **fields}
    return chunk(json.dumps(body).encode() + b"\n")


def says(content: str = "", **fields: object) -> bytes:
    """A line of a chat."""
    return line(message={"role": "assistant", "content": content, **fields})


def last(reason: str = "stop", **fields: object) -> bytes:
    """The last line of a chat."""
    message = {"role": "assistant", "content": ""}
    return line(**{"message": message, "done": True, "done_reason": reason, **COUNTS, **fields})


def streamed(*lines: bytes, path: str = CHAT) -> Exchange:
    """The exchange of a stream that was not asked for: it is the default."""
    return exchange_of(path, {"model": "m"}, HEAD, *lines, STREAM_END)


def test_chat_streams_without_being_asked() -> None:
    """The answer says that it is a stream; the last line has no output, but the counts."""
    exchange = streamed(says("a"), says("b"), says("c"), last())
    assert (exchange.operation, exchange.dialect, exchange.error) == ("chat", "ollama", "")
    assert (exchange.model, exchange.stream) == ("m", True)
    assert (exchange.prompt_tokens, exchange.output_tokens, exchange.events) == (5, 3, 3)
    assert exchange.time_to_first_token == pytest.approx(0.020)
    assert exchange.time_per_output_token == pytest.approx(0.020 / 2)
    assert exchange.finish_reasons == ["stop"]


def test_generate_streams_too() -> None:
    """`response` instead of a message; the context at the end is passed over."""
    exchange = streamed(
        line(response="a"), line(response="b"),
        line(response="", done=True, done_reason="length", context=[1] * 50, **COUNTS),
        path=GENERATE,
    )  # fmt: skip
    assert (exchange.operation, exchange.events, exchange.output_tokens) == ("generate", 2, 3)
    assert reasons_of(exchange) == ["length"]


@pytest.mark.parametrize("path", [CHAT, GENERATE])
def test_thinking_is_first_token_but_not_first_output(path: str) -> None:
    """Beside the content, or beside the response."""
    lines = (
        [says(thinking="h"), says("a"), last()]
        if path == CHAT
        else [line(response="", thinking="h"), line(response="a"), last()]
    )
    exchange = streamed(*lines, path=path)
    assert exchange.time_to_first_token == pytest.approx(0.020)
    assert exchange.time_to_first_output == pytest.approx(0.030)


def test_calls_come_whole_in_any_line() -> None:
    """It has no word for an answer that asks for tools but `stop`."""
    call = {"function": {"name": "f", "arguments": {}}}
    exchange = streamed(says(tool_calls=[call, call]), says(tool_calls=[call]), last())
    assert (exchange.tool_calls, exchange.events) == (3, 2)
    assert (exchange.finish_reasons, reasons_of(exchange)) == (["stop"], ["tool_calls"])


def test_whole_answers() -> None:
    """With `stream: false`, as one document."""
    message = {"role": "assistant", "content": "x", "tool_calls": [{"function": {"name": "f"}}]}
    body = {"model": "m", "message": message, "done": True, "done_reason": "stop", **COUNTS}
    exchange = answered(CHAT, {"stream": False}, body)
    assert (exchange.model, exchange.tool_calls, exchange.output_tokens) == ("m", 1, 3)
    assert not any((exchange.stream, exchange.empty))
    body = {"model": "m", "response": "x", "done": True, "done_reason": "stop", **COUNTS}
    assert answered(GENERATE, {"stream": False}, body).has_output


def test_answer_that_holds_nothing_is_empty() -> None:
    """Streamed or whole."""
    body = {"model": "m", "message": {"content": ""}, "done": True, "done_reason": "stop", **COUNTS}
    assert answered(CHAT, {}, body).empty
    assert streamed(says(""), last()).empty


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_loading_a_model_generates_nothing(reason: str) -> None:
    """It is not an answer that holds nothing."""
    body = {"model": "m", "response": "", "done": True, "done_reason": reason}
    exchange = answered(GENERATE, {"model": "m"}, body)
    assert not any((exchange.empty, exchange.usage_missing, exchange.error))
    assert reasons_of(exchange) == ["other"]


@pytest.mark.parametrize("path", ["/api/embed", "/api/embeddings"])
def test_embeddings(path: str) -> None:
    """Prompt tokens, where they are said."""
    body = {"model": "m", "embeddings": [[0.1]], "prompt_eval_count": 4}
    exchange = answered(path, {}, body)
    assert (exchange.operation, exchange.prompt_tokens) == ("embeddings", 4)
    assert not any((exchange.generating, exchange.empty))
    assert answered(path, {}, {"embedding": [0.1]}).prompt_tokens is None


def test_count_that_is_not_there_is_not_made_up() -> None:
    """A prompt that was cached whole has none."""
    exchange = streamed(says("a"), last(prompt_eval_count=None))
    assert (exchange.prompt_tokens, exchange.output_tokens) == (None, 3)


def test_errors_with_a_status_and_within_a_stream() -> None:
    """A line with `error` in an answer that began well."""
    missing = {"error": "model 'x' not found"}
    assert answered(CHAT, {}, missing, 404).error == "not_found"
    too_long = {"error": "the input length exceeds the context length"}
    assert answered("/api/embed", {}, too_long, 400).error == "context_length"
    exchange = streamed(says("a"), chunk(b'{"error":"an error was encountered"}\n'))
    assert (exchange.error, exchange.code, exchange.events) == ("stream_error", 200, 1)


def test_stream_without_its_last_line_was_broken_off() -> None:
    """Nothing says done."""
    assert streamed(says("a"), says("b")).error == "upstream_reset"


def test_last_line_may_lack_its_newline() -> None:
    """The end of the body ends it."""
    exchange = streamed(says("a"), last().replace(b"\n\r\n", b" \r\n"))
    assert (exchange.error, exchange.output_tokens) == ("", 3)


def test_line_that_is_no_json_is_noted() -> None:
    """The rest is read."""
    exchange = streamed(says("a"), chunk(b"oops\n"), says("b"), last())
    assert (exchange.unread, exchange.events, exchange.output_tokens) == ("json", 2, 3)
