"""What answers say of the engine's own times."""

from __future__ import annotations

import json

import pytest
from answers import answered, exchange_of, sse
from hypothesis import given
from hypothesis import strategies as st
from observed import STREAM_END, STREAM_HEAD, Kept, Script, answer, chunk, pipeline_of, request

from sidelight_sidecar.observer.engine_times import EngineTimes, milliseconds, nanoseconds

TIMINGS = {"cache_n": 4, "prompt_n": 7, "prompt_ms": 9.1, "predicted_n": 2, "predicted_ms": 4.5}
MS = 1_000_000


def test_ollamas_last_line_says_how_long_it_loaded_read_and_wrote() -> None:
    """In nanoseconds; a line that says nothing leaves it unknown."""
    done = {
        "model": "m", "done": True, "done_reason": "stop", "load_duration": 5, "eval_count": 3,
        "prompt_eval_duration": 70, "eval_duration": 900, "message": {"content": ""},
    }  # fmt: skip
    head = STREAM_HEAD.replace(b"text/event-stream", b"application/x-ndjson")
    lines = [{"model": "m", "done": False, "message": {"content": "a"}}, done]
    body = [chunk(json.dumps(line).encode() + b"\n") for line in lines]
    exchange = exchange_of("/api/chat", {"model": "m"}, head, *body, STREAM_END)
    assert exchange.engine_times == EngineTimes(5, 70, 900)
    assert answered("/api/chat", {}, {"model": "m", "done": True}).engine_times == EngineTimes()


def test_llama_cpp_says_it_beside_usage_and_without() -> None:
    """In milliseconds, on its OpenAI routes and on its own."""
    told = EngineTimes(prefill_ns=9_100_000, decode_ns=4_500_000)
    usage = {"prompt_tokens": 11, "completion_tokens": 2}
    choices = [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]
    path = "/v1/chat/completions"
    for more in ({"usage": usage}, {}):
        body = {"choices": choices, "timings": TIMINGS, **more}
        assert answered(path, {}, body).engine_times == told
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "timings": TIMINGS}
    exchange = exchange_of(path, {"stream": True}, *sse(last, b"[DONE]"))
    assert exchange.engine_times == told
    native = {"content": "x", "stop": True, "tokens_predicted": 2, "timings": TIMINGS}
    assert answered("/completion", {}, native).engine_times == told
    assert answered(path, {}, {"choices": choices}).engine_times is None


def test_tgi_says_in_a_header_how_long_a_request_waited() -> None:
    """In milliseconds; the rest of its headers mixes what is asked for here."""
    script = Script().client(request(b'{"inputs":"x"}', path="/generate"))
    script.engine(answer({"generated_text": "y"}, headers=["x-queue-time: 12"]))
    kept = Kept()
    pipeline = pipeline_of(kept)
    pipeline.feed(script.close().frames)
    assert kept.exchanges[0].engine_times == EngineTimes(before_ns=12 * MS)
    text = pipeline.exposition()
    assert b"sidelight_backend_queue_seconds_sum" in text
    assert b"sidelight_backend_prefill_seconds_sum" not in text


@pytest.mark.parametrize("value", [None, "1", True, [], -1, 1 << 51, 2**70, -(2**70)])
def test_what_is_no_time_is_none(value: object) -> None:
    """Whatever an engine sends."""
    assert nanoseconds(value) is None
    assert milliseconds(value) is None
    exchange = answered("/api/chat", {}, {"model": "m", "done": True, "load_duration": value})
    assert exchange.engine_times == EngineTimes()


@given(st.one_of(st.floats(), st.integers()))
def test_milliseconds_are_bounded_nanoseconds(value: float) -> None:
    """Infinite ones and others that are none included."""
    told = milliseconds(value)
    assert told is None or 0 <= told < 1 << 50
