"""Content with the real masker: what the fake one cannot show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from captured import strings_in
from hypothesis import given, settings
from hypothesis import strategies as st
from streamed import CALLS, SSE, STREAMS, cuts

from sidelight_sidecar.capture.content import Bodies, Body, Captured, Rules, capture, markers
from sidelight_sidecar.capture.mask.text import TextMasker

MASKER = TextMasker()
SECRETS = [
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "jane.doe@example.com",
    "+49 30 901820",
    "078-05-1120",
    "203.0.113.77",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
]
"""Of each kind one that the masker finds by itself (checked below)."""


def captured(
    dialect: str, answer: bytes, content_type: str, rules: Rules | None = None
) -> Captured:
    """An answer, captured."""
    bodies = Bodies(dialect, Body(b"{}", "application/json"), Body(answer, content_type))
    return capture(bodies, MASKER, rules or Rules())


def found() -> list[str]:
    """The secrets that this masker finds in a sentence."""
    return [one for one in SECRETS if one not in MASKER.mask(f"it is {one}, ok").text]


def test_the_masker_finds_the_secrets_that_are_used_here() -> None:
    """Else nothing below would mean anything."""
    assert len(found()) >= 6


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=10)
@given(st.data())
def test_a_real_secret_in_a_stream_does_not_survive(name: str, data: st.DataObject) -> None:
    """At any cut, of any kind, in every API; the rest of the text is there."""
    dialect, content_type, events = STREAMS[name]
    secret = data.draw(st.sampled_from(found()))
    text = f"Well, it is {secret}, ok"
    got = captured(dialect, events(data.draw(cuts(text))), content_type)
    everything = json.dumps([json.loads(got.answer.body), got.messages.outputs])
    assert secret not in everything
    assert "Well, it is [" in everything
    assert got.findings


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=15)
@given(st.data())
def test_a_real_secret_in_arguments_does_not_survive(name: str, data: st.DataObject) -> None:
    """As a value, as a key, and as a value that its key alone tells of."""
    dialect, events = CALLS[name]
    secret = data.draw(st.sampled_from(found()))
    text = json.dumps({"to": secret, "n": {secret: [secret]}, "password": "hunter2hunter2"})
    got = captured(dialect, events(data.draw(cuts(text))), SSE)
    everything = json.dumps([json.loads(got.answer.body), got.messages.outputs])
    assert secret not in everything
    assert "hunter2" not in everything


@settings(max_examples=60)
@given(st.sampled_from(SECRETS), st.data())
def test_a_real_secret_split_over_parts_does_not_survive(secret: str, data: st.DataObject) -> None:
    """However many parts a message has."""
    pieces = data.draw(cuts(f"it is {secret}, ok", 4))
    parts = [{"type": "text", "text": piece} for piece in pieces]
    body = json.dumps({"messages": [{"role": "user", "content": parts}]}).encode()
    bodies = Bodies("openai", Body(body, "application/json"), Body(b""))
    got = capture(bodies, MASKER)
    said = "".join(part["content"] for part in got.messages.inputs[0]["parts"])
    if secret in found():
        assert secret not in said
    assert MASKER.mask(said).text == said


@settings(max_examples=100)
@given(
    st.recursive(
        st.sampled_from([*SECRETS, "token: ", "4111111111111111", "x"]) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["type", "text", "arguments", "input", "a"]), inner)
        ),
        max_leaves=12,
    )
)
def test_every_string_is_as_the_masker_leaves_it(value: Any) -> None:
    """Whatever the structure."""
    got = captured("openai", json.dumps(value).encode(), "application/json")
    assert got.answer.dropped is None
    for text in strings_in(json.loads(got.answer.body)):
        assert MASKER.mask(text).text == text


def test_records_of_a_table_are_masked_by_their_columns() -> None:
    """A number that is nothing by itself; other columns stay."""
    row = {
        "ssn": "078051120",
        "password": "hunter2hunter2",
        "age": 43,
        "city": "Ulm",
        "n": 78051120,
    }
    body = Body(json.dumps({"instances": [row]}).encode(), "application/json")
    got = capture(Bodies("kserve", body, Body(b"")), MASKER)
    found = json.loads(got.request.body)["instances"][0]
    assert found == {**row, "ssn": found["ssn"], "password": found["password"]}
    assert found["password"].startswith("[")
    assert found["ssn"].startswith("[")


def test_markers_are_no_findings() -> None:
    """What stands for content is not content."""
    shown = [
        markers.SYSTEM, markers.TOOL_RESULT, markers.LOGPROBS, markers.ENCODED, markers.TEXT,
        markers.tokens(4_111_111), markers.vector(1536), markers.dropped("image"),
        *(markers.media(bytes([byte]) * size, "image/png") for byte in range(64)
          for size in (10, 3000, 3_000_000)),
    ]  # fmt: skip
    for marker in shown:
        assert MASKER.mask(marker).text == marker
        assert MASKER.mask(f"![x]({marker}) y").text == f"![x]({marker}) y"


def test_what_engines_say_of_themselves_passes() -> None:
    """Ids, times, counts and timings of an answer are no telephone numbers."""
    answer = {
        "id": "chatcmpl-DmfZu2BjJmBGSSHpj9hWtFQYBUxYn", "object": "chat.completion",
        "created": 1780491942, "model": "gpt-5.2-2025-12-11",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [{
            "index": 0, "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_HoZLyVrNA5gX9RcfrRNI733g", "type": "function",
                 "function": {"name": "f", "arguments": '{"n":12345,"when":"2026-11-24"}'}},
            ]},
        }],
        "usage": {"prompt_tokens": 1234567, "completion_tokens": 89, "total_tokens": 1234656},
        "timings": {"prompt_ms": 123.456789012345, "predicted_per_second": 98.7654321098765},
        "total_duration": 4935886791, "eval_duration": 4799921000,
    }  # fmt: skip
    got = captured("openai", json.dumps(answer).encode(), "application/json")
    assert json.loads(got.answer.body) == answer
    assert got.findings == {}


def test_text_of_many_languages_passes() -> None:
    """And code, and tables."""
    texts = [
        "The cost was 3,141.59 EUR in 2026, see §12 (p. 44-47).",
        "Zażółć gęślą jaźń; 日本語のテキスト 123; مرحبا بالعالم ١٢٣; привет, мир!",
        "def f(x: int) -> int:\n    return x * 0x1F + 1_000_000  # v1.2.3\n",
        "| a | b |\n|---|---|\n| 1 | 22 |\n",
    ]
    got = captured("", json.dumps(texts).encode(), "application/json")
    assert json.loads(got.answer.body) == texts
