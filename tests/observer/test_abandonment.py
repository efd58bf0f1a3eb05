"""Who hung up, in which phase, what they had been sent, and whether the engine stopped."""

from __future__ import annotations

import pytest
from observed import (
    CHAT_STREAM,
    MS,
    STREAM_HEAD,
    Kept,
    Script,
    answer,
    delta,
    only,
    pipeline_of,
    request,
    usage,
)

from sidelight_contract.summary import Abandoned
from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.abandonment import QueueReading, abandonment_of
from sidelight_sidecar.observer.pipeline import Pipeline


def followed(script: Script, reading: QueueReading | None = None) -> tuple[Kept, Pipeline]:
    """What came of it, with a reading of the engine's queue taken meanwhile."""
    kept = Kept()
    pipeline = pipeline_of(kept)
    if reading is not None:
        pipeline.read_queue(reading)
    pipeline.feed(script.frames)
    return kept, pipeline


def abandoned(pipeline: Pipeline) -> Abandoned:
    """The summary's part about it."""
    (traffic,) = pipeline.summary(10_000 * MS).total
    return traffic.abandoned


def test_in_decode_with_an_engine_that_goes_on_for_a_while() -> None:
    """Bytes after the client's end, and how long until the engine's own end."""
    script = Script().client(request()).engine(STREAM_HEAD, *CHAT_STREAM[1:3])
    script.add(codec.CLIENT_EOF).engine(delta(content="more"), after_ms=30)
    script.add(codec.ENGINE_EOF, after_ms=50).add(codec.CLOSED)
    kept, pipeline = followed(script)
    exchange = only(kept)
    assert (exchange.code, exchange.error) == (499, "client_disconnect")
    part = abandoned(pipeline)
    assert part.phases == {"decode": 1}
    assert part.tokens.estimated_output == 2
    assert part.engine_stopped == 1
    assert part.stop_time.mean == pytest.approx(0.080, rel=0.02)
    assert part.bytes_after == exchange.bytes_after_left > 0
    text = pipeline.exposition().decode()
    labels = 'engine="stopped",model="m",operation="chat",phase="decode"'
    assert f"sidelight_abandoned_requests_total{{{labels}}} 1.0" in text
    labels = 'direction="output",model="m",operation="chat",source="estimated"'
    assert f"sidelight_abandoned_tokens_total{{{labels}}} 2.0" in text


def test_a_reset_hides_whether_the_engine_stopped() -> None:
    """It is passed on at once, and nothing comes back after it."""
    script = Script().client(request()).engine(STREAM_HEAD, CHAT_STREAM[2])
    kept, pipeline = followed(script.add(codec.RESET, b"client").add(codec.CLOSED))
    assert only(kept).code == 499
    part = abandoned(pipeline)
    assert (part.phases, part.engine_stopped, part.bytes_after) == ({"decode": 1}, 0, 0)
    assert 'engine="not_seen"' in pipeline.exposition().decode()


@pytest.mark.parametrize(
    ("reading", "phase"),
    [
        (QueueReading(30 * MS, 3), "queued"),
        (QueueReading(30 * MS, 0), "prefill"),
        (QueueReading(5 * MS, 3), "unknown"),
        (None, "unknown"),
    ],
)
def test_before_the_first_output_the_engines_queue_tells_the_phase(
    reading: QueueReading | None, phase: str
) -> None:
    """A reading that is older than the request tells nothing of it."""
    script = Script().client(request()).add(codec.RESET, b"client", after_ms=40)
    _, pipeline = followed(script.add(codec.CLOSED), reading)
    assert abandoned(pipeline).phases == {phase: 1}


def test_while_the_request_was_still_being_sent() -> None:
    """Its head had come, its body had not."""
    script = Script().client(request()[:-3]).add(codec.RESET, b"client").add(codec.CLOSED)
    _, pipeline = followed(script, QueueReading(15 * MS, 0))
    assert abandoned(pipeline).phases == {"upload": 1}


def test_an_answer_that_is_no_stream_tells_no_phase_before_it_begins() -> None:
    """Its whole generation lies before its first byte; once that has come, it is decode."""
    unary = request(b'{"stream": false}')
    reading = QueueReading(15 * MS, 0)
    _, pipeline = followed(Script().client(unary).add(codec.RESET, b"client"), reading)
    assert abandoned(pipeline).phases == {"unknown": 1}
    begun = Script().client(unary).engine(answer({"choices": []})[:-1])
    _, pipeline = followed(begun.add(codec.RESET, b"client"), reading)
    assert abandoned(pipeline).phases == {"decode": 1}


def test_usage_with_every_chunk_counts_what_had_been_sent() -> None:
    """Continuous usage: the last one is exact."""
    script = Script().client(request()).engine(STREAM_HEAD)
    script.engine(*(delta(content="x", usage=usage(5, n)) for n in (1, 2, 3)))
    _, pipeline = followed(script.add(codec.RESET, b"client"))
    part = abandoned(pipeline)
    assert (part.tokens.output, part.tokens.estimated_output) == (3, 0)


def test_a_client_that_only_ends_its_side_has_not_left() -> None:
    """A half-close after the request is legal; the answer is whole."""
    script = Script().client(request()).add(codec.CLIENT_EOF).engine(*CHAT_STREAM)
    kept, pipeline = followed(script.add(codec.ENGINE_EOF).add(codec.CLOSED))
    assert (only(kept).code, only(kept).error) == (200, "")
    assert abandonment_of(only(kept), None) is None
    assert abandoned(pipeline) == Abandoned()


@pytest.mark.parametrize(
    "body", [b'{"stream":true}', b'{"stream" : true}', b'{"a":1,"stream":true}']
)
def test_a_stream_is_asked_for_however_the_request_is_cut(body: bytes) -> None:
    """The word may begin in one read and end in the next; inside a string it is none."""
    data = request(body)
    for cut in range(len(data) - len(body), len(data)):
        script = Script().client(data[:cut]).client(data[cut:]).engine(*CHAT_STREAM)
        assert only(followed(script)[0]).stream_asked
    quoted = request(b'{"content":"\\"stream\\":true","stream":false}')
    assert not only(followed(Script().client(quoted).engine(*CHAT_STREAM))[0]).stream_asked
