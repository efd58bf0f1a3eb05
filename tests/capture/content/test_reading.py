"""What is read of a body, and why not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from captured import answer_of, dumped, exchange, ndjson, request_of, sse
from fake_masker import CARD, FakeMasker

from sidelight_sidecar.capture.content import Bodies, Body, Content, Dropped, Kind, Limits, capture


def content(data: bytes, content_type: str = "application/json", **more: Any) -> Content:
    """What becomes of an answer."""
    limits = more.pop("limits", Limits())
    dialect = more.pop("dialect", "")
    body = Body(data, content_type, **more)
    return capture(Bodies(dialect, Body(b""), body), FakeMasker(), limits=limits).answer


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Dropped.EMPTY),
        (b" \n", Dropped.EMPTY),
        (b"{", Dropped.NOT_JSON),
        (b'{"a": NaN}', Dropped.NOT_JSON),
        (b'{"a": 1e999}', Dropped.NOT_JSON),
        (b'{"a": ' + b"1" * 5000 + b"}", Dropped.NOT_JSON),
        (b'{"a": "\xff"}', Dropped.NOT_JSON),
        (b'{"a": "\x01"}', Dropped.NOT_JSON),
        (b"[" * 65 + b"]" * 65, Dropped.TOO_DEEP),
        (b"[" * 500_000, Dropped.TOO_MANY),
        (b'{"a":' * 200 + b"1" + b"}" * 200, Dropped.TOO_DEEP),
        (b"[" + b"0," * (1 << 18) + b"0]", Dropped.TOO_MANY),
        (b"[" + b"{}," * (1 << 18) + b"0]", Dropped.TOO_MANY),
        (b'"' + b"x" * (4 << 20) + b'"', Dropped.TOO_LARGE),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:16]),
)
def test_a_body_beyond_the_bounds_is_dropped_with_its_reason(data: bytes, reason: Dropped) -> None:
    """Bombs cost a count, not memory, and nothing of them is passed."""
    got = content(data)
    assert (got.dropped, got.kind, got.body) == (reason, Kind.NONE, b"")
    assert got.size_bytes == len(data)


def test_a_million_keys_are_too_many() -> None:
    """Known before any of them is made."""
    data = b"{" + b",".join(b'"%d":1' % key for key in range(300_000)) + b"}"
    assert content(data).dropped is Dropped.TOO_MANY


def test_commas_and_brackets_in_text_are_no_values() -> None:
    """Prose and code are as long as they like."""
    text = "[{,}]" * 100_000
    assert json.loads(content(dumped([text])).body) == [text]


def test_an_unclosed_string_of_escaped_quotes_takes_no_time() -> None:
    """Each quote could begin a string to the end: the scan does not go back."""
    assert content(b"[" * 70 + b'"' + rb"\"" * 1_000_000).dropped is Dropped.TOO_DEEP


def test_of_a_key_that_comes_twice_the_first_value_is_nowhere() -> None:
    """What is passed on is what was read, not what came."""
    got = content(b'{"a": "%s", "a": 2}' % CARD.encode())
    assert json.loads(got.body) == {"a": 2}


def test_half_a_surrogate_is_a_replacement_character() -> None:
    """Python clients send them; UTF-8 has none. Whole ones are what they are."""
    got = content(rb'["\ud83d x", "\ud83d\ude00", "\\ud83d", "\ude00\ud83d"]')
    assert json.loads(got.body) == ["\ufffd x", "\U0001f600", "\\ud83d", "\ufffd\ufffd"]


def test_a_byte_order_mark_is_no_part_of_json() -> None:
    """Some clients of .NET begin with one."""
    assert json.loads(content(b'\xef\xbb\xbf{"a":1}').body) == {"a": 1}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain",
        "TEXT/JSON",
        "application/json; charset=utf-8",
        "application/vnd.api+json",
    ],
)
def test_json_is_known_by_its_looks_where_its_type_says_nothing(content_type: str) -> None:
    """`curl -d` says that it is a form, and many clients say nothing."""
    got = content(b'{"a": "a@b.com"}', content_type)
    assert b"[EMAIL]" in got.body
    assert b"a@b" not in got.body


@pytest.mark.parametrize(
    "content_type",
    [
        "application/grpc",
        "application/x-protobuf",
        "multipart/form-data; boundary=x",
        "image/png",
        "audio/mpeg",
        "application/pdf",
        "application/octet-stream",
        "application/zip",
        "",
    ],
)
def test_what_is_no_json_and_no_text_has_no_content(content_type: str) -> None:
    """Size and type are all that is known of it."""
    got = content(b"--x\r\nhello a@b.com", content_type)
    assert (got.dropped, got.body) == (Dropped.UNSUPPORTED, b"")
    assert got.media_type == content_type.partition(";")[0]


def test_a_type_that_is_none_is_not_passed_on() -> None:
    """A header may hold anything."""
    assert content(b"x", "my card is 4111 / x").media_type == ""
    assert content(b"x", "text/4111111111111111").media_type == ""
    assert content(b"x", "Text/Plain; a=b").media_type == "text/plain"


def test_text_is_masked_as_text() -> None:
    """An error page of a proxy, or an answer of FedML's."""
    got = content(b"write to a@b.com \xff", "text/html; charset=UTF-8", cut=True)
    assert (got.kind, got.truncated) == (Kind.TEXT, True)
    assert got.body.decode() == "write to [EMAIL] \ufffd"


