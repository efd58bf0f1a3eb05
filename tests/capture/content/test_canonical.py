"""Canonical messages of each API (OpenTelemetry's GenAI conventions v1.41.1)."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonschema
import pytest
from captured import dumped, exchange, sse
from fake_masker import FakeMasker

from sidelight_sidecar.capture.content import Bodies, Body, Messages, capture
from sidelight_sidecar.capture.content.canonical import messages_of

FINISH = ["stop", "length", "content_filter", "tool_call", "error"]
TYPED = {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}}
ID = {"type": "string"}
PART = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"type": "string"}},
    "oneOf": [
        {"properties": {"type": {"const": "text"}, "content": {"type": "string"}},
         "required": ["content"]},
        {"properties": {"type": {"const": "reasoning"}, "content": {"type": "string"}},
         "required": ["content"]},
        {"properties": {"type": {"const": "tool_call"}, "name": {"type": "string"}, "id": ID},
         "required": ["name"]},
        {"properties": {"type": {"const": "tool_call_response"}, "id": ID},
         "required": ["response"]},
        {"properties": {"type": {"const": "blob"}, "modality": {"type": "string"},
                        "content": {"type": "string"}}, "required": ["modality", "content"]},
        {"properties": {"type": {"const": "uri"}, "uri": {"type": "string"}},
         "required": ["modality", "uri"]},
        {"properties": {"type": {"const": "file"}, "file_id": {"type": "string"}},
         "required": ["modality", "file_id"]},
        {"properties": {"type": {"const": "server_tool_call"}, "name": {"type": "string"},
                        "server_tool_call": TYPED, "id": ID},
         "required": ["name", "server_tool_call"]},
        {"properties": {"type": {"const": "server_tool_call_response"},
                        "server_tool_call_response": TYPED, "id": ID},
         "required": ["server_tool_call_response"]},
        {"properties": {"type": {"not": {"enum": [
            "text", "reasoning", "tool_call", "tool_call_response", "blob", "uri", "file",
            "server_tool_call", "server_tool_call_response",
        ]}}}},
    ],
}  # fmt: skip
MESSAGE = {
    "type": "object",
    "required": ["role", "parts"],
    "properties": {
        "role": {"enum": ["system", "user", "assistant", "tool"]},
        "parts": {"type": "array", "items": PART},
        "name": {"type": "string"},
    },
}
OUTPUT = {**MESSAGE, "required": ["role", "parts", "finish_reason"]} | {
    "properties": {**MESSAGE["properties"], "finish_reason": {"enum": FINISH}}  # type: ignore[dict-item]
}


INPUTS, OUTPUTS, INSTRUCTIONS = (
    jsonschema.Draft202012Validator({"type": "array", "items": items})
    for items in (MESSAGE, OUTPUT, PART)
)


def messages(dialect: str, request: Any = None, answer: Any = None, **more: Any) -> Messages:
    """The messages of an exchange, which are such by the schema."""
    if isinstance(answer, bytes):
        more.setdefault("answer_type", "text/event-stream")
    got = exchange(dialect, request, answer, **more)
    assert got.request.dropped is got.answer.dropped is None
    found = got.messages
    INPUTS.validate(found.inputs)
    OUTPUTS.validate(found.outputs)
    INSTRUCTIONS.validate(found.system_instructions)
    return found


def text(content: str) -> dict[str, Any]:
    """A part of text."""
    return {"type": "text", "content": content}


def test_chat() -> None:
    """Roles, calls, what came of them, images, and the choice of each answer."""
    image = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 300).decode()
    found = messages(
        "openai",
        {
            "messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "name": "ann", "content": [
                    {"type": "text", "text": "what is"},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                    {"type": "new_kind", "x": 1},
                ]},
                {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [
                    {"id": "c", "type": "function",
                     "function": {"name": "look", "arguments": '{"at": "a@b.com"}'}},
                ]},
                {"role": "tool", "tool_call_id": "c", "content": "a cat"},
            ],
            "tools": [
                {"type": "function",
                 "function": {"name": "look", "parameters": {"type": "object"}}},
                {"type": "web_search"},
            ],
        },
        {"choices": [
            {"index": 0, "message": {"role": "assistant", "content": "A cat"},
             "finish_reason": "length"},
            {"index": 1, "message": {"role": "assistant", "refusal": "No"},
             "finish_reason": "content_filter"},
            {"index": 2, "message": {"function_call": {"name": "f", "arguments": "{"}},
             "finish_reason": "function_call"},
        ]},
    )  # fmt: skip
    assert found.inputs[0] == {"role": "system", "parts": [text("be brief")]}
    user = found.inputs[1]
    assert user["name"] == "ann"
    assert user["parts"][0] == text("what is")
    assert user["parts"][1] == {
        "type": "uri", "modality": "image", "uri": "https://x.example/a.png",
    }  # fmt: skip
    blob = user["parts"][2]
    assert len(blob.pop("sha256")) == 16
    assert blob == {
        "type": "blob", "modality": "image", "mime_type": "image/png", "content": "",
        "size_bytes": 308,
    }  # fmt: skip
    assert user["parts"][3]["modality"] == "audio"
    assert user["parts"][4:] == [
        {"type": "file", "modality": "file", "file_id": "file-1"}, {"type": "new_kind", "x": 1},
    ]  # fmt: skip
    assert found.inputs[2]["parts"] == [
        {"type": "reasoning", "content": "hm"},
        {"type": "tool_call", "id": "c", "name": "look", "arguments": {"at": "[EMAIL]"}},
    ]
    assert found.inputs[3] == {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "c", "response": "a cat"}],
    }
    assert found.tool_definitions == [
        {"type": "function", "name": "look", "parameters": {"type": "object"}},
        {"type": "web_search"},
    ]
    assert [(one["parts"], one["finish_reason"]) for one in found.outputs] == [
        ([text("A cat")], "length"),
        ([text("No")], "content_filter"),
        ([{"type": "tool_call", "name": "f", "arguments": "{"}], "tool_call"),
    ]
    assert found.system_instructions == []


def test_anthropic() -> None:
    """Instructions apart, blocks of every kind, results of tools as a tool's message."""
    found = messages(
        "anthropic",
        {
            "system": [{"type": "text", "text": "be kind"}],
            "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": "r"}]},
                {"role": "user", "content": [
                    {"type": "image", "source": {"type": "url", "url": "https://x.example/i"}},
                    {"type": "document", "source": {"type": "file", "file_id": "f1"}}]},
            ],
        },
        {"type": "message", "stop_reason": "tool_use", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": "mail a@b.com"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"to": "a@b.com"}},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        ]},
    )  # fmt: skip
    assert found.system_instructions == [text("be kind")]
    assert found.tool_definitions == [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}
    ]
    assert [one["role"] for one in found.inputs] == ["user", "tool", "user"]
    assert [part["type"] for part in found.inputs[2]["parts"]] == ["uri", "file"]
    assert found.outputs == [
        {"role": "assistant", "finish_reason": "tool_call", "parts": [
            {"type": "reasoning", "content": "hm"},
            {"type": "reasoning", "content": "x"},
            text("mail [EMAIL]"),
            {"type": "tool_call", "id": "t", "name": "f", "arguments": {"to": "[EMAIL]"}},
            {"type": "server_tool_call", "id": "s", "name": "web_search",
             "server_tool_call": {"type": "web_search", "input": {"q": "x"}}},
            {"type": "server_tool_call_response", "id": "s",
             "server_tool_call_response": {"type": "web_search_tool_result", "content": []}},
        ]},
    ]  # fmt: skip


