"""Masking through structure."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from captured import JSON, answer_of, exchange, request_of, strings_in, whole_numbers_in
from fake_masker import CARD, SECRET, BrokenMasker, FakeMasker
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_sidecar.capture.content import Bodies, Body, Dropped, Limits, capture
from sidelight_sidecar.capture.content.fields import LOGPROBS, TOKENS, VECTORS

DIALECTS = st.sampled_from([
    "", "openai", "openai_responses", "openai_embeddings", "anthropic", "ollama", "tgi",
    "llamacpp", "sglang", "vllm_tokens", "kserve", "takeoff", "fedml", "qwak", "lamini",
])  # fmt: skip
KEYS = st.sampled_from([
    "messages", "role", "content", "type", "text", "tool_calls", "function", "arguments", "input",
    "system", "data", "source", "choices", "message", "output", "tools", "images", "prompt",
    "logprobs", "index", "id", "name", "parameters", "thinking", "image_url", "url", "response",
    "outputs", "datatype", "embedding", "created",
])  # fmt: skip
TEXTS = st.lists(
    st.sampled_from(
        [SECRET, CARD, "a@b.com", "text", " ", '"', "{", "}", "\\u0061", "[EMAIL]", "1"]
    )
).map("".join)
ANY = st.recursive(
    TEXTS | st.text(max_size=6) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.none() | st.just(int(CARD)) | TEXTS.map(lambda text: json.dumps({"k": [text]})),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | TEXTS, inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


def no_finding_in(text: str) -> None:
    """A text is as the masker would leave it."""
    assert FakeMasker().mask(text).text == text


@settings(max_examples=150)
@given(DIALECTS, ANY, ANY)
def test_nothing_that_the_masker_finds_is_passed_on(dialect: str, asked: Any, said: Any) -> None:
    """Whatever the JSON: no error, and no string, key, number or argument with a finding."""
    got = exchange(dialect, asked, said)
    for content in (got.request, got.answer):
        assert content.dropped in (None, Dropped.EMPTY)
        if content.body:
            value = json.loads(content.body)
            for text in [*strings_in(value), *map(str, whole_numbers_in(value))]:
                no_finding_in(text)
            assert SECRET.encode() not in content.body
    messages = [got.messages.inputs, got.messages.outputs, got.messages.system_instructions]
    messages.append(got.messages.tool_definitions)
    for text in [*strings_in(messages), *map(str, whole_numbers_in(messages))]:
        no_finding_in(text)


@settings(max_examples=100)
@given(JSON)
def test_what_has_no_findings_passes_unharmed(value: Any) -> None:
    """The same JSON, of request and answer, as object and as argument."""
    if any(FakeMasker().mask(text).text != text for text in strings_in(value)):
        return
    if not {*strings_in(value)} & (LOGPROBS | TOKENS | VECTORS | {"type"}):
        assert request_of(value) == value
        assert answer_of(value) == value
    call = {"function": {"name": "f", "arguments": json.dumps(value)}}
    assert json.loads(request_of([call])[0]["function"]["arguments"]) == value


@given(st.binary(max_size=200), st.sampled_from(["", "application/json", "text/event-stream"]))
def test_any_bytes_do_not_raise(data: bytes, content_type: str) -> None:
    """Noise is dropped or text; in any case there is an answer."""
    body = Body(data, content_type)
    got = capture(Bodies("openai", body, body), FakeMasker())
    assert got.answer.dropped is None or not got.answer.body


def test_keys_are_masked_and_kept_apart() -> None:
    """Two addresses as keys are two fields still."""
    assert request_of({"a@b.com": 1, "c@d.com": 2, "x": {"a@b.com": 3}}) == {
        "[EMAIL]": 1,
        "[EMAIL]#2": 2,
        "x": {"[EMAIL]": 3},
    }


def test_the_value_of_a_masked_key_stays() -> None:
    """It is the key that was found, not what is behind it."""
    assert request_of({"a@b.com": "hello", "n": 1}) == {"[EMAIL]": "hello", "n": 1}


@pytest.mark.parametrize("number", [int(CARD), float(CARD), -int(CARD)])
def test_a_number_that_is_a_finding_becomes_a_string(number: float) -> None:
    """A card number is one without quotes too; other numbers stay numbers."""
    value = request_of({"n": number, "m": [number, 12345678901]})
    assert value["n"] in ("[CARD]", "-[CARD]")
    assert value["m"] == [value["n"], 12345678901]


def test_the_engines_own_times_stay() -> None:
    """At the top of an answer, and there alone; nowhere else is a number trusted by its name."""

    class Phones(FakeMasker):
        """Takes ten digits for a telephone number."""

        def mask(self, text: str) -> Any:
            return super().mask("a@b.com" if text.isdigit() and len(text) == 10 else text)

    body = Body(b'{"created": 1760000000, "x": {"created": 1760000000}}', "application/json")
    got = capture(Bodies("openai", body, body), Phones())
    assert json.loads(got.answer.body) == {"created": 1760000000, "x": {"created": "[EMAIL]"}}
    assert answer_of({"eval_duration": int(CARD), "load_duration": 2}) == {
        "eval_duration": "[CARD]",
        "load_duration": 2,
    }
    assert json.loads(got.request.body) == {"created": "[EMAIL]", "x": {"created": "[EMAIL]"}}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"to": "a@b.com", "n": [1, 2]}', '{"to":"[EMAIL]","n":[1,2]}'),
        ('{"to": "\\u0061@b.com"}', '{"to":"[EMAIL]"}'),
        ('{"a@b.com": 4111111111111111}', '{"[EMAIL]":"[CARD]"}'),
        ('{"a": "a@b.com", "a": 1}', '{"a":1}'),
        ('{ "a" :\n1.50 , "b": [ ] }', '{"a":1.5,"b":[]}'),
        ('{ "a" :\n1.5 , "b": "\\n x" }', '{ "a" :\n1.5 , "b": "\\n x" }'),
        ('{"to": "a@b.com', '{"to": "[EMAIL]'),
        ('"a@b.com"', '"[EMAIL]"'),
        ("4111111111111111", "[CARD]"),
        ("", ""),
        ('{"ids": [1, 2, 3], "embedding": [0.5]}', '{"ids": [1, 2, 3], "embedding": [0.5]}'),
        (
            '{"arguments": "{\\"to\\": \\"\\\\u0061@b.com\\"}"}',
            '{"arguments":"{\\"to\\":\\"[EMAIL]\\"}"}',
        ),
        ('{"n": 0.1234567890123456}', '{"n":"0.[CARD]"}'),
    ],
)  # fmt: skip
def test_arguments_are_masked_leaf_by_leaf(arguments: str, expected: str) -> None:
    """JSON in a string is parsed and written again; what is none is text; what is clean stays."""
    call = {"type": "function", "function": {"name": "f", "arguments": arguments}}
    value = answer_of({"choices": [{"message": {"tool_calls": [call]}}]}, "openai")
    found = value["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert found == expected


def test_a_value_that_only_its_key_tells_of_is_found() -> None:
    """What a tool is called with is looked at as text too, objects as well as strings."""

    class Keyed(FakeMasker):
        """Knows a password by the word before it."""

        def mask(self, text: str) -> Any:
            return super().mask(text.replace('"password":"hunter2"', '"password":"a@b.com"'))

    block = {"type": "tool_use", "input": {"password": "hunter2", "n": 1}}
    call = {"function": {"arguments": json.dumps({"password": "hunter2"}, separators=(",", ":"))}}
    body = Body(json.dumps([block, call]).encode(), "application/json")
    got = json.loads(capture(Bodies("", body, body), Keyed()).request.body)
    assert got[0]["input"] == {"password": "[EMAIL]", "n": 1}
    assert got[1]["function"]["arguments"] == '{"password":"[EMAIL]"}'


def test_a_value_is_looked_at_behind_its_key() -> None:
    """In any object: a record of a table, metadata, a tensor's parameters."""

    class Keyed(FakeMasker):
        """Knows a PIN by the word before it, and takes the word along of a password."""

        def mask(self, text: str) -> Any:
            text = text.replace("pin: 1234", "pin: a@b.com").replace("password: x1", "a@b.com")
            return super().mask(text)

    body = Body(
        b'{"instances": [{"pin": 1234, "n": 1234, "password": "x1", "m": "x1", "k": "a@b.com"}]}',
        "application/json",
    )
    got = capture(Bodies("kserve", body, Body(b"")), Keyed())
    assert json.loads(got.request.body)["instances"][0] == {
        "pin": "[EMAIL]", "n": 1234, "password": "[TEXT]", "m": "x1", "k": "[EMAIL]",
    }  # fmt: skip
    assert got.findings == {"email": 3}


