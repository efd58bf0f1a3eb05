"""vLLM's API of token ids."""

from __future__ import annotations

import pytest
from answers import answered, exchange_of, sse

PATH = "/inference/v1/generate"


def said(ids: list[int], finish: str | None = None, *, index: int = 0, **fields: object) -> object:
    """An event, or an answer."""
    choice = {"index": index, "token_ids": ids, "finish_reason": finish}
    return {"request_id": "r1", "choices": [choice], **fields}


def test_ids_are_counted_where_no_usage_comes() -> None:
    """Each is a token, so that the first read's are known."""
    exchange = exchange_of(PATH, {}, *sse(said([1, 2]), said([3]), said([], "stop"), b"[DONE]"))
    assert (exchange.operation, exchange.dialect, exchange.error) == ("generate", "vllm_tokens", "")
    assert (exchange.output_tokens, exchange.first_arrival_tokens, exchange.events) == (3, 2, 2)
    assert exchange.time_per_output_token == pytest.approx(0.010)
    assert (exchange.response_id, exchange.finish_reasons) == ("r1", ["stop"])


def test_usage_goes_before_counted_ids() -> None:
    """It may count what was not sent."""
    usage = {"prompt_tokens": 4, "completion_tokens": 5}
    exchange = answered(PATH, {}, said([1, 2], "length", usage=usage))
    assert (exchange.prompt_tokens, exchange.output_tokens) == (4, 5)
    assert exchange.has_output


def test_stream_of_two_choices_that_was_broken_off() -> None:
    """One of them never ended."""
    events = sse(said([1]), said([2], index=1), said([3], "stop"))
    exchange = exchange_of(PATH, {}, *events)
    assert (exchange.error, exchange.output_tokens, exchange.choices) == ("upstream_reset", 3, 2)


def test_error_within_a_stream() -> None:
    """The status stays 200."""
    exchange = exchange_of(PATH, {}, *sse(said([1]), {"error": {"message": "x"}}, b"[DONE]"))
    assert (exchange.code, exchange.error) == (200, "stream_error")
