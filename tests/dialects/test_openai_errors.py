"""Errors in every shape that servers give one, of OpenAI's API and beside it."""

from __future__ import annotations

import json

import pytest
from answers import answered, exchange_of, sse
from observed import STREAM_END, STREAM_HEAD, chunk

CHAT = "/v1/chat/completions"
SAID = {"choices": [{"index": 0, "delta": {"content": "a"}}]}
TOO_LONG = [
    {"error": {"code": "context_length_exceeded", "type": "invalid_request_error"}},
    {"error": {"message": "This model's maximum context length is 4096 tokens. However, ..."}},
    {"error": {"message": "The decoder prompt (length 9) is longer than the maximum model length"}},
    {"error": {"message": "The prompt (total length 9) is too long to fit into the model"}},
    {"object": "error", "message": "The input (9 tokens) is longer than the model's context length",
     "type": "BadRequestError", "code": 400},
    {"error": {"code": 400, "message": "the request exceeds the available context size",
               "type": "exceed_context_size_error", "n_ctx": 4096}},
    {"error": {"message": "prompt too long; exceeded max context length by 9 tokens"}},
    {"error": "the input length exceeds the context length"},
    {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
     "error_type": "validation"},
    {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",
     "error_type": "validation"},
    {"type": "error", "error": {"type": "invalid_request_error",
                                "message": "prompt is too long: 9 tokens > 8 maximum"}},
    {"error": {"message": "Your input exceeds the context window of this model."}},
    {"message": "Input is too long for requested model."},
    {"detail": "Prompt length (9) exceeds maximum input length (8)."},
    {"error": "Input length (9 tokens) exceeds the maximum allowed length (8 tokens)."},
    [{"error": {"message": "maximum context length"}}],
]  # fmt: skip


@pytest.mark.parametrize("body", TOO_LONG)
def test_prompt_that_is_too_long_has_a_class_of_its_own(body: object) -> None:
    """By code or by what each engine says, with the statuses that they give it."""
    for status in (400, 413, 422, 500):
        assert answered(CHAT, {}, body, status).error == "context_length"


@pytest.mark.parametrize(
    ("status", "error"), [(401, "auth"), (404, "not_found"), (429, "rate_limited")]
)
def test_words_do_not_make_another_status_a_prompt_that_is_too_long(
    status: int, error: str
) -> None:
    """A rate limit may well speak of the context."""
    assert answered(CHAT, {}, TOO_LONG[0], status).error == error


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": {"message": "bad", "code": 400}}, "invalid_request"),
        (400, {"code": "1500", "message": "Invalid model", "object": "error"}, "invalid_request"),
        (400, {"code": "invalid-argument", "error": "Incorrect API key"}, "invalid_request"),
        (400, {"error": "'user' exceeds the maximum allowed length"}, "invalid_request"),
        (401, {"error": "Unauthorized"}, "auth"),
        (403, {"error": {"message": "no"}}, "auth"),
        (404, {"error": {"code": "model_not_found"}}, "not_found"),
        (405, {"detail": "Method Not Allowed"}, "invalid_request"),
        (422, {"detail": [{"type": "missing", "loc": ["body", "messages"]}]}, "invalid_request"),
        (422, b"Failed to deserialize the JSON body", "invalid_request"),
        (424, {"error": "Request failed", "error_type": "generation"}, "server_error"),
        (429, {"error": "Model is overloaded", "error_type": "overloaded"}, "overloaded"),
        (429, {"error": {"message": "slow down", "type": "rate_limit_error"}}, "rate_limited"),
        (500, {"error": "unknown error", "warnings": []}, "server_error"),
        (503, {"error": {"code": 503, "type": "unavailable_error"}}, "overloaded"),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, "overloaded"),
        (503, b"upstream connect error", "overloaded"),
        (502, b"", "server_error"),
    ],
)
def test_status_decides(status: int, body: object, error: str) -> None:
    """Whatever shape the error has; a page that is no JSON is no defect of ours."""
    exchange = answered(CHAT, {}, body, status)
    assert (exchange.error, exchange.code, exchange.unread) == (error, status, "")
    assert not exchange.usage_missing
    assert not exchange.empty


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": {"message": "x", "code": 502}}, "server_error"),
        ({"error": {"message": "x", "code": 429}}, "rate_limited"),
        ({"error": {"message": "x", "code": 200}}, "server_error"),
        ({"error": "x"}, "server_error"),
        ({"object": "error", "message": "x", "code": 404}, "not_found"),
        ({"error": {"message": "maximum context length"}}, "context_length"),
    ],
)
def test_error_with_status_200(body: object, error: str) -> None:
    """Gateways do so; the code that it names decides, if it is one."""
    exchange = answered(CHAT, {}, body)
    assert (exchange.error, exchange.code) == (error, 200)


def field(name: str, value: object) -> bytes:
    """An SSE event with a field of this name, in an HTTP chunk."""
    return chunk(f"{name}: {json.dumps(value)}\n\n".encode())


@pytest.mark.parametrize(
    "frame",
    [
        field("data", {"error": {"message": "x", "type": "BadRequestError", "code": 400}}),
        field("data", {"error": "x", "error_type": "generation"}),
        field("data", {"object": "error", "message": "x", "code": 50000}),
        field("data", {"error": {"message": "x"}, "choices": [{"index": 0, "delta": {}}]}),
        field("data", {"error": True}),
        field("error", {"code": 500, "message": "x"}),
        field("error", {"detail": "x", "error": {"message": "x"}}),
        chunk(b"error: x y z\n\n"),
        chunk(b'event: error\ndata: {"message": "x"}\n\n'),
        chunk(b"event: error\ndata: not JSON\n\n"),
    ],
)
@pytest.mark.parametrize("done", [True, False])
def test_error_within_a_stream(frame: bytes, *, done: bool) -> None:
    """It is no lost connection, whether or not `[DONE]` comes after it."""
    end = [field("data", [])[:0], chunk(b"data: [DONE]\n\n")] if done else []
    exchange = exchange_of(
        CHAT, {"stream": True}, STREAM_HEAD, field("data", SAID), frame, *end, STREAM_END
    )
    assert (exchange.error, exchange.code, exchange.unread) == ("stream_error", 200, "")
    assert exchange.events == 1


def test_context_that_runs_full_within_a_stream() -> None:
    """llama.cpp says so after some tokens."""
    error = {"error": {"code": 500, "message": "Context size has been exceeded."}}
    exchange = exchange_of(CHAT, {"stream": True}, *sse(SAID, error))
    assert exchange.error == "context_length"


def test_error_that_is_null_is_none() -> None:
    """Some chunks carry the field always."""
    stop = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "error": None}
    exchange = exchange_of(CHAT, {"stream": True}, *sse({**SAID, "error": None}, stop))
    assert exchange.error == ""


def test_long_error_is_looked_at_in_part_and_kept_nowhere() -> None:
    """It may quote the prompt."""
    secret = "x" * 5000 + "maximum context length"
    exchange = answered(CHAT, {}, {"error": {"message": secret}}, 400)
    assert exchange.error == "invalid_request"
    assert not any("xxx" in str(getattr(exchange, name)) for name in exchange.__slots__)