@pytest.mark.parametrize(
    ("data", "content_type"),
    [(b"a\0@\0b\0", "text/plain"), (b"abc", "text/plain; charset=utf-16")],
)
def test_text_in_another_encoding_is_dropped(data: bytes, content_type: str) -> None:
    """A masker that reads bytes as what they are not finds nothing."""
    assert content(data, content_type).dropped is Dropped.NOT_TEXT


def test_a_document_that_was_cut_is_dropped() -> None:
    """Without its end it is no JSON, and as text an escape may hide anything."""
    assert content(rb'{"a": "\u0061@b.com', cut=True).dropped is Dropped.CUT


@pytest.mark.parametrize("tail", [b"\0\1\2a@b.com", b'}{"', b'"', b"[[[", b"{}"])
def test_tensors_after_the_json_are_left(tail: bytes) -> None:
    """Triton's binary extension, of requests and answers: nothing of them is passed."""
    head = rb'{"outputs": [{"name": "x\\\"}", "data": ["a@b.com"]}], "n": {}}'
    for form in ("application/octet-stream", "application/json"):
        got = content(b" " + head + tail, form, dialect="kserve")
        expected = {"outputs": [{"name": 'x\\"}', "data": ["[EMAIL]"]}], "n": {}}
        assert json.loads(got.body) == expected
    assert content(head + tail, dialect="openai").dropped is Dropped.NOT_JSON
    assert content(head[:-1] + b"\0", dialect="kserve").dropped is Dropped.NOT_JSON


def test_lines_and_events_are_known_by_their_looks() -> None:
    """Servers that say that they answer with one document."""
    lines = ndjson({"message": {"content": "a@b."}}, {"message": {"content": "com"}, "done": True})
    assert answer_of(lines, "ollama")["message"]["content"] == "[EMAIL]"
    events = sse({"choices": [{"index": 0, "text": "a@b."}]}, {"choices": [{"text": "com"}]})
    assert answer_of(events, "openai")["choices"][0]["text"] == "[EMAIL]"


def test_a_request_is_no_stream() -> None:
    """Whatever it looks like."""
    got = exchange("openai", sse({"choices": []}), None)
    assert got.request.dropped is Dropped.NOT_JSON


def test_a_masker_is_not_asked_for_ever() -> None:
    """A million little texts would cost it minutes; the same ones again cost nothing."""
    limits = Limits(texts=100)
    assert content(dumped([f"{i}" for i in range(101)]), limits=limits).dropped is Dropped.TOO_MANY
    assert content(dumped(["x"] * 10_000), limits=limits).dropped is None


def test_one_body_that_is_dropped_does_not_take_the_other_along() -> None:
    """Each stands for itself."""
    got = exchange("openai", b"{", {"choices": [{"text": "x", "finish_reason": "stop"}]})
    assert got.request.dropped is Dropped.NOT_JSON
    assert got.answer.dropped is None
    assert len(got.messages.outputs) == 1


def test_a_masked_body_that_grew_too_large_is_dropped() -> None:
    """Tokens may be longer than what they stand for."""
    limits = Limits(out_bytes=100)
    got = content(dumped(["a" * 60, "b" * 60]), limits=limits)
    assert got.dropped is Dropped.TOO_LARGE


def test_numbers_of_any_size_that_python_can_write_pass() -> None:
    """Seeds of 64 bits, and floats, keep their value."""
    value = {"a": 2**64 - 1, "b": -0.5, "c": 1e300, "d": 0, "e": True, "f": None}
    assert request_of(value) == value
