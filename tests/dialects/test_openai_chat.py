"""What is read from OpenAI chat and completions, streamed and not."""

from __future__ import annotations

import pytest
from observed import (
    CHAT_STREAM,
    DONE,
    STREAM_END,
    STREAM_HEAD,
    Script,
    answer,
    chunk,
    delta,
    event,
    observed,
    only,
    request,
    usage,
    usage_event,
)

from sidelight_sidecar.frames import codec


def test_stream_has_times_by_the_definitions_and_tokens_of_the_engine() -> None:
    """t0 at the request's first byte, arrivals that bear output alone, N - 1 tokens after."""
    script = Script().client(request()).engine(*CHAT_STREAM)
    exchange = only(observed(script))
    assert (exchange.operation, exchange.model, exchange.code) == ("chat", "m", 200)
    assert exchange.stream
    assert not exchange.error
    assert exchange.time_to_first_token == pytest.approx(0.030)
    assert exchange.time_per_output_token == pytest.approx(0.020 / 2)
    assert exchange.duration == pytest.approx(0.080)
    assert (exchange.arrivals, exchange.events) == (3, 3)
    assert (exchange.prompt_tokens, exchange.output_tokens) == (11, 3)
    assert exchange.cached_tokens == 4
    assert exchange.finish_reasons == ["stop"]
    assert exchange.overhead == pytest.approx(50e-6)


def test_events_of_one_read_are_one_arrival() -> None:
    """No gap of nought is made up, and tokens of the first read are not counted after it."""
    first = delta(content="a", usage=usage(5, 1)) + delta(content="b", usage=usage(5, 2))
    script = (
        Script()
        .client(request())
        .engine(
            STREAM_HEAD + first,
            delta(content="c", usage=usage(5, 3)),
            delta("stop") + DONE + STREAM_END,
        )
    )
    kept = observed(script)
    exchange = only(kept)
    assert (exchange.arrivals, exchange.events, exchange.first_arrival_tokens) == (2, 3, 2)
    assert kept.gaps == [pytest.approx(0.010)]
    assert exchange.time_per_output_token == pytest.approx(0.010)
    assert exchange.output_tokens == 3


def test_unary_answer_has_no_time_to_first_token() -> None:
    """Tokens, finish and total time are all there is."""
    body = {
        "model": "m",
        "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "length"}],
        "usage": usage(3, 9, completion_tokens_details={"reasoning_tokens": 2}),
    }
    exchange = only(observed(Script().client(request(b"{}")).engine(answer(body))))
    assert exchange.time_to_first_token is None
    assert exchange.time_per_output_token is None
    assert (exchange.output_tokens, exchange.reasoning_tokens) == (9, 2)
    assert exchange.finish_reasons == ["length"]
    assert not exchange.stream


@pytest.mark.parametrize(
    "path", ["/v1/completions", "/openai/v1/completions", "/v1/completions?a=1"]
)
def test_text_completion(path: str) -> None:
    """`text` bears output; KServe's prefix and a query change nothing."""
    texts = [event({"model": "m", "choices": [{"index": 0, "text": t}]}) for t in ("a", "")]
    stop = event({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    script = (
        Script().client(request(path=path)).engine(STREAM_HEAD, *texts, stop, DONE + STREAM_END)
    )
    exchange = only(observed(script))
    assert exchange.operation == "text_completion"
    assert exchange.events == 2
    assert not exchange.error


def test_reasoning_is_first_token_but_not_first_output() -> None:
    """Both names of the field are known."""
    script = (
        Script()
        .client(request())
        .engine(
            STREAM_HEAD,
            delta(role="assistant", content=""),
            delta(reasoning_content="hm"),
            delta(reasoning="hm"),
            delta(content="x"),
            delta("stop"),
            DONE + STREAM_END,
        )
    )
    exchange = only(observed(script))
    assert exchange.time_to_first_token == pytest.approx(0.030)
    assert exchange.time_to_first_output == pytest.approx(0.050)


def test_several_choices_have_no_time_per_token() -> None:
    """It would be ambiguous; the rest is counted."""
    script = Script().client(request()).engine(
        STREAM_HEAD, delta(content="a"), delta(content="b", index=1), delta("stop"),
        delta("length", index=1), usage_event(2, 8), DONE + STREAM_END,
    )  # fmt: skip
    exchange = only(observed(script))
    assert exchange.choices == 2
    assert exchange.finish_reasons == ["stop", "length"]
    assert exchange.time_per_output_token is None
    assert exchange.output_tokens == 8


def test_last_usage_wins() -> None:
    """Usage is cumulative: adding it up would count twice."""
    script = Script().client(request()).engine(
        STREAM_HEAD, delta(content="a", usage=usage(5, 1)), delta(content="b", usage=usage(5, 2)),
        delta("stop"), usage_event(5, 2), DONE + STREAM_END,
    )  # fmt: skip
    exchange = only(observed(script))
    assert (exchange.prompt_tokens, exchange.output_tokens) == (5, 2)
    assert exchange.estimated_tokens == 0


def test_missing_usage_is_said_and_estimated_apart() -> None:
    """Counted events are never output tokens."""
    script = (
        Script()
        .client(request())
        .engine(
            STREAM_HEAD, delta(content="a"), delta(content="b"), delta("stop"), DONE + STREAM_END
        )
    )
    exchange = only(observed(script))
    assert exchange.usage_missing
    assert exchange.output_tokens is None
    assert exchange.estimated_tokens == 2


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": {"type": "exceed_context_size_error", "code": 400}}, "context_length"),
        (400, {"error": {"code": "context_length_exceeded"}}, "context_length"),
        (400, {"error": {"message": "bad"}}, "invalid_request"),
        (401, {"error": "Unauthorized"}, "auth"),
        (404, {"object": "error", "message": "no such model"}, "not_found"),
        (429, {}, "rate_limited"),
        (500, b"<html>", "server_error"),
        (503, {"error": {"message": "Loading model"}}, "overloaded"),
        (504, b"", "timeout"),
    ],
)
def test_error_classes(status: int, body: object, error: str) -> None:
    """The status decides, except that a prompt that is too long has a class of its own."""
    exchange = only(observed(Script().client(request()).engine(answer(body, status))))
    assert (exchange.code, exchange.error) == (status, error)
    assert not exchange.unread


