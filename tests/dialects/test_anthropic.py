"""Anthropic's messages, streamed and whole."""

from __future__ import annotations

import json

import pytest
from answers import answered, exchange_of
from observed import STREAM_END, STREAM_HEAD, chunk

from sidelight_sidecar.observer.dialects.finish import reasons_of
from sidelight_sidecar.observer.exchange import Exchange

PATH = "/v1/messages"


def event(kind: str, **fields: object) -> bytes:
    """One event in an HTTP chunk."""
    data = json.dumps({"type": kind, **fields})
    return chunk(f"event: {kind}\ndata: {data}\n\n".encode())


def start(**usage: object) -> bytes:
    """The first event."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
               "stop_reason": None, "usage": usage}  # fmt: skip
    return event("message_start", message=message)


def block(kind: str, **fields: object) -> bytes:
    """A block begins."""
    return event("content_block_start", index=0, content_block={"type": kind, **fields})


def delta(kind: str, **fields: object) -> bytes:
    """A piece of a block."""
    return event("content_block_delta", index=0, delta={"type": kind, **fields})


def text(piece: str) -> bytes:
    """A piece of text."""
    return delta("text_delta", text=piece)


def end(reason: str | None = "end_turn", **usage: object) -> bytes:
    """The reason to stop."""
    return event("message_delta", delta={"stop_reason": reason}, usage=usage)


PING = event("ping")
STOP = event("message_stop")


def streamed(*events: bytes) -> Exchange:
    """The exchange of a stream."""
    return exchange_of(PATH, {"stream": True}, STREAM_HEAD, *events, STREAM_END)


def test_stream_has_times_tokens_and_reason() -> None:
    """Neither the first event nor a ping bears output."""
    exchange = streamed(
        start(input_tokens=9, output_tokens=4), PING, block("text", text=""), text("a"), text("b"),
        event("content_block_stop", index=0), end(output_tokens=7), STOP,
    )  # fmt: skip
    assert (exchange.operation, exchange.dialect, exchange.error) == ("messages", "anthropic", "")
    assert (exchange.model, exchange.response_id) == ("m", "msg_1")
    assert exchange.time_to_first_token == pytest.approx(0.050)
    assert exchange.time_per_output_token == pytest.approx(0.010 / 6)
    assert (exchange.arrivals, exchange.events) == (2, 2)
    assert (exchange.prompt_tokens, exchange.output_tokens) == (9, 7)
    assert (exchange.finish_reasons, reasons_of(exchange)) == (["end_turn"], ["stop"])


def test_prompt_includes_what_a_cache_read_or_took() -> None:
    """Anthropic leaves it out of input_tokens."""
    exchange = streamed(
        start(input_tokens=3, cache_read_input_tokens=100, cache_creation_input_tokens=20),
        text("a"), end(output_tokens=2), STOP,
    )  # fmt: skip
    assert (exchange.prompt_tokens, exchange.cached_tokens) == (123, 100)


def test_later_counts_replace_earlier_ones_each_by_itself() -> None:
    """`message_delta` revises what it names and leaves the rest."""
    exchange = streamed(
        start(input_tokens=3, cache_read_input_tokens=10, cache_creation_input_tokens=None),
        text("a"),
        end(None, output_tokens=2),
        end(input_tokens=5, output_tokens=8, output_tokens_details={"thinking_tokens": 6}),
        STOP,
    )
    assert (exchange.prompt_tokens, exchange.cached_tokens) == (15, 10)
    assert (exchange.output_tokens, exchange.reasoning_tokens) == (8, 6)


def test_beginning_of_the_output_is_no_count_of_it() -> None:
    """A stream that the client leaves early is estimated, not counted as one token."""
    exchange = streamed(start(input_tokens=3, output_tokens=1), text("a"), text("b"), text("c"))
    assert exchange.error == "upstream_reset"
    assert (exchange.prompt_tokens, exchange.output_tokens) == (3, None)
    assert exchange.estimated_tokens == 3


def test_thinking_is_first_token_but_not_first_output() -> None:
    """Signatures are neither."""
    exchange = streamed(
        start(input_tokens=1), block("thinking", thinking=""),
        delta("thinking_delta", thinking="h"), delta("signature_delta", signature="x"),
        block("text", text=""), text("a"), end(output_tokens=5), STOP,
    )  # fmt: skip
    assert exchange.time_to_first_token == pytest.approx(0.040)
    assert exchange.time_to_first_output == pytest.approx(0.070)
    assert exchange.events == 2


def test_redacted_thinking_is_reasoning() -> None:
    """It comes whole, as its block begins."""
    exchange = streamed(
        start(), block("redacted_thinking", data="x"), text("a"), end(output_tokens=2), STOP
    )
    assert (exchange.events, exchange.reasoned) == (2, True)


def test_calls_of_the_client_and_of_the_server() -> None:
    """Each block once; a call without arguments is an answer too."""
    exchange = streamed(
        start(), block("server_tool_use", id="1", name="web_search"),
        delta("input_json_delta", partial_json='{"q":'), block("web_search_tool_result"),
        block("mcp_tool_use", id="2", name="f"), block("tool_use", id="3", name="f", input={}),
        delta("input_json_delta", partial_json=""), block("tool_use", id="4", name="g"),
        end("tool_use", output_tokens=9), STOP,
    )  # fmt: skip
    assert (exchange.tool_calls, exchange.server_tool_calls) == (2, 2)
    assert exchange.events == 3
    assert reasons_of(exchange) == ["tool_calls"]
    assert not exchange.empty


def test_whole_message() -> None:
    """Blocks, counts and reason."""
    body = {
        "id": "msg_1", "type": "message", "model": "m", "stop_reason": "max_tokens",
        "content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "x"},
                    {"type": "tool_use", "name": "f"}, {"type": "server_tool_use", "name": "g"}],
        "usage": {"input_tokens": 2, "cache_read_input_tokens": 5, "output_tokens": 4},
    }  # fmt: skip
    exchange = answered(PATH, {}, body)
    assert (exchange.model, exchange.response_id) == ("m", "msg_1")
    assert (exchange.prompt_tokens, exchange.cached_tokens, exchange.output_tokens) == (7, 5, 4)
    assert (exchange.tool_calls, exchange.server_tool_calls) == (1, 1)
    assert reasons_of(exchange) == ["length"]
    assert not exchange.empty


@pytest.mark.parametrize("content", [[], [{"type": "text", "text": ""}], None, "x", [5, None]])
def test_message_without_content_is_empty(content: object) -> None:
    """It ended well and holds nothing."""
    body = {"type": "message", "model": "m", "stop_reason": "end_turn", "content": content}
    exchange = answered(PATH, {}, body)
    assert exchange.empty
    assert exchange.usage_missing


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", "invalid_request"), (401, "authentication_error", "auth"),
        (403, "permission_error", "auth"), (404, "not_found_error", "not_found"),
        (413, "request_too_large", "invalid_request"), (429, "rate_limit_error", "rate_limited"),
        (500, "api_error", "server_error"), (529, "overloaded_error", "overloaded"),
        (200, "api_error", "server_error"),
    ],
)  # fmt: skip
def test_errors(status: int, kind: str, error: str) -> None:
    """The status decides."""
    body = {"type": "error", "error": {"type": kind, "message": "x"}, "request_id": "r"}
    assert answered(PATH, {}, body, status).error == error


def test_prompt_that_is_too_long() -> None:
    """Anthropic has no code for it, only words."""
    fault = {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}
    assert answered(PATH, {}, {"type": "error", "error": fault}, 400).error == "context_length"


def test_error_within_a_stream() -> None:
    """`event: error`, and nothing after it."""
    fault = {"type": "overloaded_error", "message": "Overloaded"}
    exchange = streamed(start(input_tokens=3), text("a"), event("error", error=fault))
    assert (exchange.error, exchange.code, exchange.prompt_tokens) == ("stream_error", 200, 3)


@pytest.mark.parametrize("events", [[], [start()], [start(), text("a"), end(output_tokens=2)]])
def test_stream_without_message_stop_was_broken_off(events: list[bytes]) -> None:
    """Even after its reason to stop."""
    assert streamed(*events).error == "upstream_reset"


def test_event_that_is_no_json_is_noted_and_done_is_not() -> None:
    """Gateways put OpenAI's `[DONE]` at the end."""
    done = chunk(b"data: [DONE]\n\n")
    exchange = streamed(start(), text("a"), end(output_tokens=1), STOP, done)
    assert (exchange.error, exchange.unread) == ("", "")
    exchange = streamed(start(), chunk(b"data: {oops\n\n"), text("a"), end(output_tokens=1), STOP)
    assert (exchange.unread, exchange.events, exchange.output_tokens) == ("json", 1, 1)
