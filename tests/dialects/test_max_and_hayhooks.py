"""OpenAI's API as Modular MAX and Hayhooks speak it."""

from __future__ import annotations

import pytest
from answers import exchange_of
from observed import DONE, STREAM_END, STREAM_HEAD, delta, usage, usage_event

CHAT = "/v1/chat/completions"


def test_max_sends_several_tokens_in_a_chunk() -> None:
    """A time per token comes of its usage; chunks are only what stalls show in."""
    exchange = exchange_of(
        CHAT, {"stream": True}, STREAM_HEAD, delta(role="assistant", content=""),
        delta(content="one two"), delta(content=" three four five"), delta("stop"),
        usage_event(12, 9), DONE + STREAM_END,
    )  # fmt: skip
    assert (exchange.output_tokens, exchange.events, exchange.arrivals) == (9, 2, 2)
    assert exchange.time_per_output_token == pytest.approx(0.010 / 8)
    assert exchange.estimated_tokens == 0


def test_max_without_usage_has_no_time_per_token() -> None:
    """Chunks are not tokens, and an estimate is not divided by."""
    exchange = exchange_of(
        CHAT, {"stream": True}, STREAM_HEAD, delta(content="one two"), delta(content=" three"),
        delta("stop"), DONE + STREAM_END,
    )  # fmt: skip
    assert exchange.time_per_output_token is None
    assert exchange.estimated_tokens == 2


def test_one_chunk_for_all_tokens() -> None:
    """MAX answers a short request so: there is no time per token."""
    exchange = exchange_of(
        CHAT, {}, STREAM_HEAD, delta("stop", content="all of it", usage=usage(4, 9)),
        DONE + STREAM_END,
    )  # fmt: skip
    assert (exchange.arrivals, exchange.first_arrival_tokens, exchange.output_tokens) == (1, 9, 9)
    assert exchange.time_per_output_token is None


def hayhooks_chunk(content: str, finish: str | None = None) -> bytes:
    """A chunk of Hayhooks: a role in each, never a usage."""
    return delta(finish, role="assistant", content=content)


def test_hayhooks_ends_without_a_terminator() -> None:
    """The reason to finish is its end; the first frame has content beside the role."""
    exchange = exchange_of(
        CHAT, {"stream": True}, STREAM_HEAD, hayhooks_chunk("Hel"), hayhooks_chunk("lo"),
        hayhooks_chunk("", "stop"), STREAM_END,
    )  # fmt: skip
    assert (exchange.error, exchange.finish_reasons) == ("", ["stop"])
    assert (exchange.events, exchange.output_tokens, exchange.estimated_tokens) == (2, None, 2)
    assert exchange.usage_missing
    assert exchange.time_to_first_token == pytest.approx(0.020)


def test_hayhooks_without_a_reason_was_broken_off() -> None:
    """Nothing said that it is complete."""
    exchange = exchange_of(CHAT, {"stream": True}, STREAM_HEAD, hayhooks_chunk("a"), STREAM_END)
    assert exchange.error == "upstream_reset"
