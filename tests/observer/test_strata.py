"""The strata of a sidecar: what is counted, and where."""

from __future__ import annotations

import pytest
from observed import CHAT_STREAM, MS, Kept, Script, answer, pipeline_of, request, usage

from sidelight_contract.strata import MAX_STRATA, Stratum
from sidelight_contract.summary import MAX_SUMMARY_BYTES, decode_counted, encode_summary
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.metrics.labels import Labels
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.observer.strata import StrataCounter


def rows(pipeline: Pipeline) -> list[Stratum]:
    return pipeline.summary(1000 * MS, strata=True).strata.rows


def test_a_stream_is_in_the_stratum_of_its_lengths_with_all_its_times() -> None:
    """Nine prompt tokens or so, streamed, alone."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script().client(request()).engine(*CHAT_STREAM).close().frames)
    (row,) = rows(pipeline)
    assert (row.prompt, row.output, row.streamed, row.concurrency) == (1, 1, 1, 0)
    assert (row.requests, row.failed) == (1, 0)
    assert row.time_to_first_token.count == row.duration.count == 1
    assert row.time_per_output_token.count == 1


def test_an_error_has_no_duration_and_only_the_engines_fault_is_a_failure() -> None:
    """A quick refusal would look like a quick answer."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script(1).client(request(b"{}")).engine(answer({}, 500)).frames)
    pipeline.feed(Script(2, 100).client(request(b"{}")).engine(answer({}, 422)).frames)
    (row,) = rows(pipeline)
    assert (row.requests, row.failed, row.duration.count) == (2, 1, 0)
    assert (row.prompt, row.output, row.streamed) == (0, 0, 0)


def test_concurrency_is_that_of_the_arrival() -> None:
    """The second request came while the first ran; the first's stratum is that of being alone."""
    pipeline = pipeline_of(Kept())
    said = answer({"model": "m", "choices": [], "usage": usage(2, 5)})
    first, second = Script(1).client(request(b"{}")), Script(2, 5).client(request(b"{}"))
    pipeline.feed(sorted(first.frames + second.frames, key=lambda frame: frame[2]))
    done = len(first.frames), len(second.frames)
    first.engine(said)
    second.engine(said)
    pipeline.feed(first.frames[done[0] :] + second.frames[done[1] :])
    assert sorted(row.concurrency for row in rows(pipeline)) == [0, 1]


def test_what_is_no_inference_is_in_no_stratum() -> None:
    """A health check."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script().client(request(b"", "/health")).engine(answer({})).frames)
    assert rows(pipeline) == []


def test_strata_are_told_to_those_who_ask_and_survive_the_controllers_reading() -> None:
    """Without being asked for they cost nobody anything."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script().client(request()).engine(*CHAT_STREAM).close().frames)
    assert b'"rows"' not in encode_summary(pipeline.summary(1000 * MS))
    told = pipeline.summary(1000 * MS, strata=True)
    assert decode_counted(encode_summary(told)).strata == told.strata


def test_strata_are_bounded_and_what_is_left_out_is_counted() -> None:
    """However many models, lengths and concurrencies there are."""
    counter = StrataCounter(Labels(2000))
    for number in range(MAX_STRATA + 50):
        exchange = Exchange(1, 0)
        exchange.operation, exchange.model = "chat", f"{'m' * 120}{number}"
        exchange.stop_ns = 5
        counter.finished(exchange)
    told = counter.told()
    assert len(told.rows) == MAX_STRATA
    assert told.left_out == 50
    pipeline = pipeline_of(Kept())
    pipeline.strata = counter
    body = encode_summary(pipeline.summary(1, strata=True))
    assert len(body) < MAX_SUMMARY_BYTES / 8


@pytest.mark.parametrize("code", [200, 500])
def test_a_stratum_is_the_same_whether_it_went_well(code: int) -> None:
    """A request that asked for a stream is streamed, though its refusal was not."""
    pipeline = pipeline_of(Kept())
    engine = CHAT_STREAM if code == 200 else [answer({}, code)]
    pipeline.feed(Script().client(request()).engine(*engine).frames)
    assert rows(pipeline)[0].streamed == 1
