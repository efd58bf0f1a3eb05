"""OpenAI embeddings: a model and prompt tokens, whatever the vectors are."""

from __future__ import annotations

import pytest
from answers import answered

PATH = "/v1/embeddings"
USAGE = {"prompt_tokens": 8, "total_tokens": 8}


@pytest.mark.parametrize("vector", [[0.1, -0.2], "AACAPwAAAEA=", None, {"sparse": {"1": 0.5}}])
def test_model_and_prompt_tokens(vector: object) -> None:
    """Of vectors in any form; it generates nothing, so nothing is missing."""
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    body = {"object": "list", "data": data, "model": "m", "id": "embd-1", "usage": USAGE}
    exchange = answered(PATH, {"input": "x"}, body)
    assert (exchange.operation, exchange.dialect) == ("embeddings", "openai_embeddings")
    assert (exchange.model, exchange.response_id) == ("m", "embd-1")
    assert (exchange.prompt_tokens, exchange.output_tokens) == (8, None)
    assert not any((exchange.generating, exchange.usage_missing, exchange.empty, exchange.unread))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": {"code": 400, "message": "Pooling type 'none'"}}, "invalid_request"),
        (404, {"error": {"code": "model_not_found"}}, "not_found"),
        (400, {"error": "the input length exceeds the context length"}, "context_length"),
        (200, {"error": {"message": "x"}}, "server_error"),
        (200, {"object": "error", "message": "x"}, "server_error"),
    ],
)
def test_errors(status: int, body: object, error: str) -> None:
    """As of any other resource."""
    assert answered(PATH, {}, body, status).error == error


def test_llamacpp_answers_its_own_path_with_a_list() -> None:
    """There is nothing to read, and that is no defect."""
    exchange = answered("/embeddings", {}, [{"index": 0, "embedding": [[0.1]]}])
    assert (exchange.operation, exchange.unread, exchange.error) == ("embeddings", "", "")


def test_answer_that_is_no_json_is_noted() -> None:
    """It was expected to be."""
    assert answered(PATH, {}, b"x").unread == "json"
