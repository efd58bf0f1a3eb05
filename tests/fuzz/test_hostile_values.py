"""Values that are no names, and input whose cost would grow with the square of its length."""

from __future__ import annotations

import asyncio
import itertools
import re
import struct

import pytest
from hostile import PREFACE, SETTINGS, h2_frame
from hypothesis import given
from hypothesis import strategies as st
from inputs import encode
from observed import CHAT_STREAM, MS, STREAM_END, Kept, Script, pipeline_of, request
from talks import Talk, records, seeds
from target import Ledger, check_exposition, check_summary, one_input

from sidelight_sidecar.observer.dialects.base import Request
from sidelight_sidecar.observer.dialects.routes import route_of
from sidelight_sidecar.observer.engine.client import Answer
from sidelight_sidecar.observer.engine.worker import EngineWorker
from sidelight_sidecar.observer.http.http2_stream import Streams

ODD = {
    "a number": b"17", "a fraction": b"-0.5e-9", "a list": b'["m"]', "an object": b'{"m":{}}',
    "null": b"null", "true": b"true", "nothing": b'""', "a NUL": b'"\\u0000"',
    "lines": b'"a\\n\\r\\u2028\\"b\\\\"', "half a pair": b'"\\ud83d"', "no UTF-8": b'"\xff\xfe"',
    "long": b'"' + b"m" * 700_000 + b'"', "deep": b"[" * 5_000, "a long number": b"9" * 100_000,
}  # fmt: skip
_NAMED = re.compile(rb'("(?:model|model_name|model_version|id)": ?)"[^"]*"')
TRACES = [
    "", "-", "00-", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-" + "G" * 32 + "-1-1",
    "00-" + "a" * 5_000 + "-1-1", "---", "00-" + "é" * 32 + "-1-1", "00-" + '"' * 32 + "-1-1",
    "ff-" + "A" * 32 + "-1-1", "\x01" * 32,
]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_model_that_is_no_name_is_no_trouble(name: str) -> None:
    """In each API: exposition and summary stay readable, and labels few."""
    for talk in seeds():
        changed = [_NAMED.sub(lambda m: m[1] + ODD[name], part) for part in talk.parts]
        if changed != talk.parts:
            talk.parts = changed
            one_input(encode(1, records([talk], 1, http2=talk.http2)))


def test_traceparent_that_is_none_is_no_exemplar() -> None:
    """OpenMetrics allows 128 characters, and they must be text."""
    for trace in TRACES:
        talk = Talk("/v1/chat/completions", b"{}", [b'{"choices":[]}'])
        talk.request_headers = [("traceparent", trace)]
        one_input(encode(0, records([talk], 1)))


@pytest.mark.timeout(20)
def test_no_path_takes_long_to_be_recognised() -> None:
    """Paths of 2 KB; one took 20 ms, and so many of it half a minute: the test's timeout."""
    paths = [
        "/v" + "1" * 2_040, "/a" * 1_020, "/v1/x" * 400, "/deployments/a" * 140,
        "/v2/models/x" * 170, "/a" + ".a" * 1_000, "/v1/models/" + ":" * 2_000,
    ]  # fmt: skip
    for path in [*paths, *[paths[0]] * 1_500]:
        assert route_of(Request("POST", path)).operation == "other"


BODIES = [
    b"", b"\xff\xfe", b"[" * 5_000, b"[1,2]", b"null", b"[{}]", b'[{"is_processing":1e300}]',
    b'{"num_waiting_reqs":18446744073709551615}', b'{"num_waiting_reqs":-1e308}', b'{"tokens":[1]}',
    b"vllm:num_requests_waiting 0", b"vllm:num_requests_waiting nan", b"vllm:num_requests_waiting",
    b'vllm:num_requests_waiting{a="}"} -inf', b"tgi_queue_size 1e999\ntgi_queue_size \xff",
    b"vllm:prompt_tokens_total 3\nvllm:generation_tokens_total 1",
    b"vllm:prompt_tokens_total 9e17\nvllm:generation_tokens_total 9e17",
    b"vllm:prompt_tokens_total 14\nvllm:request_decode_time_seconds_sum 9e17",
    b"vllm:request_success_total 9e17\nprocess_start_time_seconds 1e9",
    b'{"count":18446744073709551615}', b'{"count":-1}', b'{"count":true}', b'{"prompt":[]}',
    b'{"prompt":"' + b"p" * 100_000 + b'"}',
]  # fmt: skip
ASKED = [
    b"", b"{", b'{"messages":[' + b"[" * 900 + b"]" * 900 + b"]}", b'{"messages":[]}',
    b'{"messages":[{"content":1e308}],"tools":7,"chat_template":[]}', b'{"prompt":"x"}', b"\xff",
]  # fmt: skip


class Engine:
    """Answers the observer's own questions with what hypothesis draws."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    async def get(self, address: str, path: str) -> Answer:
        """Anything."""
        status = self._data.draw(st.sampled_from([0, 200, 200, 200, 404, 503]))
        return Answer(status, self._data.draw(st.sampled_from(BODIES)))

    async def post(self, address: str, path: str, body: bytes) -> Answer:
        """Anything."""
        return await self.get(address, path)


@given(st.data(), st.sampled_from(ASKED))
def test_answers_to_the_observers_own_questions_end_nothing(
    data: st.DataObject, asked: bytes
) -> None:
    """Whatever the engine says of its queue and its tokens, and whatever was asked: no step raises,
    and no count is one that a summary cannot hold.
    """
    ledger = Ledger()
    pipeline = pipeline_of(ledger)  # type: ignore[arg-type]
    pipeline.context.keep_text = True
    script = Script().client(request(asked)).engine(*CHAT_STREAM[:-2], STREAM_END)
    pipeline.feed(script.close().frames)
    now = itertools.count(script.frames[-1][2], 5_000 * MS)
    worker = EngineWorker(
        Engine(data), pipeline.counter, lambda: next(now), pipeline.read_queue, pipeline.engine_said
    )
    for _ in range(20):
        asyncio.run(worker.step("engine:1", in_flight=1))
    pipeline.counter.settle_all()
    ledger.check()
    for exchange in ledger.finished_exchanges:
        assert 0 <= (exchange.tokenized_output or 0) < 1 << 40
        assert 0 <= (exchange.tokenized_prompt or 0) < 1 << 40
    check_exposition(pipeline)
    check_summary(pipeline)
    assert pipeline.context.budget.kept == 0


def test_goaway_again_and_again_looks_at_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand of them while a thousand streams are open; once each looked at all."""
    looked: list[int] = []
    above = Streams.above

    def counted(self: Streams, number: int) -> list[int]:
        looked.append(number)
        return above(self, number)

    monkeypatch.setattr(Streams, "above", counted)
    opened = [h2_frame(1, 5, 2 * n + 1, b"\x83\x86\x84\x41\x01x") for n in range(1_000)]
    goaways = b"".join(
        h2_frame(7, 0, 0, struct.pack(">II", last, 0)) for last in [2**31 - 1, 5_000, 1_999, 1_999]
    )
    kept = Kept()
    script = Script().client(PREFACE + SETTINGS + b"".join(opened))
    pipeline_of(kept).feed(script.engine(SETTINGS, goaways * 2_500).frames)
    assert looked == []
    script = Script().client(PREFACE + SETTINGS + b"".join(opened))
    last = h2_frame(7, 0, 0, struct.pack(">II", 1_001, 0))
    pipeline_of(kept).feed(script.engine(SETTINGS, goaways + last * 10_000).frames)
    assert looked == [1_001]
    assert len(kept.exchanges) == 499