def test_responses() -> None:
    """Items in and out; the reason is the status, or what was incomplete, or the calls."""
    found = messages(
        "openai_responses",
        {
            "instructions": "be quick",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
                {"type": "function_call_output", "call_id": "c", "output": "r"},
            ],
        },
        {
            "object": "response",
            "status": "completed",
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "message", "content": [{"type": "output_text", "text": "ok"}]},
                {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": "x"},
                {"type": "web_search_call", "id": "w", "action": {"query": "q"}},
                {"type": "image_generation_call", "result": "AAAA"},
            ],
        },
    )
    assert found.system_instructions == [text("be quick")]
    assert [one["role"] for one in found.inputs] == ["user", "assistant", "tool"]
    assert found.inputs[1]["parts"][0]["arguments"] == {"a": 1}
    output = found.outputs[0]
    assert output["finish_reason"] == "tool_call"
    assert [part["type"] for part in output["parts"]] == [
        "reasoning", "text", "tool_call", "server_tool_call", "blob",
    ]  # fmt: skip
    assert messages("openai_responses", {"input": "hi"}).inputs == [
        {"role": "user", "parts": [text("hi")]}
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": "completed"}, "stop"),
        ({"status": "failed"}, "error"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
         "content_filter"),
    ],
)  # fmt: skip
def test_a_response_ends_as_its_status_says(answer: Any, reason: str) -> None:
    """With the reason of an incomplete one."""
    found = messages("openai_responses", None, {"object": "response", "output": [], **answer})
    assert found.outputs[0]["finish_reason"] == reason


