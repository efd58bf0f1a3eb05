"""Connections: what they speak, gaps, what is not read, and errors in the observer itself."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observed import (
    CHAT_STREAM,
    MS,
    STREAM_HEAD,
    Kept,
    Script,
    answer,
    chunk,
    delta,
    faults,
    observed,
    only,
    opaque,
    pipeline_of,
    request,
)
from prometheus_client.parser import text_string_to_metric_families

from sidelight_sidecar.frames import codec
from sidelight_sidecar.frames.codec import Frame
from sidelight_sidecar.observer.flows.detect import PREFACE, Spoken, spoken

RESPONSE = b"".join(CHAT_STREAM)
ANSWER = answer({"choices": [], "model": "m", "usage": {"completion_tokens": 1}})


def hello() -> bytes:
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="host.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# --- the first bytes ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("first", "what"),
    [
        (b"POST /x HTTP/1.1\r\n", Spoken.HTTP1),
        (b"\r\nGET / HTTP/1.1\r\n", Spoken.HTTP1),
        (b"PROPFIND /", Spoken.HTTP1),
        (b"PRI /", Spoken.HTTP1),
        (PREFACE, Spoken.HTTP2),
        (PREFACE + b"\0\0\0\4\0\0\0\0\0", Spoken.HTTP2),
        (b"\x16\x03\x01\x02\x00", Spoken.TLS),
        (b"SSH-2.0-OpenSSH_9\r\n", Spoken.UNKNOWN),
        (b"\x16\x04", Spoken.UNKNOWN),
        (b"\x80\x2e\x01\x03\x01", Spoken.UNKNOWN),
        (b"*1\r\n$4\r\nPING\r\n", Spoken.UNKNOWN),
        (b"A" * 33, Spoken.UNKNOWN),
        (b"\0", Spoken.UNKNOWN),
        (b"{}", Spoken.UNKNOWN),
    ],
)
def test_first_bytes_decide_and_no_earlier(first: bytes, what: Spoken) -> None:
    """Any beginning of them says the same, or nothing yet."""
    assert spoken(first) is what
    for size in range(1, len(first)):
        early = spoken(first[:size])
        may_be_http = what is Spoken.UNKNOWN and early is Spoken.HTTP1  # a method, until it is none
        assert early in (what, Spoken.UNDECIDED) or may_be_http


def test_tls_is_nothing_wrong() -> None:
    """Recognised from a real hello, whole or byte by byte; counted with its bytes."""
    data = hello()
    for pieces in ([data], [bytes([b]) for b in data]):
        script = Script()
        for piece in pieces:
            script.client(piece)
        pipeline = pipeline_of(kept := Kept())
        pipeline.feed(script.engine(b"\x16\x03\x03xyz").client(request()).frames)
        assert pipeline.flows.opaque.counts == {("tls", "encrypted"): 1}
        figures = pipeline.flows.opaque.kinds["tls"]
        assert (figures.client_bytes, figures.engine_bytes) == (len(data + request()), 6)
        assert kept.exchanges == []


def test_engine_that_speaks_first() -> None:
    """Kept for a while; without a client that makes sense of it, the flow is opaque."""
    assert opaque(Script().engine(b"220 mail ready\r\n")) == {}
    script = Script().engine(b"220 mail ready\r\n").client(b"EHLO x\r\n").engine(b"250 x\r\n")
    assert opaque(script) == {("unknown", "not_http"): 1}
    assert opaque(Script().engine(b"x" * 5000)) == {("unknown", "not_http"): 1}
    script = Script().engine(answer({}, 503, ["Connection: close"])).client(request()).close()
    assert only(observed(script)).error == "client_disconnect"


def test_connection_that_says_nothing_is_nothing() -> None:
    """A TCP probe."""
    assert opaque(Script().close()) == {}


# --- gaps ---------------------------------------------------------------------------------------
def test_first_read_after_a_gap_may_begin_a_request() -> None:
    """An idle connection that a new observer is told of."""
    script = Script().add(codec.GAP).client(request()).engine(*CHAT_STREAM)
    assert only(observed(script)).output_tokens == 3


def test_request_within_a_body_is_none() -> None:
    """After the client's own bytes a request line is part of what it was sending."""
    upload = request(b"x" * 100 + request(path="/forged") * 2)
    script = Script().client(upload[:90]).add(codec.GAP).client(upload[120:150])
    script.client(request(path="/forged")).client(request(path="/forged")).engine(RESPONSE)
    script.client(request()).engine(*CHAT_STREAM)
    kept = observed(script)
    assert [e.path for e in kept.exchanges] == ["/v1/chat/completions"]
    assert len(kept.dropped_exchanges) == 1


