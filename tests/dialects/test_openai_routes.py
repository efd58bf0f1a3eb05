"""Which paths lead to which dialect, and which to none."""

from __future__ import annotations

import pytest
from answers import answered, exchange_of, sse
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.dialects import route_of
from sidelight_sidecar.observer.dialects.base import Request


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/v1/chat/completions/", "chat"),
        ("/v1/chat/completions?api-version=1", "chat"),
        ("/openai/v1/chat/completions", "chat"),
        ("/api/v1/chat/completions", "chat"),
        ("/inference/v1/chat/completions", "chat"),
        ("/openai/deployments/any-name_1.5/chat/completions", "chat"),
        ("/models/org/name/v1/chat/completions", "chat"),
        ("/chat/completions", "chat"),
        ("/api/coding/paas/v4/chat/completions", "chat"),
        ("/v1/completions", "text_completion"),
        ("/openai/v1/completions", "text_completion"),
        ("/openai/deployments/d/completions", "text_completion"),
        ("/v1/responses", "responses"),
        ("/openai/v1/responses", "responses"),
        ("/openai/responses", "responses"),
        ("/v1/embeddings", "embeddings"),
        ("/openai/v1/embeddings", "embeddings"),
        ("/openai/deployments/d/embeddings", "embeddings"),
        ("/v1/messages", "messages"),
        ("/api/v1/messages", "messages"),
        ("/v1/messages?beta=true", "messages"),
        ("/api/chat", "chat"),
        ("/api/generate", "generate"),
        ("/api/embed", "embeddings"),
        ("/api/embeddings", "embeddings"),
        ("/generate", "generate"),
        ("/generate_stream", "generate"),
        ("/", "generate"),
        # No inference:
        ("/v1/score", "other"),
        ("/rerank", "other"),
        ("/v1/rerank", "other"),
        ("/tokenize", "other"),
        ("/detokenize", "other"),
        ("/pooling", "other"),
        ("/classify", "other"),
        ("/v1/models", "other"),
        ("/v1/messages/count_tokens", "other"),
        ("/v1/messages/batches", "other"),
        ("/v1/responses/resp_1/cancel", "other"),
        ("/v1/threads/thread_1/messages", "other"),
        ("/v1/chat/completions/chatcmpl-1", "other"),
        ("/xchat/completions", "other"),
        ("/v1/xcompletions", "other"),
        ("/v1/chat", "other"),
        ("", "generate"),
    ],
)
def test_operation_by_path(path: str, operation: str) -> None:
    """OpenAI's resources are known by the end of a path, whatever stands before it."""
    assert route_of(Request("POST", path)).operation == operation


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses/resp_1", "/health", "/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_only_a_post_is_inference(method: str, path: str) -> None:
    """A stored response that is fetched would count its tokens twice."""
    assert route_of(Request(method, path)).operation == "other"


@given(st.text(max_size=2048))
def test_any_path_has_a_route(path: str) -> None:
    """None raises, and what is found has a reader."""
    assert callable(route_of(Request("POST", path)).dialect)


def test_request_that_no_dialect_knows_is_still_an_exchange() -> None:
    """Status, class of error, sizes; nothing is made up."""
    exchange = answered("/v1/score", {"a": 1}, {"usage": {"prompt_tokens": 5}})
    assert (exchange.operation, exchange.dialect, exchange.code) == ("other", "", 200)
    assert (exchange.prompt_tokens, exchange.usage_missing, exchange.empty) == (None, False, False)
    assert exchange.bytes_in == 8
    assert answered("/v1/score", {}, {"error": "x"}, 503).error == "overloaded"


def test_shared_path_of_another_server_is_no_inference() -> None:
    """A form that is posted to `/` is not an answer that holds nothing."""
    exchange = answered("/", {"a": 1}, {"ok": True})
    assert (exchange.operation, exchange.generating, exchange.empty) == ("other", False, False)
    assert exchange.in_flight_as == "generate"
    for body in (b"<html>", b"", b"[]", b'"x"'):
        assert answered("/", {}, body).operation == "other"


@pytest.mark.parametrize(
    ("status", "operation"), [(404, "other"), (405, "other"), (503, "generate")]
)
def test_shared_path_that_fails(status: int, operation: str) -> None:
    """Not found: nobody serves it. Anything else failed to generate."""
    assert answered("/", {}, b"x", status).operation == operation


def test_configured_engine_settles_a_shared_path() -> None:
    """TGI's pod: no question is asked."""
    exchange = exchange_of("/", {}, *sse({"unknown": 1}), engine="TGI")
    assert (exchange.operation, exchange.dialect) == ("generate", "tgi")
    assert exchange.error == "upstream_reset"


def test_shared_path_of_a_stream_that_never_becomes_clear() -> None:
    """After eight events it is no inference."""
    exchange = exchange_of("/", {}, *sse(*[{"n": n} for n in range(9)]))
    assert (exchange.operation, exchange.error, exchange.events) == ("other", "", 0)


def test_invocations_are_whatever_answers() -> None:
    """SageMaker's one path: OpenAI's answers, or TGI's."""
    choice = {"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}
    body = {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 1}}
    assert answered("/invocations", {}, body).dialect == "openai"
    assert answered("/invocations", {}, [{"generated_text": "x"}]).dialect == "tgi"
