"""HTTP/2 that is none: violations, floods, damaged bytes. Opaque with a reason, never an error."""

from __future__ import annotations

import pytest
from hpack import Encoder
from http2_pair import Http2Pair, post, reply
from hypothesis import given, settings
from hypothesis import strategies as st
from observed import Kept, Script, faults, observed, opaque, pipeline_of

from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.flows.detect import PREFACE
from sidelight_sidecar.observer.http.http2_frames import MAX_BLOCK_BYTES
from sidelight_sidecar.observer.http.http2_headers import DEFAULT_TABLE_BYTES
from sidelight_sidecar.observer.http.http2_stream import MAX_STREAMS

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
GREETING = b"\0\0\0\4\0\0\0\0\0"
END_STREAM, END_HEADERS, PADDED = 1, 4, 8


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def block(*fields: tuple[str, str]) -> bytes:
    """A header block that needs no state."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder.encode(fields, huffman=False)


ASK = block((":method", "GET"), (":path", "/x"), (":scheme", "http"), (":authority", "x"))
SAY = block((":status", "200"), ("content-type", "text/plain"))
ASKED = frame(HEADERS, END_HEADERS | END_STREAM, 1, ASK)


def script(up: bytes = b"", down: bytes = b"") -> Script:
    """A connection on which one request is open, then these bytes."""
    script = Script().client(PREFACE + GREETING + ASKED).engine(GREETING)
    return (script.client(up) if up else script).engine(*([down] if down else []))


def reason(*both: bytes) -> str:
    """Why the connection could not be followed."""
    made = script(*both)
    counts = opaque(made)
    assert not observed(made).exchanges
    assert len(observed(made).dropped_exchanges) == 1
    ((kind, why),) = counts
    assert (kind, counts[kind, why]) == ("http2", 1)
    return why


@pytest.mark.parametrize(
    "up",
    [
        frame(HEADERS, END_HEADERS, 0, ASK),
        frame(HEADERS, END_HEADERS, 2, ASK),
        frame(HEADERS, END_HEADERS, 3, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        frame(HEADERS, END_HEADERS, 3, b"\x80"),
        frame(HEADERS, END_HEADERS, 3, b"\xfe"),
        frame(HEADERS, END_HEADERS, 3, b"\x40\x05ab"),
        frame(HEADERS, END_HEADERS, 3, b"\x3f\xe1\xff\x7f" + ASK),
        frame(HEADERS, END_HEADERS | PADDED, 3, b"\xff" + ASK),
        frame(HEADERS, END_HEADERS | PADDED, 3, b""),
        frame(HEADERS, 0, 3, ASK) + frame(PING, 0, 0, b"12345678"),
        frame(HEADERS, 0, 3, ASK) + frame(DATA, 0, 3, b"x"),
        frame(HEADERS, 0, 3, ASK) + frame(CONTINUATION, END_HEADERS, 5, b""),
        frame(HEADERS, 0, 3, ASK) + frame(HEADERS, END_HEADERS, 3, b""),
        frame(HEADERS, 0, 3, ASK) + frame(0xEE, 0, 3, b""),
        frame(HEADERS, END_HEADERS, 1, ASK),
        frame(CONTINUATION, END_HEADERS, 1, b""),
        frame(DATA, 0, 0, b"x"),
        frame(DATA, 0, 5, b"x"),
        frame(DATA, PADDED, 1, b"\x05abc"),
        frame(DATA, PADDED, 1, b""),
        frame(DATA, 0, 1, b"x" * 16_385),
        frame(0xEE, 0, 1, b"x" * 16_385),
        frame(RST, 0, 0, b"\0\0\0\0"),
        frame(RST, 0, 7, b"\0\0\0\0"),
        frame(SETTINGS, 0, 1, b""),
        frame(SETTINGS, 0, 0, b"12345"),
        frame(SETTINGS, 0, 0, b"\0\5\0\0\0\1"),
        frame(PUSH, END_HEADERS, 1, b"\0\0\0\2" + ASK),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100,
    ],
)
def test_violations_by_a_client(up: bytes) -> None:
    """In one read or byte by byte."""
    assert reason(up) == "malformed"
    cut = script()
    for byte in up:
        cut.client(bytes([byte]))
    assert opaque(cut) == {("http2", "malformed"): 1}


@pytest.mark.parametrize(
    "down",
    [
        frame(HEADERS, END_HEADERS, 1, block(("a", "b"))),
        frame(HEADERS, END_HEADERS, 1, block((":status", "20"))),
        frame(HEADERS, END_HEADERS, 1, block((":status", "2000"))),
        frame(HEADERS, END_HEADERS, 1, block((":status", "ok!"))),
        frame(HEADERS, END_HEADERS, 1, block((":status", "101"))),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, block((":status", "100"))),
        frame(HEADERS, END_HEADERS, 1, SAY) + frame(HEADERS, END_HEADERS, 1, SAY),
        frame(HEADERS, END_HEADERS, 3, SAY),
        frame(HEADERS, END_HEADERS, 0, SAY),
        frame(HEADERS, END_HEADERS, 1, b"\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
        frame(DATA, 0, 1, b"before the head"),
        frame(DATA, 0, 3, b"x"),
        frame(RST, 0, 3, b"\0\0\0\0"),
        frame(RST, 0, 1, b"\0\0\0"),
        frame(GOAWAY, 0, 0, b"\0\0\0\1"),
        frame(GOAWAY, 0, 1, b"\0\0\0\1\0\0\0\0"),
        frame(PUSH, END_HEADERS, 1, b"\0" + b"\xff" * 20),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_violations_by_an_engine(down: bytes) -> None:
    """The exchange under way is dropped, not reported as failed."""
    assert reason(b"", down) == "malformed"


def test_beginnings_that_are_none() -> None:
    """SETTINGS come first, from both; the preface is the preface."""
    for first in (frame(PING, 0, 0, b"12345678") + ASKED, ASKED, frame(SETTINGS, 1, 0)):
        skipped = Script().client(PREFACE + first)
        assert opaque(skipped) == {("http2", "malformed"): 1}
        assert opaque(Script().client(PREFACE + GREETING).engine(first)) == {
            ("http2", "malformed"): 1
        }
    offer = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n"
    upgraded = Script().client(offer).engine(b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n")
    assert opaque(upgraded.client(PREFACE[:10]).client(b"other")) == {("http2", "malformed"): 1}


# --- limits --------------------------------------------------------------------------------------
@pytest.mark.parametrize("payload", [b"", b"x" * 16_000])
def test_continuations_without_end(payload: bytes) -> None:
    """Empty ones, and ones that make a block too long."""
    flood = frame(HEADERS, 0, 3, b"") + frame(CONTINUATION, 0, 3, payload) * 65
    assert reason(flood) == "too_long"
    pipeline = pipeline_of(Kept())
    pipeline.feed(script(flood[:200]).client(flood[200:]).frames)
    assert pipeline.flows.opaque.counts == {("http2", "too_long"): 1}
    assert pipeline.context.budget.kept == 0


def test_header_list_that_unpacks_to_too_much() -> None:
    """One large entry of the table, referred to a thousand times."""
    bomb = b"\x3f\xe1\x1f" + Encoder().encode([("x", "v" * 3000)], huffman=False) + b"\xbe" * 1000
    assert reason(frame(HEADERS, END_HEADERS, 3, bomb)) == "too_long"


def test_frames_longer_than_what_is_kept() -> None:
    """A receiver may allow frames of 16 MiB; a header block of that length is not kept."""
    allow = frame(SETTINGS, 0, 0, b"\0\5\0\xff\xff\xff")
    huge = frame(HEADERS, END_HEADERS, 3, b"\0" * (MAX_BLOCK_BYTES + 1))
    made = Script().client(PREFACE + GREETING + ASKED).engine(GREETING + allow).client(huge[:99])
    assert opaque(made) == {("http2", "too_long"): 1}
    data = frame(HEADERS, END_HEADERS, 3, ASK) + frame(DATA, 0, 3, b"x" * 1_000_000)
    made = Script().client(PREFACE + GREETING + ASKED).engine(GREETING + allow).client(data)
    assert opaque(made) == {}


def test_too_many_streams_at_one_time() -> None:
    """A client that opens streams for ever; and one that the budget has no room for."""
    flood = b"".join(
        frame(HEADERS, END_HEADERS | END_STREAM, 3 + 2 * n, ASK) for n in range(MAX_STREAMS - 1)
    )
    assert opaque(script(flood)) == {}
    last = frame(HEADERS, END_HEADERS, 9999, ASK)
    assert opaque(script(flood + last)) == {("http2", "too_many"): 1}
    assert len(observed(script(flood + last)).dropped_exchanges) == MAX_STREAMS
    pipeline = pipeline_of(Kept())
    pipeline.context.budget.limit = 400_000
    pipeline.feed(script(flood).frames)
    assert pipeline.flows.opaque.counts == {("http2", "memory"): 1}
    assert (pipeline.context.budget.kept, pipeline.tally.in_flight) == (0, 0)


def test_table_larger_than_what_is_kept() -> None:
    """Announced it may be; a sender that uses it cannot be followed."""
    allow = frame(SETTINGS, 0, 0, b"\0\1\x7f\xff\xff\xff")
    up = PREFACE + GREETING + ASKED
    for size, expected in (
        (b"\x3f\xe1\xff\x03", {}),
        (b"\x3f\xe2\xff\x03", {("http2", "malformed"): 1}),
    ):
        more = frame(HEADERS, END_HEADERS | END_STREAM, 3, size + ASK)
        assert opaque(Script().client(up).engine(GREETING + allow).client(more)) == expected


def test_connection_that_lives_for_days_keeps_nothing() -> None:
    """Thousands of streams leave nothing under way; the tables of HPACK are all that is kept."""
    kept = Kept()
    pipeline = pipeline_of(kept)
    pipeline.feed(script().frames)
    for n in range(2000):
        stream = 3 + 2 * n
        made = Script()
        made.client(frame(HEADERS, END_HEADERS | END_STREAM, stream, ASK))
        made.engine(
            frame(HEADERS, END_HEADERS, stream, SAY) + frame(DATA, END_STREAM, stream, b"x")
        )
        pipeline.feed(made.frames[1:])
    assert len(kept.exchanges) == 2000
    assert pipeline.tally.in_flight == 1
    assert pipeline.context.budget.kept == 2 * DEFAULT_TABLE_BYTES


# --- damaged bytes -------------------------------------------------------------------------------
def recorded() -> list[tuple[bool, bytes]]:
    """Some traffic."""
    pair = Http2Pair()
    for number in range(4):
        stream = pair.request(post("/x", ("x-number", f"{number}")), b"y" * 50)
        pair.answer(
            stream, reply(200, "text/plain", ("x-a", "b")), b"z" * 90, trailers=[("s", "1")]
        )
    return pair.passed


PASSED = recorded()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10_000), st.integers(0, 10_000), st.binary(min_size=1, max_size=4)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_damaged_anywhere(damages: list[tuple[int, int, bytes]]) -> None:
    """Bytes are changed: no fault, and when all is closed nothing is under way or kept."""
    passed = list(PASSED)
    for where, at, value in damages:
        of_engine, data = passed[where % len(passed)]
        start = at % len(data)
        data = data[:start] + value + data[start + len(value) :]
        passed[where % len(passed)] = (of_engine, data)
    pipeline = pipeline_of(Kept())
    made = Script()
    for of_engine, data in passed:
        (made.engine if of_engine else made.client)(data)
    pipeline.feed(made.add(codec.CLOSED).frames)
    assert faults(pipeline) == 0
    assert pipeline.tally.in_flight == 0
    assert pipeline.context.budget.kept == 0


frames = st.builds(
    frame,
    st.one_of(st.integers(0, 10), st.sampled_from([HEADERS, DATA])),
    st.one_of(st.integers(0, 255), st.sampled_from([END_HEADERS, END_HEADERS | END_STREAM])),
    st.sampled_from([0, 1, 1, 2, 3, 3, 5, 7]),
    st.one_of(st.binary(max_size=30), st.sampled_from([ASK, SAY, b"\0\0\0\0", b"\0\1\0\0\0\0"])),
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(frames, max_size=4)), max_size=12))
def test_any_frames(passed: list[tuple[bool, list[bytes]]]) -> None:
    """Whatever order they come in."""
    made = script()
    for of_engine, some in passed:
        (made.engine if of_engine else made.client)(b"".join(some))
    pipeline = pipeline_of(Kept())
    pipeline.feed(made.add(codec.CLOSED).frames)
    assert faults(pipeline) == 0
    assert pipeline.tally.in_flight == 0
    assert pipeline.context.budget.kept == 0


def test_more_connections_than_the_budget_has_tables_for() -> None:
    """Each takes a table for each direction; without one it is opaque, and gives all back."""
    pipeline = pipeline_of(kept := Kept())
    pipeline.context.budget.limit = 10 * DEFAULT_TABLE_BYTES
    for flow in range(8):
        one = Script(flow).client(PREFACE + GREETING + ASKED).engine(GREETING)
        one.engine(frame(HEADERS, END_HEADERS | END_STREAM, 1, SAY))
        pipeline.feed(one.frames)
    assert len(kept.exchanges) == 5
    assert pipeline.flows.opaque.counts == {("http2", "memory"): 3}
    pipeline.feed([closed for flow in range(8) for closed in Script(flow).close().frames[1:]])
    assert pipeline.context.budget.kept == 0
