"""llama.cpp's OpenAI routes: `timings` beside usage, or in its place."""

from __future__ import annotations

from answers import answered, exchange_of, sse

CHAT = "/v1/chat/completions"
TIMINGS = {"cache_n": 4, "prompt_n": 7, "prompt_ms": 9.1, "predicted_n": 2, "predicted_ms": 4.5}


def chunk_of(content: str | None, finish: str | None = None, **fields: object) -> dict[str, object]:
    """A chunk as llama.cpp writes it."""
    delta = {} if content is None else {"content": content}
    choice = {"finish_reason": finish, "index": 0, "delta": delta}
    return {"choices": [choice], "id": "c1", "model": "smollm2", **fields}


def test_timings_count_tokens_where_no_usage_was_asked_for() -> None:
    """They come with the finish, whatever the client asked; the cache's tokens are not in them."""
    events = sse(chunk_of("a"), chunk_of("b"), chunk_of(None, "stop", timings=TIMINGS), b"[DONE]")
    exchange = exchange_of(CHAT, {"stream": True}, *events)
    assert (exchange.prompt_tokens, exchange.output_tokens, exchange.cached_tokens) == (11, 2, 4)
    assert not exchange.usage_missing
    assert (exchange.events, exchange.finish_reasons, exchange.error) == (2, ["stop"], "")


def test_timings_of_each_token_tell_the_first_read() -> None:
    """`timings_per_token`."""
    first = chunk_of("ab", timings={**TIMINGS, "predicted_n": 2})
    last = chunk_of("c", "stop", timings={**TIMINGS, "predicted_n": 3})
    exchange = exchange_of(CHAT, {"stream": True}, *sse(first, last, b"[DONE]"))
    assert (exchange.first_arrival_tokens, exchange.output_tokens) == (2, 3)


def test_usage_goes_before_timings() -> None:
    """Where an answer has both."""
    usage = {"prompt_tokens": 20, "completion_tokens": 5,
             "prompt_tokens_details": {"cached_tokens": 1}}  # fmt: skip
    body = {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}],
            "usage": usage, "timings": TIMINGS}  # fmt: skip
    exchange = answered(CHAT, {}, body)
    assert (exchange.prompt_tokens, exchange.output_tokens, exchange.cached_tokens) == (20, 5, 1)


def test_timings_of_any_type_cost_nothing_else() -> None:
    """They are an extra."""
    for timings in (3, [], {"predicted_n": "x", "cache_n": None}, {"prompt_n": 1.5}):
        exchange = answered(CHAT, {}, {"model": "m", "choices": [], "timings": timings})
        assert (exchange.model, exchange.output_tokens, exchange.unread) == ("m", None, "")
