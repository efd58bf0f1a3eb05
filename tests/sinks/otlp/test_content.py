"""Content as attributes: of masked bodies alone, and within a limit."""

from __future__ import annotations

import json

import msgspec
from receiver import ANSWER, REQUEST, body, chat, off

from sidelight_sidecar.capture.sinks.otlp.content import Bodies, parameters
from sidelight_sidecar.records.record import Body

LIMIT = 64 << 10


def test_messages_are_json_by_the_conventions_schema():
    """As strings."""
    tools = [{"type": "function", "function": {"name": "send", "parameters": {}}}]
    record = chat(request=body({**REQUEST, "tools": tools}))
    found = {name: json.loads(text) for name, text in Bodies(record).messages(LIMIT).items()}
    assert found["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "Write to [EMAIL]"}]}
    ]
    assert found["gen_ai.output.messages"] == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "It is sent."}],
            "finish_reason": "stop",
        }
    ]
    assert found["gen_ai.tool.definitions"][0]["name"] == "send"
    assert "gen_ai.system_instructions" not in found


def test_system_prompts_that_come_apart_are_instructions():
    """Anthropic's."""
    asked = {"system": "Be short.", "messages": REQUEST["messages"]}
    record = chat(api="anthropic", operation="messages", request=body(asked))
    found = Bodies(record).messages(LIMIT)
    assert json.loads(found["gen_ai.system_instructions"]) == [
        {"type": "text", "content": "Be short."}
    ]


def test_without_payloads_there_is_no_content():
    """Nor how it was asked."""
    bodies = Bodies(off())
    assert bodies.messages(LIMIT) == {}
    assert parameters(bodies.request) == {}


def test_one_side_alone_has_its_own():
    """The other was left out."""
    record = chat(request=Body(left_out="too_large"))
    assert list(Bodies(record).messages(LIMIT)) == ["gen_ai.output.messages"]


def test_each_attribute_is_cut_to_the_limit():
    """And is JSON."""
    answer = json.loads(json.dumps(ANSWER))
    answer["choices"][0]["message"]["content"] = "long " * 50_000
    found = Bodies(chat(response=body(answer))).messages(1024)
    assert len(found["gen_ai.output.messages"].encode()) <= 1024
    assert json.loads(found["gen_ai.output.messages"])[0]["finish_reason"] == "stop"


def test_how_it_was_asked_has_the_conventions_names_and_types():
    """Doubles are doubles though JSON said 1."""
    found = parameters(
        {
            "model": "llama", "temperature": 1, "top_p": 0.5, "top_k": 40, "seed": 7,
            "max_completion_tokens": 64, "frequency_penalty": 0, "presence_penalty": -1,
            "stop": "###", "response_format": {"type": "json_schema"},
        }
    )  # fmt: skip
    assert found == {
        "gen_ai.request.model": "llama",
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.top_k": 40.0,
        "gen_ai.request.frequency_penalty": 0.0,
        "gen_ai.request.presence_penalty": -1.0,
        "gen_ai.request.seed": 7,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.stop_sequences": ["###"],
        "gen_ai.output.type": "json",
    }
    assert type(found["gen_ai.request.temperature"]) is float


def test_options_that_are_no_such_thing_are_left_out():
    """It is the client's body."""
    nonsense = {
        "model": 3, "temperature": "hot", "top_p": True, "seed": 10**30, "stop": [1, ""],
        "max_tokens": None, "response_format": "json",
    }  # fmt: skip
    assert parameters(nonsense) == {}
    assert parameters([1]) == {}
    assert parameters({"options": {"temperature": 2, "seed": 1}, "seed": 3}) == {
        "gen_ai.request.temperature": 2.0,
        "gen_ai.request.seed": 3,
    }


def test_a_body_of_text_is_its_text():
    """As a message."""
    text = Body("text/plain", 3, msgspec.Raw(b'"Hi."'), text=True)
    found = Bodies(chat(response=text)).messages(LIMIT)
    assert json.loads(found["gen_ai.input.messages"])
