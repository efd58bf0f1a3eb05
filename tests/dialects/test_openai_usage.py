"""Where OpenAI-shaped servers put usage, and what their counts include."""

from __future__ import annotations

import json

import pytest
from answers import answered, exchange_of, sse
from observed import usage

from sidelight_sidecar.observer.exchange import Exchange

CHAT = "/v1/chat/completions"
STREAM = {"model": "m", "stream": True}


def streamed(*events: object) -> Exchange:
    """The exchange of a chat stream."""
    return exchange_of(CHAT, STREAM, *sse(*events))


def said(finish: str | None = None, **more: object) -> dict[str, object]:
    """A chunk with a piece of text, and whatever stands beside its choices."""
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": finish}
    return {"id": "c", "model": "m", "choices": [choice], **more}


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([said("stop"), {"choices": [], "usage": usage(7, 3)}], id="no choices"),
        pytest.param([said("stop", usage=usage(7, 3))], id="with the finish"),
        pytest.param(
            [said(usage=usage(7, 1)), said(usage=usage(7, 2)), said("stop", usage=usage(7, 3))],
            id="in every chunk",
        ),
        pytest.param(
            [
                said("stop", usage=None),
                {"choices": [{"index": 0, "delta": {}}], "usage": usage(7, 3)},
            ],
            id="late with an empty delta",
        ),
        pytest.param([said("stop", x_groq={"id": "r", "usage": usage(7, 3)})], id="in x_groq"),
        pytest.param(
            [said("stop", x_groq={"id": "r", "usage": usage(9, 9)}, usage=usage(7, 3))],
            id="in both, the usual place wins",
        ),
    ],
)
def test_usage_is_found_wherever_it_is(events: list[object]) -> None:
    """It is cumulative: the last wins, none are added."""
    exchange = streamed(*events, b"[DONE]")
    assert (exchange.prompt_tokens, exchange.output_tokens) == (7, 3)
    assert not exchange.usage_missing


def test_late_usage_is_no_output() -> None:
    """An empty delta after the end does not move the last output."""
    late = {"choices": [{"index": 0, "delta": {"content": ""}}], "usage": usage(7, 1)}
    exchange = streamed(said(), said("stop"), late, b"[DONE]")
    assert (exchange.events, exchange.arrivals) == (2, 2)


@pytest.mark.parametrize(
    ("counts", "cached", "reasoning"),
    [
        (usage(9, 5, prompt_tokens_details={"cached_tokens": 4}), 4, 0),
        (usage(9, 5, prompt_cache_hit_tokens=4, prompt_cache_miss_tokens=5), 4, 0),
        (usage(9, 5, completion_tokens_details={"reasoning_tokens": 3}), 0, 3),
        (usage(9, 5, reasoning_tokens=3), 0, 3),
        (usage(9, 5, prompt_tokens_details=None, completion_tokens_details=None), 0, 0),
    ],
)
def test_parts_are_found_within_or_beside(
    counts: dict[str, object], cached: int, reasoning: int
) -> None:
    """DeepSeek and Venice name them beside their whole."""
    exchange = streamed(said("stop", usage=counts), b"[DONE]")
    assert (exchange.cached_tokens, exchange.reasoning_tokens) == (cached, reasoning)
    assert (exchange.prompt_tokens, exchange.output_tokens) == (9, 5)


def test_usage_without_details_leaves_those_that_were_named() -> None:
    """The last word on each count wins."""
    exchange = streamed(
        said(usage=usage(9, 1, prompt_tokens_details={"cached_tokens": 4})),
        said("stop", usage=usage(9, 2)),
        b"[DONE]",
    )
    assert (exchange.prompt_tokens, exchange.cached_tokens, exchange.output_tokens) == (9, 4, 2)


def test_reasoning_that_the_total_proves_apart_is_included() -> None:
    """xAI: total = prompt + completion + reasoning."""
    counts = usage(10, 5, total_tokens=35, completion_tokens_details={"reasoning_tokens": 20})
    exchange = streamed(said("stop", usage=counts), b"[DONE]")
    assert (exchange.output_tokens, exchange.reasoning_tokens) == (25, 20)


def test_reasoning_within_completion_is_not_added_again() -> None:
    """OpenAI: total = prompt + completion."""
    counts = usage(10, 25, total_tokens=35, completion_tokens_details={"reasoning_tokens": 20})
    exchange = streamed(said("stop", usage=counts), b"[DONE]")
    assert (exchange.output_tokens, exchange.reasoning_tokens) == (25, 20)


def test_part_that_exceeds_its_whole_was_left_out_of_it() -> None:
    """Some gateways do so; a part is never more than its whole here."""
    counts = usage(
        7, 10, total_tokens=17, prompt_tokens_details={"cached_tokens": 160},
        completion_tokens_details={"reasoning_tokens": 96},
    )  # fmt: skip
    exchange = streamed(said("stop", usage=counts), b"[DONE]")
    assert (exchange.prompt_tokens, exchange.cached_tokens) == (167, 160)
    assert (exchange.output_tokens, exchange.reasoning_tokens) == (106, 96)


