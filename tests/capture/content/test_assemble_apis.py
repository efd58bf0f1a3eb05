"""Streams of Anthropic, Responses, Ollama and the engines' own APIs put together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from captured import exchange, ndjson, sse, stream_of

from sidelight_sidecar.capture.content import Captured

SSE = "text/event-stream"


def captured(dialect: str, events: bytes, **more: Any) -> Captured:
    """A stream, captured."""
    return exchange(dialect, None, events, answer_type=SSE, **more)


def typed(*events: dict[str, Any]) -> bytes:
    """Events that are named like their type."""
    return sse(*((event["type"], event) for event in events))


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 1},
    },
}  # fmt: skip


def begin(index: int, **block: Any) -> dict[str, Any]:
    """A block begins."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def grow(index: int, kind: str, **delta: Any) -> dict[str, Any]:
    """A block grows."""
    delta = {"type": kind, **delta}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def test_an_anthropic_message_is_put_together_block_by_block() -> None:
    """Thinking with its signature, text, and a call with its input."""
    answer = stream_of(
        typed(
            START,
            begin(0, type="thinking", thinking="", signature=""),
            grow(0, "thinking_delta", thinking="h"),
            grow(0, "thinking_delta", thinking="m"),
            grow(0, "signature_delta", signature="c2ln"),
            {"type": "content_block_stop", "index": 0},
            {"type": "ping"},
            begin(1, type="text", text=""),
            grow(1, "text_delta", text="It "),
            grow(1, "citations_delta", citation={"type": "page", "cited_text": "q"}),
            grow(1, "text_delta", text="is"),
            begin(2, type="tool_use", id="t1", name="f", input={}),
            grow(2, "input_json_delta", partial_json=""),
            grow(2, "input_json_delta", partial_json='{"ci'),
            grow(2, "input_json_delta", partial_json='ty": "Ulm"}'),
            begin(3, type="tool_use", id="t2", name="g", input={"a": 1}),
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use", "stop_sequence": None},
                "usage": {"output_tokens": 30},
            },
            {"type": "message_stop"},
        ),
        "anthropic",
    )
    assert answer == {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "stop_reason": "tool_use", "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 30},
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "text", "text": "It is", "citations": [{"type": "page", "cited_text": "q"}]},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"city": "Ulm"}},
            {"type": "tool_use", "id": "t2", "name": "g", "input": {"a": 1}},
        ],
    }  # fmt: skip