@pytest.mark.parametrize(
    "after", [[(False, b"more of a body")], [(True, b"data: of an older answer\n\n")],
              [(True, ANSWER[20:])], [(False, b"\r\n"), (False, b"{}")]],
)  # fmt: skip
def test_what_only_looked_like_a_request_is_dropped(after: list[tuple[bool, bytes]]) -> None:
    """Bytes that do not fit it: the flow is as lost as before, and picked up at the next one."""
    script = Script().client(request()).add(codec.GAP).client(b"GET /forged HTTP/1.1\r\n\r\n")
    for of_engine, data in after:
        (script.engine if of_engine else script.client)(data)
    script.engine(RESPONSE).client(request()).engine(*CHAT_STREAM)
    kept = observed(script)
    assert [e.path for e in kept.exchanges] == ["/v1/chat/completions"]
    assert kept.exchanges[0].start_ns == script.frames[-9][2]
    assert len(kept.dropped_exchanges) == 2
    assert opaque(script) == {}


def test_proved_again_after_a_gap_it_can_be_opaque() -> None:
    """What does not fit after a whole exchange is no matter of the gap any more."""
    script = Script().add(codec.GAP).client(request()).engine(*CHAT_STREAM).engine(b"rubbish\r\n")
    assert opaque(script) == {("http1", "malformed"): 1}


def test_gaps_of_every_kind_of_flow() -> None:
    """An opaque flow stays what it is; several gaps are as one."""
    script = Script().client(b"\x16\x03\x01").add(codec.GAP).client(request())
    assert opaque(script) == {("tls", "encrypted"): 1}
    script = Script().client(b"PO").add(codec.GAP).add(codec.GAP).engine(b"x").add(codec.GAP)
    assert only(observed(script.client(request()).engine(*CHAT_STREAM))).output_tokens == 3


def test_protocols_that_are_met_in_the_middle() -> None:
    """TLS is known by its records; HTTP/2 by its beginning alone."""
    script = (
        Script().add(codec.GAP).engine(b"\x17\x03\x03").client(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    )
    assert opaque(script) == {("tls", "encrypted"): 1}
    assert opaque(Script().add(codec.GAP).client(b"\x17\x03\x03\xff\xff")) == {}
    script = Script().client(request()).add(codec.GAP).client(b"\x17\x03\x03\x00\x20")
    assert opaque(script) == {}, "it is known to speak HTTP/1.1"


STREAM = [*CHAT_STREAM[:2], *(delta(content=f"{n}") for n in range(6)), *CHAT_STREAM[-3:]]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([request(), request(b"{}", "/x")]), st.booleans()), max_size=6
    ),
    st.integers(0, 60),
    st.integers(1, 20),
)
def test_a_gap_anywhere_never_makes_a_wrong_exchange(
    asked: list[tuple[bytes, bool]], start: int, length: int
) -> None:
    """Frames are taken out, a gap put in their place: what is reported are exchanges that were."""
    script = Script()
    for ask, streamed in asked:
        for piece in (ask[:50], ask[50:]):
            script.client(piece)
        script.engine(*(STREAM if streamed else [ANSWER]))
    frames = script.frames
    start = 1 + start % len(frames)
    whole = {facts(e) for e in observed(frames).exchanges}
    gap: Frame = (7, codec.GAP, frames[start - 1][2], 0, b"")
    kept = observed([*frames[:start], gap, *frames[start + length :]])
    assert {facts(e) for e in kept.exchanges} <= whole


def facts(exchange: object) -> tuple[object, ...]:
    """What identifies an exchange."""
    names = ("start_ns", "stop_ns", "path", "code", "error", "bytes_in", "bytes_out", "events")
    return tuple(getattr(exchange, name) for name in names)


