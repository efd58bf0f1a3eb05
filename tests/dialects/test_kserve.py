"""Triton and the Open Inference Protocol over HTTP."""

from __future__ import annotations

import json

import pytest
from answers import answered, exchange_of, sse
from observed import answer

GENERATE = "/v2/models/llm/generate"
STREAM = "/v2/models/llm/generate_stream"


def said(text: str, **fields: object) -> dict[str, object]:
    """A response of a model that generates."""
    return {"model_name": "llm", "model_version": "3", "text_output": text, **fields}


@pytest.mark.parametrize(
    ("path", "version"),
    [("/v2/models/llm/infer", "3"), ("/v2/models/a%2Fb/versions/7/infer", "3"),
     ("/v2/models/llm/versions/3/infer", "3"), ("/seldon/v2/models/llm/infer", "3")],
)  # fmt: skip
def test_infer_names_model_and_version(path: str, version: str) -> None:
    """The answer's word goes before the path's; nothing is counted for tensors."""
    body = {
        "id": "i1", "model_name": "llm", "model_version": version,
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1], "data": [0.5]}],
    }  # fmt: skip
    exchange = answered(path, {"inputs": []}, body)
    assert (exchange.operation, exchange.dialect) == ("infer", "kserve")
    assert (exchange.model, exchange.model_version, exchange.response_id) == ("llm", version, "i1")
    assert exchange.has_output
    assert not exchange.generating
    assert exchange.token_source is None


def test_path_names_the_model_where_the_answer_does_not() -> None:
    """Names are decoded."""
    exchange = answered("/v2/models/a%2Fb/versions/7/infer", {}, {"outputs": []})
    assert (exchange.model, exchange.model_version) == ("a/b", "7")


@pytest.mark.parametrize("status", [400, 404])
def test_model_that_does_not_exist_is_no_model(status: int) -> None:
    """Clients may ask for any name."""
    exchange = answered("/v2/models/nonsense/infer", {}, {"error": "unknown model"}, status)
    assert (exchange.model, exchange.unread) == ("", "")
    assert exchange.error == ("not_found" if status == 404 else "invalid_request")


def test_binary_tensors_follow_the_json() -> None:
    """Its length is in a header."""
    head = json.dumps({"model_name": "llm", "model_version": "1", "outputs": [{"name": "y"}]})
    read = answer(
        head.encode() + b"\x00\xff\x00\xff",
        headers=(f"Inference-Header-Content-Length: {len(head)}",),
    ).replace(b"application/json", b"application/octet-stream")
    exchange = exchange_of("/v2/models/llm/infer", {}, read)
    assert (exchange.model_version, exchange.unread) == ("1", "")


def test_language_model_behind_infer() -> None:
    """Its outputs are known by their names."""
    outputs = [
        {"name": "text_output", "datatype": "BYTES", "shape": [1], "data": ["Hello"]},
        {"name": "finish_reason", "datatype": "BYTES", "shape": [1], "data": ["length"]},
        {"name": "num_input_tokens", "datatype": "UINT32", "shape": [1], "data": [4]},
        {"name": "num_output_tokens", "datatype": "UINT32", "shape": [1], "data": [2]},
    ]
    exchange = answered("/v2/models/llm/infer", {}, {"model_name": "llm", "outputs": outputs})
    assert exchange.generating
    assert (exchange.prompt_tokens, exchange.output_tokens) == (4, 2)
    assert exchange.finish_reasons == ["length"]


def test_generate() -> None:
    """One text; the protocol counts no tokens."""
    exchange = answered(GENERATE, {"text_input": "x"}, said("Hello"))
    assert (exchange.operation, exchange.model, exchange.model_version) == ("generate", "llm", "3")
    assert exchange.has_output
    assert exchange.usage_missing


def test_generate_stream_ends_with_the_connection() -> None:
    """No terminator is missed; an empty text is no token; events are an estimate."""
    exchange = exchange_of(STREAM, {"text_input": "x"}, *sse(said("a"), said("b"), said("")))
    assert (exchange.error, exchange.stream, exchange.events) == ("", True, 2)
    assert exchange.time_to_first_token == pytest.approx(0.020)
    assert (exchange.estimated_tokens, exchange.output_tokens) == (2, None)


def test_generate_stream_with_the_backends_counts() -> None:
    """`num_output_tokens` is of each response: they add up."""
    events = sse(
        said("a", num_input_tokens=5, num_output_tokens=2, finish_reason="None"),
        said("b", num_input_tokens=5, num_output_tokens=1, finish_reason="None"),
        said("", num_input_tokens=5, num_output_tokens=1, finish_reason="stop"),
    )
    exchange = exchange_of(STREAM, {"text_input": "x"}, *events)
    assert (exchange.prompt_tokens, exchange.output_tokens) == (5, 4)
    assert (exchange.first_arrival_tokens, exchange.finish_reasons) == (2, ["stop"])


def test_details_of_the_open_inference_protocol() -> None:
    """`parameters.details` brings the reason."""
    body = said("Hello", details={"finish_reason": "eos_token", "logprobs": []})
    assert answered(GENERATE, {"text_input": "x"}, body).finish_reasons == ["eos_token"]


def test_several_texts_of_one_request() -> None:
    """Beams, or a batch."""
    exchange = answered(GENERATE, {"text_input": "x"}, {"text_output": ["a", "b"]})
    assert (exchange.choices, exchange.has_output) == (2, True)


def test_error_within_a_stream() -> None:
    """The status stays 200."""
    exchange = exchange_of(STREAM, {"text_input": "x"}, *sse(said("a"), {"error": "cancelled"}))
    assert (exchange.code, exchange.error) == (200, "stream_error")


def test_first_protocol_of_kserve() -> None:
    """The path says all there is to know."""
    exchange = answered("/v1/models/iris:predict", {"instances": [[1]]}, {"predictions": [0]})
    assert (exchange.operation, exchange.model, exchange.has_output) == ("infer", "iris", True)