def test_an_anthropic_stream_that_breaks_off_has_its_input_as_text() -> None:
    """It is no JSON yet, so it is masked as what it is."""
    got = captured(
        "anthropic",
        typed(
            START,
            begin(0, type="tool_use", id="t1", name="f", input={}),
            grow(0, "input_json_delta", partial_json='{"to": "a@b.'),
            grow(0, "input_json_delta", partial_json='com", "x'),
            {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
        ),
    )
    answer = json.loads(got.answer.body)
    assert got.answer.truncated
    assert answer["content"][0]["input"] == '{"to": "[EMAIL]", "x'
    assert answer["error"] == {"type": "overloaded_error", "message": "busy"}


def item(kind: str, index: int = 0, **fields: Any) -> dict[str, Any]:
    """An event about an item."""
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": fields}


def piece(kind: str, text: str, index: int = 0, **more: Any) -> dict[str, Any]:
    """A piece of an item's text."""
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": text, **more}


CREATED = {"type": "response.created", "response": {"id": "r", "status": "in_progress"}}


def test_a_response_is_what_its_last_event_says() -> None:
    """Whatever came before."""
    response = {"id": "r", "status": "completed", "output": [{"type": "message", "content": []}]}
    events = typed(
        CREATED,
        item("added", type="message", content=[]),
        piece("output_text", "x", content_index=0),
        {"type": "response.completed", "response": response},
    )
    got = captured("openai_responses", events)
    assert json.loads(got.answer.body) == response
    assert not got.answer.truncated


def test_a_response_without_an_end_is_put_together_of_its_pieces() -> None:
    """Items that are done, that have begun, and that only grow."""
    got = captured(
        "openai_responses",
        typed(
            CREATED,
            item("added", 0, id="rs", type="reasoning", summary=[]),
            piece("reasoning_summary_text", "th", 0, summary_index=0),
            piece("reasoning_summary_text", "ink", 0, summary_index=0),
            item("added", 1, id="fc", type="function_call", name="f", arguments=""),
            piece("function_call_arguments", '{"to": "a@b.', 1),
            piece("function_call_arguments", 'com"}', 1),
            item("added", 2, id="m", type="message", role="assistant", content=[]),
            {
                "type": "response.content_part.added",
                "output_index": 2,
                "content_index": 0,
                "part": {"type": "output_text", "text": "", "annotations": []},
            },
            piece("output_text", "se", 2, content_index=0),
            piece("output_text", "en", 2, content_index=0),
            piece("refusal", "no", 2, content_index=1),
            piece("output_text", "?", 3, content_index=0),
            item("done", 3, id="d", type="message", content=[{"type": "output_text", "text": "!"}]),
            piece("output_text", "lost", 4, content_index=0),
            piece("shell_output", "new", 4),
        ),
    )
    assert got.answer.truncated
    assert json.loads(got.answer.body)["output"] == [
        {"id": "rs", "type": "reasoning", "summary": [{"type": "summary_text", "text": "think"}]},
        {"id": "fc", "type": "function_call", "name": "f", "arguments": '{"to":"[EMAIL]"}'},
        {
            "id": "m", "type": "message", "role": "assistant",
            "content": [
                {"type": "output_text", "text": "seen", "annotations": []},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {"id": "d", "type": "message", "content": [{"type": "output_text", "text": "!"}]},
        {
            "type": "message", "shell_output": "new",
            "content": [{"type": "output_text", "text": "lost"}],
        },
    ]  # fmt: skip


def test_an_end_without_output_gets_the_items() -> None:
    """Some servers leave it empty there."""
    end = {"type": "response.completed", "response": {"id": "r", "output": [], "usage": {"x": 1}}}
    events = typed(CREATED, item("done", type="message", content=[]), end)
    answer = stream_of(events, "openai_responses")
    assert answer == {"id": "r", "usage": {"x": 1}, "output": [{"type": "message", "content": []}]}


def test_ollamas_lines_become_the_last_one_with_all_of_the_text() -> None:
    """Chat: text, thinking, and calls, which come whole."""
    call = {"function": {"name": "f", "arguments": {"a": [1, 2]}}}
    lines = ndjson(
        {"model": "m", "created_at": "t1", "message": {"role": "assistant", "content": ""}},
        {"model": "m", "created_at": "t2", "message": {"role": "assistant", "thinking": "h"}},
        {"model": "m", "created_at": "t3", "message": {"role": "assistant", "thinking": "m"}},
        {"model": "m", "created_at": "t4", "message": {"content": "1", "tool_calls": [call]}},
        {"model": "m", "created_at": "t5", "message": {"content": "1", "tool_calls": [call]}},
        {"model": "m", "created_at": "t6", "done": True, "done_reason": "stop",
         "message": {"role": "assistant", "content": ""}, "eval_count": 3},
    )  # fmt: skip
    got = exchange("ollama", None, lines, answer_type="application/x-ndjson")
    assert json.loads(got.answer.body) == {
        "model": "m", "created_at": "t6",
        "message": {
            "role": "assistant", "content": "11", "thinking": "hm", "tool_calls": [call, call],
        },
        "done": True, "done_reason": "stop", "eval_count": 3,
    }  # fmt: skip
    assert not got.answer.truncated
    assert exchange(
        "ollama", None, lines[:200], answer_type="application/x-ndjson"
    ).answer.truncated


def test_ollamas_generate_keeps_its_context_unmasked_only() -> None:
    """It is the conversation in tokens."""
    lines = ndjson(
        {"response": "a", "done": False}, {"response": "b", "done": True, "context": [1, 2, 3]}
    )
    kept = exchange("ollama", None, lines, answer_type="application/x-ndjson", full=True)
    assert json.loads(kept.answer.body) == {"response": "ab", "done": True, "context": [1, 2, 3]}
    masked = exchange("ollama", None, lines, answer_type="application/x-ndjson")
    assert json.loads(masked.answer.body)["context"] == "[TOKENS 3]"


@pytest.mark.parametrize(
    ("dialect", "event", "place"),
    [
        ("ollama", {"response": "a", "logprobs": [{"token": "a"}]}, ["logprobs"]),
        ("llamacpp", {"content": "a", "completion_probabilities": [{"token": "a"}]},
         ["completion_probabilities"]),
        ("sglang", {"text": "a", "meta_info": {"output_token_logprobs": [[-1.0, 5, "a"]]}},
         ["meta_info", "output_token_logprobs"]),
    ],
)  # fmt: skip
def test_log_probabilities_of_any_stream_are_a_marker(
    dialect: str, event: Any, place: list[str]
) -> None:
    """One, however many events have them."""
    found = stream_of(sse(event, event), dialect)
    for name in place:
        found = found[name]
    assert found == "[LOGPROBS]"


def test_tgis_tokens_become_the_text() -> None:
    """As it says it in the end, or without special ones as far as it came."""

    def token(text: str, generated: str | None = None, **more: Any) -> dict[str, Any]:
        one = {"id": 5, "text": text, "logprob": -1.0, "special": text.startswith("<")}
        return {"index": 1, "token": one, "generated_text": generated, "details": None, **more}

    details = {"finish_reason": "length", "generated_tokens": 3}
    events = [token("a"), token("b"), token("</s>", "ab", details=details)]
    got = captured("tgi", sse(*events))
    assert json.loads(got.answer.body) == {"generated_text": "ab", "details": details}
    assert not got.answer.truncated
    got = captured("tgi", sse(*events[:2], token("<x>")))
    assert json.loads(got.answer.body)["generated_text"] == "ab"
    assert got.answer.truncated
    error = {"error": "out of memory", "error_type": "generation"}
    assert stream_of(sse(error), "tgi") == error


def test_llamacpps_pieces_are_put_together_by_prompt() -> None:
    """The last event of each has what there is to say besides."""
    events = sse(
        "null",
        {"index": 0, "content": "a", "tokens": [1], "stop": False},
        {"index": 1, "content": "x", "tokens": [2], "stop": False},
        {"index": 0, "content": "b", "tokens": [1], "stop": False},
        {"index": 0, "content": "", "tokens": [], "stop": True, "stop_type": "eos", "prompt": "p"},
        {"index": 1, "content": "", "stop": True, "stop_type": "limit", "model": "m"},
    )
    assert not captured("llamacpp", events).answer.truncated
    assert stream_of(events, "llamacpp", full=True) == [
        {
            "index": 0, "content": "ab", "tokens": [1, 1], "stop": True, "stop_type": "eos",
            "prompt": "p",
        },
        {
            "index": 1, "content": "x", "tokens": [2], "stop": True, "stop_type": "limit",
            "model": "m",
        },
    ]  # fmt: skip
    one = sse({"content": "a", "stop": False}, {"content": "b", "stop": True})
    assert stream_of(one, "llamacpp") == {"content": "ab", "stop": True}


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "ab", "abab"],
        ["a", "b", "a", "b"],
        ["", "a", "ab", "ab", "abab"],
        ["a", "ab\ufffd", "abab"],
    ],
    ids=["so far", "pieces", "nothing new", "taken back"],
)
def test_sglangs_text_is_all_so_far_or_pieces(texts: list[str]) -> None:
    """By whether each event begins with the one before."""
    events = [{"text": text, "meta_info": {"id": "x", "finish_reason": None}} for text in texts]
    events[-1]["meta_info"] = {"id": "x", "finish_reason": {"type": "stop"}, "cached_tokens": 1}
    got = captured("sglang", sse(*events[:-1], events[-1]))
    answer = json.loads(got.answer.body)
    assert answer["text"] == "abab"
    assert answer["meta_info"] == {
        "id": "x", "finish_reason": {"type": "stop"}, "cached_tokens": 1,
    }  # fmt: skip
    assert not got.answer.truncated


