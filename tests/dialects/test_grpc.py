"""gRPC: statuses, and KServe's second protocol in it."""

from __future__ import annotations

import struct

import pytest
from grpc_calls import call, field, framed, infer_response, raw_text, streamed, tensor

TEXT = tensor("text_output", "BYTES")


def piece(text: str, *, tokens: int | None = None) -> bytes:
    """A streamed response with one text, as Triton's vLLM backend sends it."""
    outputs, raw = [TEXT], [raw_text(text)]
    if tokens is not None:
        outputs.append(tensor("num_output_tokens", "UINT32"))
        raw.append(struct.pack("<I", tokens))
    return framed(streamed(infer_response(*outputs, raw=raw)))


def test_unary_call_names_model_and_version() -> None:
    """Tensors are no tokens, and one response is no stream."""
    exchange = call("ModelInfer", framed(infer_response(tensor("y", "FP32"), raw=[b"\0" * 4])))
    assert (exchange.operation, exchange.dialect, exchange.error) == ("infer", "kserve_grpc", "")
    assert (exchange.model, exchange.model_version, exchange.response_id) == ("llm", "2", "call-1")
    assert (exchange.stream, exchange.has_output, exchange.generating) == (False, True, False)
    assert exchange.time_to_first_token is None


def test_text_of_a_unary_call_may_be_in_typed_contents() -> None:
    """Triton writes raw contents, others need not."""
    counted = tensor("num_output_tokens", "UINT32", field(4, b"\x03"))
    exchange = call(
        "ModelInfer",
        framed(infer_response(tensor("text_output", "BYTES", field(8, "Hi")), counted)),
    )
    assert (exchange.generating, exchange.has_output, exchange.output_tokens) == (True, True, 3)


def test_stream_has_an_arrival_for_each_message() -> None:
    """The empty response that only says that it is the last is none; responses are an estimate."""
    last = framed(streamed(infer_response()))
    exchange = call("ModelStreamInfer", piece("a"), piece("b") + piece("c"), last)
    assert (exchange.stream, exchange.error, exchange.model) == (True, "", "llm")
    assert (exchange.arrivals, exchange.events) == (2, 3)
    assert exchange.time_to_first_token == pytest.approx(0.012)
    assert exchange.gaps.count == 1
    assert exchange.estimated_tokens == 3


def test_stream_with_the_backends_counts() -> None:
    """They are of each response, and add up."""
    exchange = call(
        "ModelStreamInfer", piece("a", tokens=2), piece("b", tokens=1), piece("", tokens=1)
    )
    assert (exchange.output_tokens, exchange.first_arrival_tokens) == (4, 2)
    assert exchange.time_per_output_token == pytest.approx(0.010 / 2)


def test_message_over_several_reads() -> None:
    """It arrives when it is whole."""
    whole = piece("abc")
    exchange = call("ModelStreamInfer", whole[:3], whole[3:9], whole[9:])
    assert exchange.events == 1
    assert exchange.time_to_first_token == pytest.approx(0.032)


def test_error_within_a_stream() -> None:
    """The call itself may still end with status 0."""
    exchange = call("ModelStreamInfer", piece("a"), framed(streamed(error="out of memory")))
    assert (exchange.code, exchange.error) == (200, "stream_error")
    exchange = call("ModelStreamInfer", framed(streamed(error="exceeds maximum input length 8")))
    assert exchange.error == "context_length"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("0", ""), ("1", "client_disconnect"), ("2", "server_error"), ("3", "invalid_request"),
        ("4", "timeout"), ("5", "not_found"), ("6", "invalid_request"), ("7", "auth"),
        ("8", "rate_limited"), ("9", "invalid_request"), ("10", "server_error"),
        ("11", "invalid_request"), ("12", "not_found"), ("13", "server_error"),
        ("14", "overloaded"), ("15", "server_error"), ("16", "auth"), ("99", "_OTHER"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("in_head", [True, False])
@pytest.mark.parametrize(
    "method", ["ModelInfer", "ModelStreamInfer", "/grpc.health.v1.Health/Check"]
)
def test_status_is_sorted_into_the_classes(
    status: str, error: str, in_head: bool, method: str
) -> None:
    """Of any call; in the trailers, or in the head when nothing else comes."""
    exchange = call(method, status=status, in_head=in_head)
    assert (exchange.error, exchange.code, exchange.unread) == (error, 200, "")


def test_prompt_that_is_too_long_is_said_in_the_message() -> None:
    """It is percent-encoded."""
    said = b"the prompt%2C is longer than the model's context length"
    assert call("ModelInfer", status="3", message=said).error == "context_length"


@pytest.mark.parametrize("method", ["ModelInfer", "ModelStreamInfer"])
def test_call_without_a_status_was_broken_off(method: str) -> None:
    """Also a unary one: its client sees an error."""
    response = infer_response(TEXT, raw=[raw_text("a")])
    whole = framed(response if method == "ModelInfer" else streamed(response))
    assert call(method, whole, status="").error == "upstream_reset"


def test_other_services_are_exchanges_with_a_status() -> None:
    """Their messages are not read."""
    exchange = call("/grpc.health.v1.Health/Check", framed(field(1, 1)))
    assert (exchange.operation, exchange.dialect, exchange.unread) == ("other", "grpc", "")


def test_proxy_that_answers_in_plain_http() -> None:
    """HTTP's status decides where there is no other."""
    exchange = call("ModelInfer", status="", http_status=503)
    assert exchange.error == "overloaded"


def test_compressed_messages_are_not_read() -> None:
    """The status is."""
    exchange = call("ModelStreamInfer", framed(b"\x1f\x8b", compressed=True), status="14")
    assert (exchange.unread, exchange.error) == ("encoding", "overloaded")


@pytest.mark.parametrize("message", [b"\xff\xff\xff", b"\x0a\x7f", b"\x03", b"\x00", b"\x80" * 20])
def test_bytes_that_are_no_message(message: bytes) -> None:
    """Noted, and the call goes on."""
    exchange = call("ModelStreamInfer", framed(message), piece("a"))
    assert (exchange.unread, exchange.events, exchange.error) == ("protobuf", 1, "")