def test_doubtful_sums_are_left_as_they_are() -> None:
    """A total that fits nothing proves nothing."""
    counts = usage(10, 5, total_tokens=36, completion_tokens_details={"reasoning_tokens": 4})
    assert streamed(said("stop", usage=counts), b"[DONE]").output_tokens == 5


@pytest.mark.parametrize("bad", ["x", [], -1, 2.5, True, 1 << 60, {"prompt_tokens": "7"}])
def test_usage_that_is_none_is_missing_not_nought(bad: object) -> None:
    """A count that is no count is not counted."""
    exchange = streamed(said("stop", usage=bad), b"[DONE]")
    assert exchange.output_tokens is None
    assert exchange.usage_missing
    partly = streamed(said("stop", usage={"prompt_tokens": bad, "completion_tokens": 3}), b"[DONE]")
    assert (partly.prompt_tokens, partly.output_tokens) == (None, 3)


def test_first_model_that_has_a_name_is_the_model() -> None:
    """Azure's first chunk has neither a name nor choices."""
    first = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
    exchange = exchange_of(CHAT, STREAM, *sse(first, said("stop"), b"[DONE]"))
    assert (exchange.model, exchange.response_id, exchange.events) == ("m", "c", 1)


def test_unary_answer_has_all_of_it() -> None:
    """Model, id, counts, and the reason of each choice."""
    choices = [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
        {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
    ]
    body = {"id": "c", "model": "m", "choices": choices, "usage": usage(4, 6)}
    exchange = answered(CHAT, {"n": 2}, body)
    assert (exchange.response_id, exchange.model, exchange.choices) == ("c", "m", 2)
    assert exchange.finish_reasons == ["stop", "length"]
    assert (exchange.prompt_tokens, exchange.output_tokens) == (4, 6)
    assert exchange.has_output


@pytest.mark.parametrize(
    ("message", "empty"),
    [
        ({"content": ""}, True),
        ({"content": None}, True),
        ({"content": "x"}, False),
        ({"content": None, "reasoning_content": "x"}, False),
        ({"content": None, "refusal": "x"}, False),
        ({"content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}, False),
        ({"content": None, "audio": {"id": "x"}}, False),
    ],
)
def test_empty_answer_is_one_that_holds_nothing(message: object, empty: bool) -> None:
    """Streamed and whole alike."""
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    assert answered(CHAT, {}, {"choices": [choice]}).empty is empty
    assert streamed({"choices": [{**choice, "delta": message}]}, b"[DONE]").empty is empty


def test_mistral_thinks_in_parts_of_its_content() -> None:
    """Parts of type thinking are reasoning; any other makes it an answer."""
    exchange = exchange_of(
        CHAT, STREAM, *sse(
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
            {"choices": [{"index": 0, "delta": {"content": [{"type": "thinking"}]}}]},
            {"choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": "a"}]}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, b"[DONE]",
        )
    )  # fmt: skip
    assert exchange.events == 2
    assert exchange.time_to_first_token == pytest.approx(0.030)
    assert exchange.time_to_first_output == pytest.approx(0.040)


def test_wrongly_typed_field_costs_that_field_alone() -> None:
    """The rest of the chunk is read."""
    chunk = {"id": 5, "model": ["x"], "choices": [7, {"index": 0, "delta": "no"}, {"delta": {
        "content": "a"}}], "usage": usage(1, 2)}  # fmt: skip
    exchange = streamed(chunk, said("stop"), b"[DONE]")
    assert (exchange.unread, exchange.events, exchange.output_tokens) == ("", 2, 2)
    assert exchange.model == "m"


def test_stream_that_is_called_json_is_read_as_a_stream() -> None:
    """Some gateways do; the first bytes tell, in however many reads they come."""
    data = b"data: %s\n\ndata: [DONE]\n\n" % json.dumps(said("stop", usage=usage(2, 1))).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    head %= len(data)
    for reads in ([head + data], [head, data[:1], data[1:4], data[4:20], data[20:]]):
        exchange = exchange_of(CHAT, STREAM, *reads)
        assert exchange.stream
        assert (exchange.error, exchange.unread, exchange.output_tokens) == ("", "", 1)
        assert exchange.events == 1


def test_usage_in_every_chunk_tells_the_tokens_of_the_first_read() -> None:
    """They are not divided by."""
    exchange = streamed(said(usage=usage(5, 3)), said("stop", usage=usage(5, 9)), b"[DONE]")
    assert exchange.first_arrival_tokens == 3
    assert exchange.time_per_output_token == pytest.approx(0.010 / 6)