@pytest.mark.parametrize("ids", [[[5], [5, 6], [5, 6, 5]], [[5], [6], [5]]])
def test_sglangs_token_ids_are_all_so_far_or_pieces(ids: list[list[int]]) -> None:
    """Like its text."""
    events = sse(*({"output_ids": one, "meta_info": {}} for one in ids))
    assert stream_of(events, "sglang", full=True)["output_ids"] == [5, 6, 5]


def test_sglangs_choices_become_a_list() -> None:
    """With `n` of 2 each event has an index."""
    events = sse(
        {"index": 1, "text": "b", "meta_info": {}}, {"index": 0, "text": "a", "meta_info": {}}
    )
    assert [one["text"] for one in stream_of(events, "sglang")] == ["a", "b"]


def test_tritons_responses_become_one() -> None:
    """Text is joined, tokens of each response are added up; lists of texts are one by one."""
    events = [
        {"model_name": "m", "text_output": text, "num_output_tokens": 1, "num_input_tokens": 4}
        for text in ("a", "b", "a")
    ]
    assert stream_of(sse(*events), "kserve") == {
        "model_name": "m", "text_output": "aba", "num_output_tokens": 3, "num_input_tokens": 4,
    }  # fmt: skip
    several = sse({"text_output": ["a", "x"]}, {"text_output": ["b", "y"]})
    assert stream_of(several, "kserve") == {"text_output": ["ab", "xy"]}