def test_json_in_text_stays_text() -> None:
    """A message that quotes JSON is what somebody wrote."""
    text = '{ "a" : "a@b.com" }'
    assert request_of({"content": text}) == {"content": '{ "a" : "[EMAIL]" }'}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"prompt": [1, 2, 3]}, {"prompt": "[TOKENS 3]"}),
        ({"input": [[1, 2], [3]]}, {"input": "[TOKENS 3]"}),
        ({"prompt": ["a@b.com", 5, "x"]}, {"prompt": ["a@b.com", "[TOKENS 1]", "x"]}),
        ({"choices": [{"logprobs": {"tokens": ["4"]}}]}, {"choices": [{"logprobs": "[LOGPROBS]"}]}),
        ({"logprobs": True, "top_logprobs": 5}, {"logprobs": True, "top_logprobs": 5}),
        ({"details": {"tokens": [{"text": "a"}]}}, {"details": {"tokens": "[LOGPROBS]"}}),
        ({"data": [{"embedding": [0.25, 1]}]}, {"data": [{"embedding": "[VECTOR 2]"}]}),
        ({"embeddings": [[0.5], [0.5]]}, {"embeddings": "[VECTOR 2]"}),
        ([[0.5] * 40, [0.5] * 40], "[VECTOR 80]"),
        ([1, 2, 3], [1, 2, 3]),
        ({"choices": [], "logprobs": None}, {"choices": [], "logprobs": None}),
    ],
)  # fmt: skip
def test_text_in_other_forms_is_left_out(value: Any, expected: Any) -> None:
    """Tokens' ids, log probabilities and vectors say the text once more; unmasked they stay."""
    shown = json.loads(json.dumps(expected).replace("a@b.com", "[EMAIL]"))
    assert answer_of(value) == shown
    assert answer_of(value, full=True) == value


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        ({"name": "text_input", "datatype": "BYTES", "data": ["a@b.com"]}, ["[EMAIL]"]),
        ({"name": "x", "datatype": "UINT8", "data": [52, 49]}, "[TOKENS 2]"),
        ({"name": "input_ids", "datatype": "INT64", "data": [[1, 2]]}, "[TOKENS 2]"),
        ({"name": "max_tokens", "datatype": "INT32", "data": [16]}, [16]),
        ({"name": "score", "datatype": "FP32", "data": [0.5]}, [0.5]),
        ({"name": "e", "datatype": "FP32", "data": [0.5] * 64}, "[VECTOR 64]"),
    ],
)
def test_tensors_are_text_bytes_tokens_or_vectors(tensor: Any, expected: Any) -> None:
    """By their type, and of whole numbers by their name."""
    got = request_of({"inputs": [{"shape": [1], **tensor}]}, "kserve")
    assert got["inputs"][0]["data"] == expected