def test_error_within_a_stream() -> None:
    """The status stays 200, the request failed."""
    script = (
        Script()
        .client(request())
        .engine(
            STREAM_HEAD, delta(content="a"), event({"error": {"message": "x"}}), DONE + STREAM_END
        )
    )
    exchange = only(observed(script))
    assert (exchange.code, exchange.error) == (200, "stream_error")
    assert exchange.time_to_first_token is not None
    assert exchange.time_per_output_token is None


def test_stream_without_its_end_was_broken_off() -> None:
    """Neither [DONE] nor a finish reason, though HTTP says that all came."""
    script = Script().client(request()).engine(STREAM_HEAD, delta(content="a"), STREAM_END)
    assert only(observed(script)).error == "upstream_reset"


def test_engine_ends_amid_a_stream() -> None:
    """The chunked body has no end."""
    script = Script().client(request()).engine(STREAM_HEAD, delta(content="a"))
    exchange = only(observed(script.add(codec.ENGINE_EOF).add(codec.CLIENT_EOF).add(codec.CLOSED)))
    assert (exchange.code, exchange.error) == (200, "upstream_reset")


@pytest.mark.parametrize(
    "kinds", [[(codec.RESET, b"client")], [(codec.CLIENT_EOF, b""), (codec.RESET, b"engine")]]
)
def test_client_hangs_up(kinds: list[tuple[int, bytes]]) -> None:
    """Code 499, whoever notices first; what it was sent so far is estimated."""
    script = Script().client(request()).engine(STREAM_HEAD, delta(content="a"), delta(content="b"))
    for kind, payload in kinds:
        script.add(kind, payload)
    exchange = only(observed(script.add(codec.CLOSED)))
    assert (exchange.code, exchange.error) == (499, "client_disconnect")
    assert exchange.estimated_tokens == 2
    assert not exchange.usage_missing


def test_engine_that_refuses_the_connection() -> None:
    """The request that waited for it failed."""
    script = Script().client(request()).add(codec.RESET, b"connect").add(codec.CLOSED)
    assert only(observed(script)).error == "upstream_connect"


def test_unreadable_event_is_counted_and_the_rest_is_read() -> None:
    """One bad chunk does not make a stream a failure."""
    script = Script().client(request()).engine(
        STREAM_HEAD, delta(content="a"), event(b"{oops"), event(b'"\xff"'), delta(content="b"),
        delta("stop"), usage_event(1, 2), DONE + STREAM_END,
    )  # fmt: skip
    exchange = only(observed(script))
    assert (exchange.error, exchange.unread) == ("", "json")
    assert (exchange.events, exchange.output_tokens) == (2, 2)


def test_compressed_stream_is_counted_as_unread_not_as_broken() -> None:
    """Times and status are right; nothing else is guessed."""
    head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    script = Script().client(request()).engine(head, chunk(b"\x1f\x8b..."), STREAM_END)
    exchange = only(observed(script))
    assert (exchange.error, exchange.unread, exchange.events) == ("", "encoding", 0)


def test_body_that_is_too_long_is_not_kept() -> None:
    """4 MiB at most."""
    script = Script().client(request(b"{}")).engine(answer(b" " * (4 << 20) + b"{}"))
    exchange = only(observed(script))
    assert exchange.unread == "size"
    assert exchange.usage_missing


def test_tool_calls_are_output() -> None:
    """The first token of an answer may be a call."""
    call = [{"index": 0, "function": {"name": "f", "arguments": ""}}]
    script = (
        Script()
        .client(request())
        .engine(STREAM_HEAD, delta(tool_calls=call), delta("tool_calls"), DONE + STREAM_END)
    )
    exchange = only(observed(script))
    assert exchange.events == 1
    assert exchange.finish_reasons == ["tool_calls"]
