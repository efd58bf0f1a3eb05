"""SGLang's own `/generate`: cumulative answers, counts in each event."""

from __future__ import annotations

import pytest
from answers import answered, exchange_of, sse
from observed import STREAM_END, STREAM_HEAD, event

ASKED = {"text": "x", "sampling_params": {"max_new_tokens": 4}, "stream": True}
STOP = {"type": "stop", "matched": 2}


def so_far(
    text: str, tokens: int, finish: object = None, *, index: int | None = None, **meta: object
) -> dict[str, object]:
    """An event, or an answer."""
    info = {
        "id": "r1", "finish_reason": finish, "prompt_tokens": 6, "completion_tokens": tokens,
        "cached_tokens": 5, "weight_version": "default", "e2e_latency": 0.1, **meta,
    }  # fmt: skip
    body: dict[str, object] = {"text": text, "output_ids": [1] * tokens, "meta_info": info}
    return body if index is None else {**body, "index": index}


def test_cumulative_stream() -> None:
    """The last counts win; an event without a new token is no output."""
    events = sse(so_far("a", 1), so_far("a b", 2), so_far("a b", 2), so_far("a b c", 3, STOP))
    exchange = exchange_of("/generate", ASKED, *events[:-1], event(b"[DONE]") + STREAM_END)
    assert (exchange.operation, exchange.dialect, exchange.error) == ("generate", "sglang", "")
    assert (exchange.prompt_tokens, exchange.output_tokens, exchange.cached_tokens) == (6, 3, 5)
    assert (exchange.arrivals, exchange.events) == (3, 3)
    assert exchange.time_per_output_token == pytest.approx(0.030 / 2)
    assert (exchange.finish_reasons, exchange.response_id) == (["stop"], "r1")
    assert exchange.model == ""


def test_incremental_stream_counts_the_same() -> None:
    """The text is each event's own, the counts are still of all so far."""
    events = sse(so_far("aa", 1), so_far("b", 2), so_far("", 3), so_far("c", 4, STOP), b"[DONE]")
    exchange = exchange_of("/generate", ASKED, *events)
    assert (exchange.events, exchange.output_tokens, exchange.error) == (4, 4, "")


def test_first_read_with_several_tokens() -> None:
    """Speculative decoding gives several tokens an event."""
    exchange = exchange_of(
        "/generate", ASKED, *sse(so_far("abc", 3), so_far("abcde", 5, STOP), b"[DONE]")
    )
    assert exchange.first_arrival_tokens == 3
    assert exchange.time_per_output_token == pytest.approx(0.010 / 2)


def test_unary_answer() -> None:
    """`finish_reason` is an object."""
    exchange = answered("/generate", ASKED, so_far("abc", 3, {"type": "length", "length": 3}))
    assert (exchange.output_tokens, exchange.finish_reasons) == (3, ["length"])
    assert exchange.has_output
    assert not exchange.stream


@pytest.mark.parametrize(("n", "prompts", "prompt_tokens"), [(1, 2, 12), (2, 1, 6)])
def test_lists_add_up_and_a_prompt_counts_once(n: int, prompts: int, prompt_tokens: int) -> None:
    """Of a batch each answer has its prompt; with `n` some have the same."""
    asked = {"text": ["x"] * prompts, "sampling_params": {"n": n}}
    exchange = answered("/generate", asked, [so_far("a", 2, STOP), so_far("b", 3, STOP)])
    assert (exchange.prompt_tokens, exchange.output_tokens) == (prompt_tokens, 5)
    assert (exchange.choices, exchange.finish_reasons) == (2, ["stop", "stop"])


def test_stream_of_several_choices_has_an_index() -> None:
    """Each is cumulative by itself."""
    events = [
        so_far("a", 1, index=0), so_far("x", 1, index=1), so_far("ab", 2, STOP, index=0),
        so_far("xyz", 3, STOP, index=1), b"[DONE]",
    ]  # fmt: skip
    exchange = exchange_of("/generate", {**ASKED, "sampling_params": {"n": 2}}, *sse(*events))
    assert (exchange.events, exchange.output_tokens, exchange.prompt_tokens) == (4, 5, 6)
    assert exchange.time_per_output_token is None


def test_token_ids_without_text() -> None:
    """A server without a tokenizer."""
    answer = so_far("", 3, STOP)
    del answer["text"]
    assert answered("/generate", {"input_ids": [1, 2]}, answer).has_output


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"error": {"message": "boom", "type": "Oops", "code": 500}}, "stream_error"),
        ({"error": {"message": "longer than the model's context length (8 tokens)"}},
         "context_length"),
        (so_far("a", 1, {"type": "abort", "message": "Aborted", "status_code": 503}),
         "stream_error"),
    ],
)  # fmt: skip
def test_error_within_a_stream(fault: object, error: str) -> None:
    """An event of its own, or a choice that ends with `abort`; the status stays 200."""
    exchange = exchange_of("/generate", ASKED, *sse(so_far("a", 1), fault, b"[DONE]"))
    assert (exchange.code, exchange.error) == (200, error)


def test_refused_request_is_known_by_what_it_asked() -> None:
    """The answer has no shape of its own."""
    body = {"error": {"message": "The input (9 tokens) is longer than the model's context length"}}
    exchange = answered("/generate", ASKED, body, 400)
    assert (exchange.dialect, exchange.error) == ("sglang", "context_length")


def test_stream_that_was_broken_off() -> None:
    """Neither `[DONE]` nor a reason; the tokens so far are counted."""
    exchange = exchange_of("/generate", ASKED, STREAM_HEAD, event(so_far("a", 2)), STREAM_END)
    assert (exchange.error, exchange.output_tokens) == ("upstream_reset", 2)


def test_configured_engine_settles_whose_answer_it_is() -> None:
    """Even where the answer does not look like its own."""
    exchange = exchange_of("/generate", {"text": "x"}, *sse(b"[DONE]"), engine="SGLang")
    assert exchange.dialect == "sglang"
    assert exchange.empty
