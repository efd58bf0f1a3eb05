"""Takeoff: events that are the text itself."""

from __future__ import annotations

import pytest
from answers import answered, exchange_of, sse

ASKED = {"text": "x", "consumer_group": "primary", "max_new_tokens": 4}


def test_stream_of_raw_text() -> None:
    """A line break is two data lines; the connection's end is the stream's."""
    events = sse(b"Hel", b"lo", b"\ndata: ")
    exchange = exchange_of("/generate_stream", ASKED, *events)
    assert (exchange.operation, exchange.dialect, exchange.error) == ("generate", "takeoff", "")
    assert (exchange.stream, exchange.arrivals, exchange.unread) == (True, 3, "")
    assert exchange.time_to_first_token == pytest.approx(0.020)
    assert (exchange.output_tokens, exchange.estimated_tokens) == (None, 3)
    assert exchange.usage_missing


def test_text_that_is_json_is_text() -> None:
    """A model asked for JSON streams pieces of it."""
    exchange = exchange_of("/generate_stream", ASKED, *sse(b"{", b'"a"', b": 1", b"}"))
    assert (exchange.dialect, exchange.events, exchange.unread) == ("takeoff", 4, "")


@pytest.mark.parametrize(("text", "choices"), [("Hello", 1), (["a", "b"], 2)])
def test_unary_answer(text: object, choices: int) -> None:
    """A list of texts for a list of prompts."""
    exchange = answered("/generate", ASKED, {"text": text})
    assert (exchange.dialect, exchange.choices, exchange.has_output) == ("takeoff", choices, True)
    assert not exchange.events


def test_empty_answer() -> None:
    """It ended well, and holds nothing."""
    assert answered("/generate", ASKED, {"text": ""}).empty


def test_error_event_within_a_stream() -> None:
    """Its text is no output."""
    event = b"x\nevent: error"
    exchange = exchange_of("/generate_stream", ASKED, *sse(b"a", event))
    assert (exchange.error, exchange.events) == ("stream_error", 1)


def test_images_go_elsewhere() -> None:
    """Their request is no JSON, but nobody else has the path."""
    exchange = exchange_of("/image_generate_stream", b"--x\r\n", *sse(b"a"))
    assert (exchange.dialect, exchange.events) == ("takeoff", 1)


def test_request_of_another_shape_is_not_taken_for_it() -> None:
    """TGI asks with `inputs`."""
    exchange = exchange_of("/generate_stream", {"inputs": "x"}, *sse(b"Hel", b"lo"))
    assert exchange.dialect != "takeoff"
