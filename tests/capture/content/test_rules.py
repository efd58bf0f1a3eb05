"""Structural rules: parts of bodies that are left out, masked or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from captured import answer_of, exchange, request_of, sse, stream_of
from fake_masker import CARD, FakeMasker
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.capture.content import Rules
from sidelight_sidecar.capture.content.text import Texts

SYSTEM = "[DROPPED system prompt]"
RESULT = "[DROPPED tool result]"


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"messages": [
                {"role": "system", "content": "s"},
                {"role": "developer", "content": [{"type": "text", "text": "s"}]},
                {"role": "user", "content": "u"},
            ]},
            {"messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "developer", "content": SYSTEM},
                {"role": "user", "content": "u"},
            ]},
        ),
        (
            {"system": [{"type": "text", "text": "s"}], "messages": []},
            {"system": SYSTEM, "messages": []},
        ),
        (
            {"instructions": "s", "input": [{"role": "system", "content": "s"}, "u"]},
            {"instructions": SYSTEM, "input": [{"role": "system", "content": SYSTEM}, "u"]},
        ),
        ({"system": "s", "prompt": "p"}, {"system": SYSTEM, "prompt": "p"}),
        ({"x": {"system": "linux"}, "system": None}, {"x": {"system": "linux"}, "system": None}),
    ],
    ids=["chat", "anthropic", "responses", "ollama", "deeper is another word"],
)  # fmt: skip
def test_system_prompts_are_left_out(value: Any, expected: Any, *, full: bool) -> None:
    """Wherever an API has them."""
    assert request_of(value, rules=Rules(system_prompts=True), full=full) == expected


def test_a_response_repeats_its_instructions_and_they_are_left_out_too() -> None:
    """Streamed as well."""
    response = {"object": "response", "instructions": "s", "output": []}
    rules = Rules(system_prompts=True)
    assert answer_of(response, "openai_responses", rules=rules)["instructions"] == SYSTEM
    events = sse({"type": "response.completed", "response": response})
    assert stream_of(events, "openai_responses", rules=rules)["instructions"] == SYSTEM


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"role": "tool", "tool_call_id": "c", "content": "r"},
            {"role": "tool", "tool_call_id": "c", "content": RESULT},
        ),
        (
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": [{"text": "r"}]},
                {"type": "text", "text": "u"},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": RESULT},
                {"type": "text", "text": "u"},
            ]},
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": "r"},
            {"type": "function_call_output", "call_id": "c", "output": RESULT},
        ),
        (
            {"type": "web_search_tool_result", "tool_use_id": "c", "content": [{"url": "r"}]},
            {"type": "web_search_tool_result", "tool_use_id": "c", "content": RESULT},
        ),
        (
            {"type": "mcp_call", "id": "m", "arguments": "{}", "output": "r"},
            {"type": "mcp_call", "id": "m", "arguments": "{}", "output": RESULT},
        ),
    ],
    ids=["chat", "anthropic", "responses", "anthropic's server", "responses' server"],
)  # fmt: skip
def test_tool_results_are_left_out(value: Any, expected: Any) -> None:
    """The call stays, what came of it does not."""
    found = request_of({"messages": [value]}, rules=Rules(tool_results=True))
    assert found == {"messages": [expected]}


def test_tool_definitions_are_left_out() -> None:
    """Of requests, and of responses that repeat them."""
    value = {"tools": [{"type": "function"}], "functions": [{}], "x": {"tools": [1]}}
    rules = Rules(tool_definitions=True)
    assert request_of(value, rules=rules) == {"tools": [], "functions": [], "x": {"tools": [1]}}
    assert answer_of(value, rules=rules)["tools"] == []
    assert exchange("", value, None, rules=rules).messages.tool_definitions == []


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "[DROPPED image]", "detail": "low"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "[DROPPED audio]", "format": "wav"}},
        ),
        (
            {"type": "document", "title": "t", "source": {"type": "url", "url": "u"}},
            {"type": "document", "title": "[DROPPED file]",
             "source": {"type": "url", "url": "[DROPPED file]"}},
        ),
        ({"images": ["AAAA", "BBBB"]}, {"images": ["[DROPPED image]"] * 2}),
        ({"type": "text", "text": "a ![x](data:image/png;base64,AAAA) b"},
         {"type": "text", "text": "a ![x]([IMAGE image/png 3 bytes]) b"}),
    ],
    ids=["openai", "audio", "anthropic", "ollama", "markdown"],
)  # fmt: skip
def test_media_are_left_out(value: Any, expected: Any, *, full: bool) -> None:
    """Inlined or pointed to, with the names of files; masked or not."""
    assert request_of(value, rules=Rules(media=True), full=full) == expected


@pytest.mark.parametrize("full", [False, True])
def test_only_the_beginning_of_each_text_is_kept(full: bool) -> None:
    """Texts are cut between characters, short ones and markers are not."""
    rules = Rules(max_characters=4)
    value = {
        "a": "äöüß€",
        "b": "1234",
        "c": ["12345678", {"type": "text", "text": "\U0001f600" * 6}],
    }
    found = request_of(value, rules=rules, full=full)
    assert found == {
        "a": "äöüß…[+1 characters]",
        "b": "1234",
        "c": [
            "1234…[+4 characters]",
            {"type": "text", "text": "\U0001f600" * 4 + "…[+2 characters]"},
        ],
    }


def test_arguments_are_cut_within_and_stay_json() -> None:
    """The leaves are cut, not the string."""
    call = {"function": {"arguments": '{"a": "123456"}'}}
    found = request_of(call, rules=Rules(max_characters=2))["function"]["arguments"]
    assert json.loads(found) == {"a": "12…[+4 characters]"}


def test_a_text_is_cut_after_it_was_masked() -> None:
    """Half a secret would be none; tokens are not cut, what is left of a number is seen again."""
    rules = Rules(max_characters=20)
    assert request_of(["0123456789 a@b.com", "x" * 17 + " a@b.com"], rules=rules) == [
        "0123456789 [EMAIL]",
        "x" * 17 + " …[+7 characters]",
    ]
    assert request_of([CARD + "99 "], rules=Rules(max_characters=16)) == ["[CARD]…[+3 characters]"]


@given(st.text(alphabet="a@.bcom[]EMAIL0123456789 ", max_size=60), st.integers(1, 40))
def test_a_cut_text_holds_no_finding(text: str, most: int) -> None:
    """Whatever is cut where."""
    texts = Texts(FakeMasker(), Rules(max_characters=most))
    cut = texts.leaf(text)
    head = cut.partition("…")[0]
    assert FakeMasker().mask(head).text == head
    assert len(head) <= most + len("[SECRET]") or head == cut


def test_parts_that_were_masked_as_one_are_cut_each() -> None:
    """A rule for texts, not for messages."""
    parts = [{"type": "text", "text": "abcdef"}, {"type": "text", "text": "ghijkl"}]
    found = request_of({"content": parts}, rules=Rules(max_characters=3))
    assert [one["text"] for one in found["content"]] == [
        "abc…[+3 characters]",
        "ghi…[+3 characters]",
    ]
