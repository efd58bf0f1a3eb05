"""TGI's own API: one token an event, counts on request."""

from __future__ import annotations

import pytest
from answers import answered, exchange_of, sse

from sidelight_sidecar.observer.dialects.finish import reasons_of
from sidelight_sidecar.observer.exchange import Exchange

DETAILS = {"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 6, "seed": None}


def token(text: str = "a", *, special: bool = False, **fields: object) -> dict[str, object]:
    """One event."""
    token = {"id": 5, "text": text, "logprob": -0.1, "special": special}
    return {"index": 1, "token": token, "generated_text": None, "details": None, **fields}


def streamed(*events: object, path: str = "/generate_stream") -> Exchange:
    """The exchange of a stream."""
    return exchange_of(path, {"inputs": "x"}, *sse(*events))


@pytest.mark.parametrize("path", ["/generate_stream", "/", "/generate"])
def test_stream(path: str) -> None:
    """Each event is a token, the last one has the text and the counts."""
    end = token("</s>", special=True, generated_text="aa", details=DETAILS)
    exchange = streamed(token(), token(""), end, path=path)
    assert (exchange.operation, exchange.dialect, exchange.error) == ("generate", "tgi", "")
    assert (exchange.events, exchange.arrivals, exchange.model) == (3, 3, "")
    assert (exchange.prompt_tokens, exchange.output_tokens) == (6, 3)
    assert exchange.time_per_output_token == pytest.approx(0.020 / 2)
    assert (exchange.finish_reasons, reasons_of(exchange)) == (["eos_token"], ["stop"])


def test_stream_without_details_is_estimated_by_its_tokens() -> None:
    """Only who asks for details is told counts."""
    exchange = streamed(token(), token(generated_text="aa"))
    assert (exchange.output_tokens, exchange.estimated_tokens, exchange.error) == (None, 2, "")


def test_tokens_of_one_read_are_counted() -> None:
    """The first read's tokens are not divided by."""
    head, first, second, third, end = sse(
        token(), token(), token(), token(generated_text="x", details={"generated_tokens": 4})
    )[:5]
    exchange = exchange_of("/generate_stream", {}, head + first + second, third, end, b"0\r\n\r\n")
    assert (exchange.first_arrival_tokens, exchange.events) == (2, 4)
    assert exchange.time_per_output_token == pytest.approx(0.020 / 2)


def test_stream_without_generated_text_was_broken_off() -> None:
    """There is no `[DONE]`."""
    assert streamed(token(), token()).error == "upstream_reset"


def test_generated_text_may_be_empty() -> None:
    """It came, that is what ends the stream."""
    assert streamed(token("</s>", special=True, generated_text="")).error == ""


@pytest.mark.parametrize("as_list", [True, False])
def test_whole_answer(as_list: bool) -> None:
    """`/` puts it into a list; counts are in the details, or in headers."""
    body: object = {"generated_text": "x", "details": {**DETAILS, "prefill": [], "tokens": []}}
    exchange = answered("/" if as_list else "/generate", {}, [body] if as_list else body)
    assert (exchange.dialect, exchange.output_tokens, exchange.prompt_tokens) == ("tgi", 3, 6)
    assert exchange.has_output
    assert not exchange.stream


def test_counts_in_headers() -> None:
    """Of an answer without details."""
    headers = ("x-prompt-tokens: 12", "x-generated-tokens: 7", "x-queue-time: 0")
    exchange = answered("/generate", {}, {"generated_text": "x"}, headers=headers)
    assert (exchange.prompt_tokens, exchange.output_tokens) == (12, 7)
    odd = ("x-prompt-tokens: -1", "x-generated-tokens: 7.5")
    assert answered("/generate", {}, {"generated_text": "x"}, headers=odd).usage_missing


def test_empty_answer() -> None:
    """It ended well and holds nothing."""
    assert answered("/generate", {}, {"generated_text": ""}).empty


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (422, "validation", "invalid_request"), (424, "generation", "server_error"),
        (429, "overloaded", "overloaded"), (500, "incomplete_generation", "server_error"),
    ],
)  # fmt: skip
def test_errors(status: int, kind: str, error: str) -> None:
    """429 means that it is busy, not that the client asks too often."""
    body = {"error": "x" if kind != "overloaded" else "Model is overloaded", "error_type": kind}
    assert answered("/generate", {}, body, status).error == error
    assert answered("/generate", {}, {**body, "error": "x"}, status).error == error


def test_error_within_a_stream() -> None:
    """Alone, or after some tokens."""
    fault = {"error": "Request failed during generation", "error_type": "generation"}
    assert streamed(fault).error == "stream_error"
    assert streamed(token(), fault).error == "stream_error"
    too_long = {"error": "`inputs` tokens + `max_new_tokens` must be <= 9", "error_type": "x"}
    assert streamed(too_long).error == "context_length"
