"""HTTP/1.1 that two implementations may read in two ways: opaque, with a reason, never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observed import CHAT_STREAM, STREAM_HEAD, Kept, Script, observed, opaque, pipeline_of, request

from sidelight_sidecar.observer.http.http1_head import MAX_HEAD_BYTES

POST = b"POST /v1/completions HTTP/1.1\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
OK = b"HTTP/1.1 200 OK\r\n"

AMBIGUOUS_FIELDS = [
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n",
    b"Content-Length: 3, 4\r\n",
    b"Content-Length: 3\r\nContent-Length: 03\r\n",
    b"Content-Length: +3\r\n",
    b"Content-Length: -3\r\n",
    b"Content-Length: 0x3\r\n",
    b"Content-Length: 3 3\r\n",
    b"Content-Length: 3.0\r\n",
    b"Content-Length: \r\n",
    b"Content-Length: 3,\r\n",
    b"Content-Length: \xb2\r\n",
    b"Content-Length: 9999999999999999999\r\n",
    b"Content-Length:\r\n 3\r\n",
    b"Content-Length: 3\r\n 3\r\n",
    b"Content-Length : 3\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"Transfer-Encoding: chunked\r\n\tgzip\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked, gzip\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked;q=1\r\n",
    b"Transfer-Encoding: \"chunked\"\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding:\r\n",
]  # fmt: skip
MALFORMED_FIELDS = [
    b"no colon\r\n", b": no name\r\n", b"a b: c\r\n", b"caf\xe9: c\r\n", b"A: b\0c\r\n",
    b"A: b\rc\r\n", b"A\r\n: b\r\n", b"A: b\r\n" + b" c\r\n" * 100,
    b"Content-Encoding: %s\r\n" % (b"a" * 600) * 2,
]  # fmt: skip


@pytest.mark.parametrize("fields", AMBIGUOUS_FIELDS)
def test_ambiguous_framing_of_a_request(fields: bytes) -> None:
    """No exchange comes of it, nor of what follows; the flow is left alone."""
    script = Script().client(POST + fields + b"\r\n0\r\n\r\n").client(request())
    assert opaque(script.engine(*CHAT_STREAM)) == {("http1", "ambiguous"): 1}
    assert observed(script).exchanges == []


@pytest.mark.parametrize("fields", AMBIGUOUS_FIELDS)
def test_ambiguous_framing_of_a_response(fields: bytes) -> None:
    """The exchange is dropped; so is nothing before it."""
    script = Script().client(request()).engine(*CHAT_STREAM)
    script.client(request()).engine(OK + fields + b"\r\n0\r\n\r\n")
    assert opaque(script) == {("http1", "ambiguous"): 1}
    kept = observed(script)
    assert (len(kept.exchanges), len(kept.dropped_exchanges)) == (1, 1)


def test_chunks_in_http_1_0() -> None:
    """RFC 9112, 6.1: framing that is faulty."""
    head = POST.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED
    assert opaque(Script().client(head + b"\r\n0\r\n\r\n")) == {("http1", "ambiguous"): 1}
    script = Script().client(request()).engine(STREAM_HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert opaque(script) == {("http1", "ambiguous"): 1}


@pytest.mark.parametrize("fields", [*MALFORMED_FIELDS, b" A: b\r\n", b"\tA: b\r\n"])
def test_fields_that_are_none(fields: bytes) -> None:
    """In requests, responses and trailers."""
    expected = {("http1", "malformed"): 1}
    assert opaque(Script().client(POST + fields + b"\r\n")) == expected
    asked = Script().client(request())
    assert opaque(asked.engine(OK + fields + b"\r\n")) == expected
    asked = Script().client(request())
    assert opaque(asked.engine(STREAM_HEAD + b"0\r\n" + fields + b"\r\n")) == expected


@pytest.mark.parametrize(
    "chunks",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        b"3;a=\0\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"\r\n3\r\nabc\r\n",
        b"3 a\r\nabc\r\n",
        b"\xb2\r\nabc\r\n",
        b"1_0\r\nabc\r\n",
        b"ffffffffffffffff\r\nabc\r\n",
    ],
)
@pytest.mark.parametrize("byte_by_byte", [False, True])
def test_chunks_that_are_none(chunks: bytes, byte_by_byte: bool) -> None:
    """Sizes that some parsers take for others, ends that are no CRLF."""
    pieces = [bytes([b]) for b in chunks] if byte_by_byte else [chunks]
    script = Script().client(request()).engine(STREAM_HEAD, *pieces)
    assert opaque(script) == {("http1", "ambiguous"): 1}


@pytest.mark.parametrize(
    "line",
    [
        b"GET /", b"GET / HTTP/1.1 ", b"GET  / HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /\t HTTP/1.1",
        b"GET / HTTP/2.0", b"GET / http/1.1", b"GET / HTTP/1.10", b"GET /\x7f HTTP/1.1", b"PING",
        b"EHLO x", b"GET / HTTP/1.1\rA: b", b"*3",
    ],
)  # fmt: skip
def test_request_lines_that_are_none(line: bytes) -> None:
    """Known at once, without waiting for an empty line; also behind a good request."""
    assert opaque(Script().client(line + b"\r\n")) == {("unknown", "not_http"): 1}
    script = Script().client(request()).engine(*CHAT_STREAM).client(line + b"\r\n")
    assert opaque(script) == {("http1", "not_http"): 1}
    assert len(observed(script).exchanges) == 1


@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 OK", b"HTTP/2 200 OK", b"ICY 200 OK",
     b"HTTP/1.1  200 OK", b"HTTP/1.1 099 X", b"HTTP/1.1 200\tOK", b"\x00\x00\x12\x04"],
)  # fmt: skip
def test_status_lines_that_are_none(line: bytes) -> None:
    """What the engine says is no response."""
    assert opaque(Script().client(request()).engine(line + b"\r\n")) == {("http1", "malformed"): 1}


def test_more_body_than_its_length() -> None:
    """Bytes after a response that nobody asked for."""
    script = Script().client(request()).engine(*CHAT_STREAM, b"HTTP/1.1 200 OK\r\n\r\n")
    assert opaque(script) == {("http1", "unsolicited"): 1}
    assert len(observed(script).exchanges) == 1


def test_engine_that_goes_on_after_it_said_that_it_would_not() -> None:
    """`Connection: close`, and then another response: to which request, nobody knows."""
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    script = Script().client(request() + request()).engine(last + last)
    assert opaque(script) == {("http1", "unsolicited"): 1}


# --- limits ------------------------------------------------------------------------------------
@pytest.mark.parametrize("piece", [1000, 64 * 1024])
def test_heads_that_are_too_long(piece: int) -> None:
    """The client's and the engine's; what was kept of them is given back."""
    long = b"A: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n"
    for script, add, head in (
        (asked := Script(), asked.client, POST + long),
        (asked := Script().client(request()), asked.engine, OK + long),
        (asked := Script().client(request()).engine(STREAM_HEAD), asked.engine, b"0\r\n" + long),
    ):
        for start in range(0, len(head), piece):
            add(head[start : start + piece])
        pipeline = pipeline_of(Kept())
        pipeline.feed(script.frames)
        assert pipeline.flows.opaque.counts == {("http1", "too_long"): 1}
        assert pipeline.context.budget.kept == 0


def test_chunk_extension_that_is_too_long() -> None:
    """In one read or many."""
    for piece in (b"3;" + b"a" * 5000, b"3;", b"3;" + b"b" * 4000):
        script = Script().client(request()).engine(STREAM_HEAD, piece, b"a" * 4095)
        assert opaque(script) == {("http1", "too_long"): 1}


def test_head_that_comes_for_ever_waits_within_the_budget() -> None:
    """Slow heads of many connections are kept while there is room, then their flows are opaque."""
    pipeline = pipeline_of(Kept())
    pipeline.context.budget.limit = 100_000
    for flow in range(20):
        script = Script(flow).client(POST + b"A: " + b"a" * 6000).client(b"a" * 4000)
        pipeline.feed(script.frames)
        assert pipeline.context.budget.kept <= 100_000
    assert pipeline.flows.opaque.counts == {("http1", "memory"): 11}
    pipeline.feed([frame for flow in range(20) for frame in Script(flow).close().frames[1:]])
    assert pipeline.context.budget.kept == 0


def test_too_many_requests_at_one_time() -> None:
    """A client that pipelines for ever."""
    script = Script().client(b"GET / HTTP/1.1\r\n\r\n" * 256)
    assert opaque(script) == {}
    assert opaque(script.client(b"GET / HTTP/1.1\r\n\r\n")) == {("http1", "too_many"): 1}
    assert len(observed(script).dropped_exchanges) == 256


# --- what is certain ---------------------------------------------------------------------------
bodies = st.binary(max_size=40)
messages = st.lists(
    st.tuples(bodies, st.one_of(st.none(), st.integers(1, 9))), min_size=1, max_size=4
)


@settings(deadline=None)
@given(messages, st.sampled_from([b"", b";a", b';a="b"']), st.sampled_from([b"", b"A: b\r\n"]))
def test_bodies_that_hold_anything_have_the_length_they_were_given(
    spoken: list[tuple[bytes, int | None]], extension: bytes, trailer: bytes
) -> None:
    """Lengths and chunks of any size, extensions and trailers; pipelined."""
    data = b""
    for body, size in spoken:
        if size is None:
            data += POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            continue
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        chunks = b"".join(b"%X%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces)
        data += POST + CHUNKED + b"\r\n" + chunks + b"0" + extension + b"\r\n" + trailer + b"\r\n"
    script = Script().client(data).engine(b"HTTP/1.1 204 N\r\n\r\n" * len(spoken))
    sizes = [exchange.bytes_in for exchange in observed(script).exchanges]
    assert sizes == [len(body) for body, _ in spoken]
