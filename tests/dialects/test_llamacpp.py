"""llama.cpp's own completion: what its events and answers say."""

from __future__ import annotations

import pytest
from answers import answered, exchange_of, sse
from observed import (
    STREAM_END,
    STREAM_HEAD,
    Kept,
    Script,
    chunk,
    event,
    only,
    pipeline_of,
    request,
)

from sidelight_sidecar.frames import codec


def piece(content: str, predicted: int, index: int = 0) -> dict[str, object]:
    """An event that is not the last of its choice."""
    return {
        "index": index, "content": content, "tokens": [1], "stop": False, "id_slot": -1,
        "tokens_predicted": predicted, "tokens_evaluated": 9,
    }  # fmt: skip


def last(
    predicted: int, *, index: int = 0, content: str = "", **fields: object
) -> dict[str, object]:
    """The last of a choice; a whole answer when it has content."""
    return {
        "index": index, "content": content, "tokens": [], "id_slot": 0, "stop": True,
        "model": "smollm2", "tokens_predicted": predicted, "tokens_evaluated": 9,
        "stop_type": "eos", "tokens_cached": 77,
        "timings": {"cache_n": 4, "prompt_n": 5, "predicted_n": predicted}, **fields,
    }  # fmt: skip


def test_stream_has_the_engines_counts_and_no_terminator() -> None:
    """The final event ends it; what the slot holds afterwards is no cache hit."""
    events = sse(piece("Hel", 1), piece("lo", 2), last(2))
    exchange = exchange_of("/completion", {"prompt": "x", "stream": True}, *events)
    assert (exchange.operation, exchange.dialect) == ("text_completion", "llamacpp")
    assert (exchange.model, exchange.error, exchange.stream) == ("smollm2", "", True)
    assert (exchange.prompt_tokens, exchange.output_tokens, exchange.cached_tokens) == (9, 2, 4)
    assert exchange.finish_reasons == ["eos"]
    assert (exchange.arrivals, exchange.events, exchange.first_arrival_tokens) == (2, 2, 1)
    assert exchange.time_per_output_token == pytest.approx(0.010)


def test_tokens_of_a_first_read_that_held_several_are_known() -> None:
    """Every event counts up, so the mean time per token leaves out what came at once."""
    read = [STREAM_HEAD + event(piece("a", 1)) + event(piece("b", 2)), event(piece("c", 3))]
    exchange = exchange_of("/completion", {"prompt": "x"}, *read, event(last(3)) + STREAM_END)
    assert (exchange.arrivals, exchange.first_arrival_tokens, exchange.output_tokens) == (2, 2, 3)
    assert exchange.time_per_output_token == pytest.approx(0.010)


@pytest.mark.parametrize(
    "why", [{"stop_type": "limit"}, {"stop_type": None, "stopped_limit": True}]
)
def test_unary_answer_of_new_and_old_servers(why: dict[str, object]) -> None:
    """Old ones had a flag for each reason, and no count of cached tokens."""
    answer = last(5, content="Hello", timings={"prompt_n": 3}, **why)
    exchange = answered("/completions", {"prompt": "x"}, answer)
    assert (exchange.operation, exchange.dialect) == ("text_completion", "llamacpp")
    assert (exchange.prompt_tokens, exchange.output_tokens, exchange.cached_tokens) == (9, 5, 6)
    assert exchange.finish_reasons == ["limit"]
    assert exchange.has_output
    assert exchange.time_to_first_token is None


def test_several_prompts_add_up() -> None:
    """A list of answers, each with its own prompt."""
    body = [last(3, content="a"), last(4, index=1, content="b", stop_type="word")]
    exchange = answered("/completion", {"prompt": ["x", "y"]}, body)
    assert (exchange.prompt_tokens, exchange.output_tokens, exchange.cached_tokens) == (18, 7, 8)
    assert (exchange.choices, exchange.finish_reasons) == (2, ["eos", "word"])


def test_several_choices_of_one_prompt_are_one_prompt() -> None:
    """`n_cmpl` repeats the prompt's count with each choice."""
    body = [last(3, content="a"), last(4, index=1, content="b")]
    exchange = answered("/completion", {"prompt": "x", "n_cmpl": 2}, body)
    assert (exchange.prompt_tokens, exchange.output_tokens) == (9, 7)


def test_stream_of_several_choices_is_over_when_each_is() -> None:
    """It begins with a null, as the real server's does; a time per token would be ambiguous."""
    events = [b"null", piece("a", 1), piece("b", 1, 1), last(1), piece("c", 2, 1)]
    whole = exchange_of("/completion", {"prompt": ["x", "y"]}, *sse(*events, last(2, index=1)))
    assert (whole.error, whole.unread, whole.output_tokens) == ("", "", 3)
    assert whole.time_per_output_token is None
    cut = exchange_of("/completion", {"prompt": ["x", "y"]}, *sse(*events))
    assert (cut.error, cut.output_tokens) == ("upstream_reset", 3)


def test_stream_without_its_last_event_was_broken_off() -> None:
    """What was generated until then is counted."""
    exchange = exchange_of("/completion", {"prompt": "x"}, *sse(piece("a", 1)))
    assert (exchange.error, exchange.output_tokens) == ("upstream_reset", 1)


def test_client_that_leaves_has_the_tokens_it_was_sent_counted() -> None:
    """No estimate is needed: the last event that came says how many."""
    kept = Kept()
    script = Script().client(request(b"{}", "/completion"))
    script.engine(STREAM_HEAD, event(piece("a", 1)), event(piece("b", 2)))
    pipeline_of(kept).feed(script.add(codec.RESET, b"client").frames)
    exchange = only(kept)
    assert (exchange.code, exchange.error) == (499, "client_disconnect")
    assert (exchange.output_tokens, exchange.estimated_tokens) == (2, 0)


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "exceed_context_size_error", "context_length"),
        (400, "invalid_request_error", "invalid_request"),
        (501, "not_supported_error", "server_error"),
        (503, "unavailable_error", "overloaded"),
    ],
)
def test_error_classes(status: int, kind: str, error: str) -> None:
    """The status decides, but for a prompt that is too long."""
    body = {"error": {"code": status, "message": "m", "type": kind}}
    exchange = answered("/infill", {"input_prefix": "x"}, body, status)
    assert (exchange.code, exchange.error, exchange.unread) == (status, error, "")


def test_error_within_a_stream() -> None:
    """As an event, and as the SSE field `error` of 2024's servers."""
    fault = {"error": {"code": 500, "message": "m", "type": "server_error"}}
    exchange = exchange_of("/completion", {"prompt": "x"}, *sse(piece("a", 1), fault))
    assert (exchange.code, exchange.error) == (200, "stream_error")


def test_error_in_a_field_of_the_event() -> None:
    """Servers of 2024 did not put it into the data."""
    read = [STREAM_HEAD, event(piece("a", 1)), chunk(b'error: {"code":500}\n\n'), STREAM_END]
    assert exchange_of("/completion", {"prompt": "x"}, *read).error == "stream_error"


def test_other_answers_on_the_shared_path_are_not_taken_for_it() -> None:
    """OpenAI's API without its prefix."""
    body = {"model": "m", "choices": [{"index": 0, "text": "x", "finish_reason": "stop"}]}
    exchange = answered("/completions", {"prompt": "x"}, body)
    assert (exchange.dialect, exchange.finish_reasons) == ("openai", ["stop"])