def test_a_masker_that_raises_drops_the_body_and_says_nothing_of_it() -> None:
    """Its error holds the text; the reason does not."""
    body = Body(b'{"a": "a@b.com"}', "application/json")
    got = capture(Bodies("openai", body, body), BrokenMasker())
    assert got.request.dropped is got.answer.dropped is Dropped.FAILED
    assert got.request.body == b""
    assert not got.findings


def test_findings_are_counted_for_both_bodies() -> None:
    """By the detectors' names."""
    got = exchange("", {"a": ["a@b.com", "c@d.com", SECRET]}, "a@b.com")
    assert got.findings == {"email": 3, "secret": 1}


def test_content_as_it_is_has_no_findings() -> None:
    """`Full` looks at nothing."""
    value = {"a": SECRET, "n": int(CARD), SECRET: "data:image/png;base64,AAAA"}
    assert request_of(value, full=True) == value
    assert exchange("", value, None, full=True).findings == {}
    call = {"arguments": '{"a": "\\u0061", "a" : 1.50}'}
    assert request_of(call, full=True) == call


def test_values_within_arguments_are_values_of_the_body() -> None:
    """Strings of JSON are no way around the bounds."""
    call = {"arguments": json.dumps([0] * 600)}
    data = json.dumps([call, call]).encode()
    for values, reason in ((1500, None), (1100, Dropped.TOO_MANY)):
        bodies = Bodies("", Body(data, "application/json"), Body(b""))
        got = capture(bodies, FakeMasker(), limits=Limits(values=values))
        assert got.request.dropped is reason


def test_arguments_in_arguments_are_bounded() -> None:
    """Each level doubles its escapes, and counts as values of the same body."""
    text = '{"to": "a@b.com"}'
    for _ in range(12):
        text = json.dumps({"arguments": text})
    started = time.process_time()
    found = request_of({"arguments": text})["arguments"]
    assert "a@b.com" not in found
    assert "[EMAIL]" in found
    assert time.process_time() - started < 60
