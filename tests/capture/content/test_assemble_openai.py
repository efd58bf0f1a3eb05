"""Chunks of OpenAI's shape put together: the answer that would have come unstreamed."""

from __future__ import annotations

from typing import Any

import pytest
from captured import exchange, sse, stream_of

from sidelight_sidecar.capture.content import Dropped


def chunk(*choices: Any, **more: Any) -> dict[str, Any]:
    """A chunk as vLLM writes it."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1760000000}
    return {**head, "model": "llama", "choices": list(choices), **more}


def delta(index: int = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A choice of a chunk."""
    return {"index": index, "delta": fields, "logprobs": None, "finish_reason": finish}


def whole(*chunks: Any, done: bool = True, **more: Any) -> Any:
    """The answer of a stream."""
    return stream_of(sse(*chunks, done=done), "openai", **more)


def test_a_chat_is_what_it_would_have_been_unstreamed() -> None:
    """Role, text, reason and usage, each where it belongs."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    answer = whole(
        chunk(delta(role="assistant", content="")),
        chunk(delta(content="Hel")),
        chunk(delta(content="lo"), usage={**usage, "completion_tokens": 1}),
        chunk(delta(finish="stop")),
        chunk(usage=usage),
    )
    assert answer == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "llama",
        "choices": [
            {
                "index": 0,
                "logprobs": None,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello"},
            }
        ],
        "usage": usage,
    }


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content", "refusal", "content"])
def test_each_kind_of_text_is_one_string(field: str) -> None:
    """vLLM's, SGLang's and OpenAI's names."""
    pieces = [chunk(delta(**{field: piece})) for piece in ("ha", "ha", "", "h")]
    assert whole(*pieces)["choices"][0]["message"][field] == "hahah"