@pytest.mark.parametrize(
    ("dialect", "request_body", "answer", "inputs", "output", "reason"),
    [
        ("openai", {"prompt": ["a", "b"]}, {"choices": [{"text": "c", "finish_reason": "stop"}]},
         ["a", "b"], "c", "stop"),
        ("ollama", {"prompt": "a", "system": "s"},
         {"response": "c", "done": True, "done_reason": "length"}, ["a"], "c", "length"),
        ("tgi", {"inputs": "a"},
         [{"generated_text": "c", "details": {"finish_reason": "eos_token"}}], ["a"], "c", "stop"),
        ("llamacpp", {"prompt": "a"}, {"content": "c", "stop": True, "stop_type": "limit"},
         ["a"], "c", "length"),
        ("sglang", {"text": "a"},
         {"text": "c", "meta_info": {"finish_reason": {"type": "abort"}}}, ["a"], "c", "error"),
        ("kserve", {"text_input": "a"}, {"text_output": "c"}, ["a"], "c", "stop"),
        ("kserve", {"inputs": [{"name": "text_input", "datatype": "BYTES", "data": ["a"]}]},
         {"outputs": [{"name": "text_output", "datatype": "BYTES", "data": ["c"]}]},
         ["a"], "c", "stop"),
        ("takeoff", {"text": "a"}, {"text": "c"}, ["a"], "c", "stop"),
        ("lamini", {"prompt": ["a"]}, {"outputs": ["c"], "finish_reason": ["length"]},
         ["a"], "c", "length"),
        ("fedml", {"inputs": "a"}, {"generated_text": "c"}, ["a"], "c", "stop"),
    ],
)  # fmt: skip
def test_text_in_text_out(
    dialect: str, request_body: Any, answer: Any, inputs: list[str], output: str, reason: str
) -> None:
    """A message for each prompt, and for each text that came of them."""
    found = messages(dialect, request_body, answer)
    assert [one["parts"] for one in found.inputs] == [[text(one)] for one in inputs]
    assert found.outputs == [
        {"role": "assistant", "parts": [text(output)], "finish_reason": reason}
    ]


