"""`/predict` and its like: FedML's text without structure, Qwak's errors in a header, anything."""

from __future__ import annotations

import pytest
from answers import answered, exchange_of, raw_stream, sse
from observed import (
    DONE,
    STREAM_END,
    STREAM_HEAD,
    Kept,
    Script,
    answer,
    delta,
    only,
    pipeline_of,
    request,
)

ASKED = {"prompt": "x", "stream": True}


@pytest.mark.parametrize("path", ["/predict", "/api/v1/predict", "/inference/42"])
@pytest.mark.parametrize("content_type", ["", "text/plain; charset=utf-8"])
@pytest.mark.parametrize("asked", [ASKED, {"inputs": {"text": "x", "stream": True}}])
def test_pieces_of_text_without_structure(path: str, content_type: str, asked: object) -> None:
    """Each read is an arrival; the connection's end is the stream's; events are an estimate."""
    read = raw_stream(b"Hel", b"lo", content_type=content_type)
    exchange = exchange_of(path, asked, *read)
    assert (exchange.operation, exchange.dialect, exchange.error) == ("generate", "fedml", "")
    assert (exchange.stream, exchange.arrivals, exchange.unread) == (True, 2, "")
    assert exchange.time_to_first_token == pytest.approx(0.020)
    assert (exchange.output_tokens, exchange.estimated_tokens) == (None, 2)


def test_events_of_openais_shape() -> None:
    """What most templates of FedML stream when they say what they do."""
    read = [STREAM_HEAD, delta(content="a"), delta("stop"), DONE + STREAM_END]
    exchange = exchange_of("/predict", ASKED, *read)
    assert (exchange.operation, exchange.dialect, exchange.model) == ("generate", "fedml", "m")
    assert (exchange.events, exchange.finish_reasons, exchange.error) == (1, ["stop"], "")


def test_stream_of_events_that_was_broken_off() -> None:
    """It has a terminator to miss."""
    read = [STREAM_HEAD, delta(content="a"), STREAM_END]
    assert exchange_of("/predict", ASKED, *read).error == "upstream_reset"


def test_chat_of_fedmls_gateway() -> None:
    """OpenAI's API behind the endpoint's id."""
    exchange = exchange_of(
        "/inference/42/chat/completions", ASKED, STREAM_HEAD, delta(content="a"),
        delta("stop") + STREAM_END,
    )  # fmt: skip
    assert (exchange.operation, exchange.dialect) == ("chat", "openai")


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"generated_text": "Hello"}, None),
        ({"choices": [{"index": 0, "message": {"content": "x"}}],
          "usage": {"prompt_tokens": 1, "completion_tokens": 2}}, 2),
    ],
)  # fmt: skip
def test_generated_text_in_a_document(body: object, tokens: int | None) -> None:
    """FedML's own name for it, or OpenAI's shape."""
    exchange = answered("/predict", {"prompt": "x"}, body)
    assert (exchange.operation, exchange.generating, exchange.has_output) == (
        "generate",
        True,
        True,
    )
    assert exchange.output_tokens == tokens


@pytest.mark.parametrize("body", [{"label": "cat"}, [0.1, 0.9], 3, None, b"\x00\x01"])
def test_any_other_model_is_an_inference_without_tokens(body: object) -> None:
    """No model generates a class."""
    exchange = answered("/predict", {"x": 1}, body)
    assert (exchange.operation, exchange.generating, exchange.error) == ("infer", False, "")
    assert exchange.token_source is None
    assert not exchange.usage_missing


def test_what_was_kept_of_any_other_model_is_not_counted_as_text() -> None:
    """By its request alone it might have generated."""
    kept = Kept()
    pipeline = pipeline_of(kept)
    pipeline.context.keep_text = True
    script = Script().client(request(b'{"prompt":"x"}', "/predict")).engine(answer({"label": 1}))
    pipeline.feed(script.frames)
    assert only(kept).operation == "infer"
    assert len(pipeline.counter) == 0
    assert pipeline.context.budget.kept == 0


def test_answer_of_fedmls_runner_is_known_by_its_times() -> None:
    """Whatever it says."""
    exchange = answered("/predict", {"x": 1}, {"label": "cat"}, headers=("fedml_t3: 1",))
    assert exchange.dialect == "fedml"


def test_failed_stream_is_no_output() -> None:
    """An error's page is text in pieces, too."""
    read = raw_stream(b"Internal Server Error", content_type="text/plain")
    read[0] = read[0].replace(b"200 OK", b"500 X")
    exchange = exchange_of("/predict", ASKED, *read)
    assert (exchange.error, exchange.stream, exchange.events) == ("server_error", False, 0)


@pytest.mark.parametrize(
    ("path", "version"),
    [("/v1/churn/predict", ""), ("/v1/churn/canary/predict", "canary")],
)
def test_qwak_names_model_and_variation_in_the_path(path: str, version: str) -> None:
    """The answer is the model's own."""
    exchange = answered(path, [{"a": 1}], [{"churn": 0.2}])
    assert (exchange.operation, exchange.dialect) == ("infer", "qwak")
    assert (exchange.model, exchange.model_version) == ("churn", version)
    assert (exchange.generating, exchange.has_output) == (False, True)


@pytest.mark.parametrize("path", ["/predict", "/v1/churn/predict"])
@pytest.mark.parametrize(("status", "error"), [(500, "server_error"), (200, "server_error")])
def test_exception_in_a_header(path: str, status: int, error: str) -> None:
    """It failed, even where the status does not say so."""
    headers = ("X-Exception-Class: com.qwak.ModelException",)
    exchange = answered(path, [{"a": 1}], {"message": "x"}, status, headers=headers)
    assert (exchange.dialect, exchange.code, exchange.error) == ("qwak", status, error)


def test_model_that_does_not_exist_is_no_model() -> None:
    """Clients may ask for any name."""
    exchange = exchange_of("/v1/nonsense/predict", {}, answer({}, 404))
    assert (exchange.model, exchange.error) == ("", "not_found")


def test_events_of_an_unknown_shape() -> None:
    """They are a stream, and nothing in them is guessed to be output."""
    exchange = exchange_of("/predict", ASKED, *sse({"token": "a"}))
    assert (exchange.stream, exchange.events) == (True, 0)