def test_calls_are_put_together_by_their_index() -> None:
    """Parallel calls, whose arguments come in turns."""

    def call(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        function = {"arguments": arguments, **{k: v for k, v in more.items() if k == "name"}}
        return {"index": index, "function": function} | {
            k: v for k, v in more.items() if k != "name"
        }

    answer = whole(
        chunk(delta(tool_calls=[call(0, "", id="c0", type="function", name="now")])),
        chunk(delta(tool_calls=[call(1, '{"a"', id="c1", type="function", name="then")])),
        chunk(delta(tool_calls=[call(0, '{"x": '), call(1, ": 2}")])),
        chunk(delta(tool_calls=[call(0, "1}")], finish="tool_calls")),
    )
    assert answer["choices"][0]["message"]["tool_calls"] == [
        {"function": {"arguments": '{"x": 1}', "name": "now"}, "id": "c0", "type": "function"},
        {"function": {"arguments": '{"a": 2}', "name": "then"}, "id": "c1", "type": "function"},
    ]


def test_calls_that_share_an_index_are_told_apart_by_their_ids() -> None:
    """Some servers say 0 for each of them."""
    calls = [
        {"index": 0, "id": name, "function": {"name": name, "arguments": "{}"}} for name in "ab"
    ]
    answer = whole(*(chunk(delta(tool_calls=[call])) for call in calls))
    found = answer["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in found] == ["{}", "{}"]


def test_calls_without_an_index_begin_with_a_name() -> None:
    """Servers that number nothing."""
    answer = whole(
        chunk(delta(tool_calls=[{"function": {"name": "a", "arguments": '{"x"'}}])),
        chunk(delta(tool_calls=[{"function": {"arguments": ":1}"}}])),
        chunk(delta(tool_calls=[{"function": {"name": "b", "arguments": "{}"}}])),
    )
    found = answer["choices"][0]["message"]["tool_calls"]
    assert [call["function"] for call in found] == [
        {"name": "a", "arguments": '{"x":1}'},
        {"name": "b", "arguments": "{}"},
    ]


def test_a_legacy_call_and_tgis_single_call_come_together() -> None:
    """`function_call`, and `tool_calls` that is an object."""
    answer = whole(
        chunk(delta(function_call={"name": "f", "arguments": '{"x"'})),
        chunk(delta(function_call={"arguments": ":1}"})),
        chunk(delta(index=1, tool_calls={"index": 0, "function": {"name": "g", "arguments": "{"}})),
        chunk(delta(index=1, tool_calls={"index": 0, "function": {"arguments": "}"}})),
    )
    first, second = (choice["message"] for choice in answer["choices"])
    assert first["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert second["tool_calls"]["function"] == {"name": "g", "arguments": "{}"}


def test_choices_keep_apart_and_in_order() -> None:
    """`n` of 2, which come as they like."""
    answer = whole(
        chunk(delta(1, content="b")),
        chunk(delta(0, content="a"), delta(1, content="B")),
        chunk(delta(0, "length", content="A")),
        chunk(delta(1, "stop")),
    )
    assert [
        (choice["index"], choice["message"]["content"], choice["finish_reason"])
        for choice in answer["choices"]
    ] == [(0, "aA", "length"), (1, "bB", "stop")]


def test_completions_have_text_and_log_probabilities() -> None:
    """Lists of them are extended; unmasked, for masked there are none."""
    choices = [
        {"index": 0, "text": t, "logprobs": {"tokens": [t], "token_logprobs": [-1.5]}}
        for t in ("a", "a")
    ]
    head = {"object": "text_completion", "choices": []}
    answer = whole(*({**head, "choices": [one]} for one in choices), full=True)
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [
        {"index": 0, "text": "aa", "logprobs": {"tokens": ["a", "a"], "token_logprobs": [-1.5] * 2}}
    ]


def test_log_probabilities_of_a_chat_are_extended() -> None:
    """Token by token; the alternatives of each stay with it."""

    def choice(token: str) -> dict[str, Any]:
        one = {"token": token, "logprob": -0.5, "top_logprobs": [{"token": token}]}
        return {"index": 0, "delta": {"content": token}, "logprobs": {"content": [one]}}

    answer = whole(chunk(choice("a")), chunk(choice("b")), full=True)
    found = answer["choices"][0]["logprobs"]["content"]
    assert [one["token"] for one in found] == ["a", "b"]
    assert [one["top_logprobs"] for one in found] == [[{"token": "a"}], [{"token": "b"}]]


def test_masked_there_are_no_log_probabilities_to_put_together() -> None:
    """Twenty alternatives a token are more values than a body may have; the text is there."""
    some = [{"token": "ab", "logprob": -0.5, "bytes": [97, 98]}] * 20
    one = {"token": "ab", "logprob": -0.5, "bytes": [97, 98], "top_logprobs": some}
    choice = {"index": 0, "delta": {"content": "ab "}, "logprobs": {"content": [one]}}
    events = sse(*[chunk(choice)] * 1500, done=True)
    assert stream_of(events, "openai")["choices"] == [
        {"index": 0, "logprobs": "[LOGPROBS]", "message": {"content": "ab " * 1500}}
    ]
    got = exchange("openai", None, events, answer_type="text/event-stream", full=True)
    assert got.answer.dropped is Dropped.TOO_MANY


def test_token_ids_are_extended() -> None:
    """The token API of vLLM; a list that begins like the one before is no repetition."""
    chunks = [{"choices": [{"index": 0, "token_ids": ids}]} for ids in ([5], [5, 6], [7])]
    answer = stream_of(sse(*chunks, done=True), "vllm_tokens", full=True)
    assert answer["choices"][0]["token_ids"] == [5, 5, 6, 7]


def test_content_in_parts_is_put_together_by_type() -> None:
    """Mistral thinks in parts and then goes on in plain text."""
    answer = whole(
        chunk(delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}])),
        chunk(delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}])),
        chunk(delta(content=[{"type": "text", "text": "O"}])),
        chunk(delta(content="K")),
    )
    assert answer["choices"][0]["message"]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "OK"},
    ]