def test_takeoffs_events_are_the_text() -> None:
    """Also where a piece looks like JSON."""
    got = captured("takeoff", b"data: 41\n\ndata:11\n\ndata: {}\n\n")
    assert json.loads(got.answer.body) == {"text": "4111{}"}
    assert [one["parts"] for one in got.messages.outputs] == [
        [{"type": "text", "content": "4111{}"}]
    ]


def test_fedmls_pieces_are_text() -> None:
    """Bytes without a type, to a request that asked for a stream."""
    got = exchange("fedml", None, b"{write to a@b.com", answer_type="application/octet-stream")
    assert got.answer.body == b"{write to [EMAIL]"


def test_objects_of_an_unknown_api_are_merged_field_by_field() -> None:
    """So that what was split is one string; Gemini's, streamed as events or as one list."""
    chunks = [
        {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}], "n": n}
        for n, text in enumerate(("a@", "b.com"))
    ]
    expected = {
        "candidates": [{"content": {"parts": [{"text": "[EMAIL]"}], "role": "model"}}], "n": 1,
    }  # fmt: skip
    assert stream_of(sse(*chunks)) == expected
    got = exchange("", None, chunks)
    assert json.loads(got.answer.body) == expected


def test_events_that_are_lists_or_quoted_are_read_before_they_are_text() -> None:
    """An escape hides nothing."""
    assert stream_of(b'data: ["\\u0061@b."]\n\ndata: ["com"]\n\n') == {"event": ["[EMAIL]"]}
    assert stream_of(b'data: "\\u0061@b."\n\ndata: "com"\n\n') == {"text": "[EMAIL]"}


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "ollama", "tgi", "sglang", ""])
def test_a_stream_of_nothing_is_nothing(dialect: str) -> None:
    """Comments alone: a client that left while the prompt was read."""
    got = captured(dialect, b": ping\n\n: ping\n\n", cut=True)
    assert got.answer.truncated
    assert got.answer.body in (b"{}", b'{"text":""}')
    assert not [one for one in got.messages.outputs if one["parts"]]