# --- figures ------------------------------------------------------------------------------------
def test_opaque_connections_are_on_the_metrics_page() -> None:
    """Counts by kind and reason, bytes by direction, how many are open, how long they lasted."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script(1).client(b"\x16\x03\x01ab").engine(b"xyz").close().frames)
    pipeline.feed(Script(2).client(b"\x16\x03\x01").frames)
    pipeline.feed(Script(3).client(b"GET / HTTP/9\r\n").frames)
    samples = {
        (s.name.removeprefix("sidelight_"), *sorted(s.labels.values())): s.value
        for family in text_string_to_metric_families(pipeline.exposition().decode())
        for s in family.samples
        if "opaque" in s.name or "unparsed" in s.name
    }
    assert samples == {
        ("opaque_connections_total", "encrypted", "tls"): 2,
        ("opaque_connections_total", "not_http", "unknown"): 1,
        ("opaque_connections_open", "tls"): 1,
        ("opaque_connections_open", "unknown"): 1,
        ("opaque_bytes_total", "tls", "to_engine"): 8,
        ("opaque_bytes_total", "tls", "to_client"): 3,
        ("opaque_bytes_total", "to_engine", "unknown"): 14,
        ("opaque_bytes_total", "to_client", "unknown"): 0,
        ("opaque_connection_duration_seconds_count", "tls"): 1,
        ("opaque_connection_duration_seconds_sum", "tls"): 0.04,
        ("opaque_connection_duration_seconds_count", "unknown"): 0,
        ("opaque_connection_duration_seconds_sum", "unknown"): 0,
        ("flows_unparsed_total",): 3,
    }
    assert pipeline.summary(100 * MS).sidecar.flows_unparsed == 3


def test_number_that_is_used_again() -> None:
    """A flow whose end was lost ends where another one takes its number."""
    pipeline = pipeline_of(kept := Kept())
    pipeline.feed(Script().client(b"\x16\x03\x01").frames)
    pipeline.feed(Script(at_ms=100).client(request()).frames)
    assert pipeline.flows.opaque.kinds["tls"].open == 0
    pipeline.feed(Script(at_ms=200).client(request()).engine(*CHAT_STREAM).frames)
    assert (len(kept.exchanges), len(kept.dropped_exchanges)) == (1, 1)


# --- errors in the observer itself --------------------------------------------------------------
class Broken(Kept):
    """A consumer with an error in it."""

    def __init__(self, *broken: str) -> None:
        super().__init__()
        for name in broken:
            setattr(self, name, self.fail)

    def fail(self, *_: object) -> None:
        """Raise what no one expects."""
        raise ZeroDivisionError


@pytest.mark.parametrize("broken", ["started", "arrived", "finished"])
@pytest.mark.parametrize("end", [b"", b"client"])
def test_error_in_the_observer_ends_one_flow(broken: str, end: bytes) -> None:
    """It is counted, the flow is opaque, others go on, nothing raises."""
    kept = Broken(broken, "dropped")
    pipeline = pipeline_of(kept)
    script = Script(1).client(request()).engine(*CHAT_STREAM[:4])
    pipeline.feed(script.add(codec.RESET, end).client(request()).add(codec.CLOSED).frames)
    assert faults(pipeline) == 1
    assert pipeline.flows.opaque.kinds["http1"].open == 0
    delattr(kept, broken)
    pipeline.feed(Script(2).client(request()).engine(*CHAT_STREAM).frames)
    assert len(kept.exchanges) == 1


def test_want_of_memory_is_not_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is to begin anew, not to limp on."""
    pipeline = pipeline_of(Kept())

    def no_room(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("sidelight_sidecar.observer.http.http1.parse_request", no_room)
    with pytest.raises(MemoryError):
        pipeline.feed(Script().client(request()).frames)


pieces = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([
        request(), request(b"{}"), request()[:30], RESPONSE, RESPONSE[:200], STREAM_HEAD, ANSWER,
        chunk(b"abc"), b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"HEAD / HTTP/1.1\r\n\r\n", b"\r\n",
        b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 204 N\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n", PREFACE, PREFACE[:10], PREFACE[10:],
        b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n", b"\0\0\0\4\0\0\0\0\0", b"\0\0\0\1\5\0\0\0\1",
        b"\x16\x03\x01", b"HTTP/1.1 408 T\r\nConnection: close\r\n\r\n", b"client", b"connect",
        request().replace(b"Host: x", b"Expect: 100-continue")[:-15],
    ]),
)  # fmt: skip
some_frames = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([*b"ccccssssOCSRGXT"]),
        st.integers(0, 1 << 40),
        st.integers(0, codec.NO_DELAY),
        pieces,
    ),
    max_size=40,
)


@settings(deadline=None)
@given(some_frames)
def test_any_frames_leave_nothing_behind(frames: list[Frame]) -> None:
    """No error, no fault; when all is closed nothing is under way, kept, or open."""
    pipeline = pipeline_of(Kept())
    pipeline.feed([(flow, codec.OPEN, 0, 0, b"") for flow in range(3)])
    pipeline.feed(frames)
    pipeline.feed([(flow, codec.CLOSED, 1 << 41, 0, b"") for flow in range(3)])
    assert faults(pipeline) == 0
    assert pipeline.tally.in_flight == 0
    assert pipeline.context.budget.kept == 0
    assert all(figures.open == 0 for figures in pipeline.flows.opaque.kinds.values())