def test_what_nobody_knows_is_kept_where_it_is_safe() -> None:
    """The same each time: kept; in a delta: joined; changing elsewhere: it may be a piece."""
    answer = whole(
        chunk(delta(content="a", channel="final", extra="x"), provider="p", odd="1", same={"a": 1}),
        chunk(delta(content="b", channel="final", extra="y"), provider="p", odd="2", same={"a": 2}),
    )
    message = answer["choices"][0]["message"]
    assert (message["channel"], message["extra"]) == ("final", "xy")
    assert (answer["provider"], answer["same"]) == ("p", {"a": 2})
    assert "odd" not in answer


def test_padding_is_left_out() -> None:
    """OpenAI's `obfuscation` is noise."""
    assert "obfuscation" not in whole(chunk(delta(content="a"), obfuscation="x9"))


def test_a_message_so_far_beside_the_delta_is_not_said_twice() -> None:
    """Perplexity repeats all of it in every chunk."""
    chunks = [
        chunk({**delta(content=piece), "message": {"role": "assistant", "content": text}})
        for piece, text in (("a", "a"), ("b", "ab"))
    ]
    assert whole(*chunks)["choices"][0]["message"] == {"content": "ab"}


def test_an_error_in_the_stream_is_kept_with_what_there_was() -> None:
    """After some text, an engine dies: its word and the text are both content."""
    events = sse(chunk(delta(content="so far")), {"error": {"message": "CUDA", "code": 500}})
    got = exchange("openai", None, events, answer_type="text/event-stream")
    assert got.answer.truncated
    assert got.messages.outputs == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "so far"}],
            "finish_reason": "error",
        }
    ]
    assert b"CUDA" in got.answer.body


def test_a_stream_that_was_cut_within_an_event_gives_what_there_is() -> None:
    """The client left: the last event is not whole."""
    events = sse(chunk(delta(content="one ")), chunk(delta(content="two")))[:-20]
    got = exchange("openai", None, events, answer_type="text/event-stream", cut=True)
    assert got.answer.truncated
    assert got.messages.outputs[0]["parts"] == [{"type": "text", "content": "one "}]


def test_an_event_that_cannot_be_read_is_missing() -> None:
    """In the midst of a stream that ended well: the answer is marked, and the rest is there."""
    events = sse(chunk(delta(content="a")), "{oops", chunk(delta(content="b")), done=True)
    got = exchange("openai", None, events, answer_type="text/event-stream")
    assert got.answer.truncated
    assert got.messages.outputs[0]["parts"] == [{"type": "text", "content": "ab"}]


def test_a_stream_that_says_that_it_ended_is_whole() -> None:
    """By `[DONE]`, or by a reason for each choice where a server sends none (Hayhooks)."""
    ended = chunk(delta(content="x", finish="stop"))
    for events in (sse(ended), sse(chunk(delta(content="x")), done=True)):
        got = exchange("openai", None, events, answer_type="text/event-stream")
        assert (got.answer.truncated, got.answer.streamed) == (False, True)
    open_end = sse(chunk(delta(content="x")))
    assert exchange("openai", None, open_end, answer_type="text/event-stream").answer.truncated


def test_chunks_of_openais_shape_are_known_wherever_they_come() -> None:
    """FedML's gateway, or an API that nobody knows."""
    for dialect in ("", "fedml", "qwak"):
        answer = stream_of(sse(chunk(delta(content="a")), chunk(delta(content="b"))), dialect)
        assert answer["choices"][0]["message"]["content"] == "ab"


def test_many_choices_cost_no_more_than_their_number() -> None:
    """A hostile engine numbers a hundred thousand: it is a sum, no square."""
    events = b"".join(b'data: {"choices":[{"index":%d}]}\n\n' % index for index in range(20_000))
    assert len(stream_of(events, "openai")["choices"]) == 20_000