def test_ollamas_chat() -> None:
    """Thinking, images, and calls for which it says `stop`."""
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    found = messages(
        "ollama",
        {"messages": [{"role": "user", "content": "x", "images": ["AAAA"]}]},
        {
            "message": {"role": "assistant", "content": "", "thinking": "t", "tool_calls": [call]},
            "done_reason": "stop",
        },
    )
    assert [part["type"] for part in found.inputs[0]["parts"]] == ["text", "blob"]
    assert found.outputs == [
        {
            "role": "assistant", "finish_reason": "tool_call",
            "parts": [
                {"type": "reasoning", "content": "t"},
                {"type": "tool_call", "name": "f", "arguments": {"a": 1}},
            ],
        }
    ]  # fmt: skip


def test_an_answer_that_was_broken_off_ends_with_an_error() -> None:
    """It has no reason of its own; one that it has is kept."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "x"}}]}
    assert messages("openai", None, sse(chunk)).outputs[0]["finish_reason"] == "error"
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    assert messages("openai", None, sse(chunk, last)).outputs[0]["finish_reason"] == "length"


def test_messages_can_be_made_later_of_the_masked_bodies() -> None:
    """As whoever needs them does; they are the same."""
    request, answer = {"prompt": "a@b.com"}, {"choices": [{"text": "b", "finish_reason": "stop"}]}
    bodies = Bodies("openai", *(Body(dumped(one), "application/json") for one in (request, answer)))
    now, later = (capture(bodies, FakeMasker(), messages=made) for made in (True, False))
    assert later.messages == Messages()
    asked, said = (json.loads(one.body) for one in (later.request, later.answer))
    assert messages_of("openai", asked, said, truncated=False) == now.messages


def test_embeddings_have_no_messages() -> None:
    """The conventions know none there; the masked body has the input."""
    got = exchange("openai_embeddings", {"input": ["a@b.com"], "model": "m"}, {"data": []})
    assert got.messages == Messages()
    assert json.loads(got.request.body)["input"] == ["[EMAIL]"]


def test_full_content_is_there_with_its_media() -> None:
    """A data URL becomes a blob with its base64."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    request = {"messages": [{"role": "user", "content": [part]}]}
    assert messages("openai", request, full=True).inputs[0]["parts"] == [
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAAA"}
    ]


@pytest.mark.parametrize("junk", [None, 1, "x", [], {}, [[]], {"type": 5}, {"type": "text"}])
@pytest.mark.parametrize(
    "field",
    [
        "messages", "input", "prompt", "inputs", "system", "tools", "choices", "message",
        "content", "output", "outputs", "text", "generated_text", "response", "meta_info",
        "details",
    ],
)  # fmt: skip
def test_what_nobody_expects_makes_no_message_and_no_error(field: str, junk: Any) -> None:
    """Any field of any type; the body is passed on all the same."""
    for dialect in ("openai", "anthropic", "openai_responses", "ollama", "kserve"):
        for value in (
            junk,
            [junk],
            {"x": junk},
            [{"role": 3, "content": junk, "tool_calls": junk}],
        ):
            messages(dialect, {field: value}, {field: value, "object": junk})


@pytest.mark.parametrize(
    "kind",
    [
        "text", "thinking", "tool_use", "server_tool_use", "file", "blob", "image_url",
        "tool_result", "x_tool_result", "tool_call", "function_call", "mcp_call", "uri",
    ],
)  # fmt: skip
@pytest.mark.parametrize("junk", [None, 1, [], {"a": 1}])
def test_pieces_of_any_content_make_parts_of_the_schema(kind: str, junk: Any) -> None:
    """Fields of any type within pieces of a type that is known."""
    names = ["text", "thinking", "id", "name", "input", "content", "image_url", "file", "summary"]
    piece = {"type": kind, **dict.fromkeys([*names, "call_id", "arguments", "output"], junk)}
    for dialect, request in (
        ("anthropic", {"system": [piece], "messages": [{"role": "user", "content": [piece]}]}),
        ("openai_responses", {"instructions": [piece], "input": [piece]}),
    ):
        answer = {"type": "message", "object": "response", "content": [piece], "output": [piece]}
        messages(dialect, request, answer)
