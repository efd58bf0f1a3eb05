"""HTTP/1.1 that is legal, however odd: each exchange is what it was."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observed import (
    CHAT_STREAM,
    MS,
    STREAM_END,
    STREAM_HEAD,
    Kept,
    Script,
    answer,
    chunk,
    delta,
    observed,
    only,
    opaque,
    pipeline_of,
    request,
)

from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.exchange import Exchange

RESPONSE = b"".join(CHAT_STREAM)
ANSWER = answer({"choices": [], "model": "m", "usage": {"completion_tokens": 1}})
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"


def facts(exchange: Exchange) -> tuple[object, ...]:
    """What must not depend on how the bytes were cut."""
    return (
        exchange.method, exchange.path, exchange.operation, exchange.code, exchange.error,
        exchange.stream, exchange.output_tokens, exchange.events, exchange.bytes_in,
        exchange.bytes_out, exchange.unread, exchange.request_end_ns > 0,
    )  # fmt: skip


# --- requests ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"POST /v1/chat/completions HTTP/1.1", "/v1/chat/completions"),
        (b"POST http://host:8000/v1/chat/completions HTTP/1.1", "/v1/chat/completions"),
        (b"POST HTTP://host/v1/chat/completions?a=b HTTP/1.1", "/v1/chat/completions?a=b"),
        (b"GET http://host HTTP/1.1", "/"),
        (b"GET http://host?a HTTP/1.1", "/?a"),
        (b"OPTIONS * HTTP/1.1", "*"),
        (b"GET /caf\xc3\xa9 HTTP/1.1", "/caf\xc3\xa9"),
        (b"GET /%s HTTP/1.1" % (b"a" * 100_000), "/" + "a" * 2047),
        (b"M-SEARCH /x HTTP/1.0", "/x"),
        (b"get /x HTTP/1.1", "/x"),
    ],
)
def test_targets_of_every_form(line: bytes, path: str) -> None:
    """Absolute form, asterisk form, long, not ASCII."""
    head = line + b"\r\nContent-Length: 2\r\n\r\n{}"
    exchange = only(observed(Script().client(head).engine(ANSWER)))
    assert (exchange.path, exchange.code, exchange.bytes_in) == (path, 200, 2)
    assert (exchange.operation == "chat") == ("/v1/chat" in path)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /x HTTP/1.1\nHost: x\nContent-Length: 4\n\n",
        b"POST /x HTTP/1.1\r\nHost: x\nContent-Length: 4\r\n\n",
        b"\r\n\r\nPOST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\n",
        b"\n\nPOST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\n",
        b"POST /x HTTP/1.1\r\ncontent-LENGTH:4\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: \t 4 \t \r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 4, 4\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 0004\r\n\r\n",
        b"POST /x HTTP/1.1\r\nA: b\r\n c\r\n\td\r\nContent-Length: 4\r\n\r\n",
        b"POST /x HTTP/1.1\r\nA:\r\n b\r\nContent-Length: 4\r\n\r\n",
        b"POST /x HTTP/1.1\r\nA: 1\r\nA: 2\r\nEmpty:\r\nContent-Length: 4\r\n\r\n",
        b"POST /x HTTP/1.1\r\nA: \xe9 \x01\x7f\r\n!#$%&'*+-.^_`|~: x\r\nContent-Length: 4\r\n\r\n",
    ],
)
def test_legal_oddities_of_heads(head: bytes) -> None:
    """Read whole, and read byte by byte; the next request on the connection is read well."""
    for pieces in ([head + b"body"], [bytes([b]) for b in head + b"body"]):
        script = Script()
        for piece in pieces:
            script.client(piece)
        script.engine(ANSWER).client(request()).engine(*CHAT_STREAM)
        first, second = observed(script).exchanges
        assert (first.path, first.bytes_in, first.code) == ("/x", 4, 200)
        assert second.output_tokens == 3


def test_empty_lines_before_a_request_are_not_its_beginning() -> None:
    """An old client's CRLF after a body is no time to first token."""
    script = Script().client(request(b"{}") + b"\r\n").engine(ANSWER).client(b"\r\n")
    script.client(request(), after_ms=500).engine(*CHAT_STREAM)
    second = observed(script).exchanges[1]
    assert second.start_ns == 530 * MS


def test_request_in_chunks_with_extensions_and_trailers() -> None:
    """Their bytes are no bytes of the body."""
    head = b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
    body = b'3;a=b;c="d"\r\n{"s\r\n0000D  \r\ntream": true}\r\n000\r\nX-A: b\r\nX-B: c\r\n\r\n'
    script = Script().client(head + body + request()).engine(ANSWER + RESPONSE)
    first, second = observed(script).exchanges
    assert (first.bytes_in, first.stream_asked, first.operation) == (16, True, "text_completion")
    assert second.output_tokens == 3


# --- responses --------------------------------------------------------------------------------
@pytest.mark.parametrize("interim", [CONTINUE, b"HTTP/1.1 102 P\r\n\r\n" * 3, CONTINUE * 2 + (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n"
)])  # fmt: skip
def test_interim_responses_are_not_the_answer(interim: bytes) -> None:
    """However many, in reads of their own or cut anywhere; t_hdr is of the final one."""
    script = Script().client(request())
    for piece in (interim[:9], interim[9:]):
        script.engine(piece)
    exchange = only(observed(script.engine(*CHAT_STREAM)))
    assert (exchange.code, exchange.output_tokens) == (200, 3)
    assert exchange.response_start_ns == 40 * MS


def test_expected_continue_then_body() -> None:
    """The body comes after 100; its last byte ends the request."""
    head, _, body = request().partition(b"\r\n\r\n")
    head += b"\r\nExpect: 100-Continue\r\n\r\n"
    script = Script().client(head).engine(CONTINUE).client(body).engine(*CHAT_STREAM)
    exchange = only(observed(script))
    assert (exchange.bytes_in, exchange.request_end_ns) == (len(body), 30 * MS)
    assert exchange.response_start_ns == 40 * MS


@pytest.mark.parametrize("sends_body", [True, False])
def test_final_answer_instead_of_continue(sends_body: bool) -> None:
    """Some clients send the body all the same, some go on with the next request."""
    head, _, body = request().partition(b"\r\n\r\n")
    script = Script().client(head + b"\r\nExpect: 100-continue\r\n\r\n").engine(answer({}, 413))
    if sends_body:
        script.client(body[:4]).client(body[4:])
    script.client(request()).engine(*CHAT_STREAM)
    first, second = observed(script).exchanges
    assert (first.code, first.request_end_ns) == (413, 0)
    assert (second.operation, second.output_tokens) == ("chat", 3)


def test_answer_before_the_body_is_whole() -> None:
    """413 to a long upload: the exchange ends there; the rest of the body is no next request."""
    whole = request(b"x" * 1000)
    script = Script().client(whole[:500]).engine(answer({"error": {}}, 413)).client(whole[500:])
    script.client(request()).engine(*CHAT_STREAM)
    first, second = observed(script).exchanges
    assert (first.code, first.error, first.stop_ns) == (413, "invalid_request", 20 * MS)
    assert first.bytes_in < 500
    assert second.output_tokens == 3


def test_answer_before_the_body_is_whole_and_the_connection_closes() -> None:
    """Still one exchange with the engine's own status."""
    script = Script().client(request(b"x" * 1000)[:500])
    script.engine(answer({}, 400, ["Connection: close"])).add(codec.ENGINE_EOF)
    assert only(observed(script.add(codec.RESET, b"client").add(codec.CLOSED))).code == 400


@pytest.mark.parametrize("split", range(0, len(HEAD_ANSWER), 7))
def test_head_behind_other_requests(split: int) -> None:
    """Each response is framed by its own request, wherever the bytes are cut."""
    script = Script().client(request(b"{}") + HEAD + HEAD + request())
    data = ANSWER + HEAD_ANSWER + HEAD_ANSWER + RESPONSE
    at = len(ANSWER) + split
    exchanges = observed(script.engine(data[:at], data[at:])).exchanges
    assert [e.method for e in exchanges] == ["POST", "HEAD", "HEAD", "POST"]
    assert [e.bytes_out > 0 for e in exchanges] == [True, False, False, True]
    assert exchanges[-1].output_tokens == 3


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(status: int) -> None:
    """Whatever their headers say of a length."""
    empty = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status
    script = Script().client(request(path="/x") + request()).engine(empty + RESPONSE)
    first, second = observed(script).exchanges
    assert (first.code, first.bytes_out, second.output_tokens) == (status, 0, 3)


@pytest.mark.parametrize(
    "status_line",
    [b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 \xc3\xa9 b"],
)
def test_reason_phrases(status_line: bytes) -> None:
    """May be missing, or anything."""
    response = STREAM_HEAD.replace(b"HTTP/1.1 200 OK", status_line) + RESPONSE[len(STREAM_HEAD) :]
    assert only(observed(Script().client(request()).engine(response))).output_tokens == 3


def test_response_trailers_reach_the_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the end of the body is told."""
    told = []
    monkeypatch.setattr(
        "sidelight_sidecar.observer.dialects.base.Dialect.trailers",
        lambda _, headers: told.append(headers),
    )
    stream = STREAM_HEAD + chunk(b"x") + b"0\r\nGrpc-Status: 0\r\nA: b\n c\r\n\r\n"
    script = Script().client(request(path="/x")).engine(*[bytes([b]) for b in stream])
    only(observed(script))
    assert told == [{b"grpc-status": b"0", b"a": b"b c"}]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_http_1_0_with_and_without_keep_alive(version: bytes) -> None:
    """Without a length until the end of the connection; with one the connection may go on."""
    script = Script().client(request().replace(b"HTTP/1.1", b"HTTP/1.0"))
    kept = b"HTTP/%s 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}" % version
    script.engine(kept).client(request(path="/x").replace(b"HTTP/1.1", b"HTTP/1.0"))
    script.engine(b"HTTP/%s 200 OK\r\n\r\n" % version, b"to the", b" end").add(codec.ENGINE_EOF)
    first, second = observed(script.add(codec.CLOSED)).exchanges
    assert (first.bytes_out, second.bytes_out, second.error) == (2, 10, "")
    assert second.stop_ns == 70 * MS


def test_what_follows_the_last_response_is_nothing() -> None:
    """After `Connection: close` no byte of the engine is a response; requests have failed."""
    last = answer({"choices": []}, 200, ["Connection: keep-alive, Close"])
    script = Script().client(request(b"{}")).engine(last + b"rubbish", b"more").close()
    assert only(observed(script)).error == ""
    assert opaque(script) == {}
    script = Script().client(request(b"{}") + request(b"{}")).engine(last).close()
    assert [e.error for e in observed(script).exchanges] == ["", "client_disconnect"]


def test_engine_that_closes_an_idle_connection_with_a_word() -> None:
    """408 to nothing is no exchange, and nothing wrong; a request that raced it has failed."""
    goodbye = answer({}, 408, ["Connection: close"])
    script = Script().client(request()).engine(*CHAT_STREAM, goodbye[:20], goodbye[20:])
    script.client(request()).add(codec.ENGINE_EOF).add(codec.CLIENT_EOF).add(codec.CLOSED)
    first, second = observed(script).exchanges
    assert (first.error, second.error) == ("", "upstream_reset")
    assert opaque(script) == {}


def test_head_that_the_engine_does_not_want_to_read() -> None:
    """431 while the head is still coming: there was no request yet."""
    script = Script().client(b"GET / HTTP/1.1\r\nA: " + b"a" * 9000)
    script.engine(answer({}, 431, ["Connection: close"])).add(codec.ENGINE_EOF).add(codec.CLOSED)
    assert observed(script).exchanges == []
    assert opaque(script) == {}


# --- ends --------------------------------------------------------------------------------------
def test_client_that_leaves_a_stream_which_the_engine_then_ends_neatly() -> None:
    """A server that stops for a hang-up closes the chunks; the answer is not whole all the same."""
    script = Script().client(request()).engine(*CHAT_STREAM[:3]).add(codec.CLIENT_EOF)
    script.engine(delta(content="more")).engine(STREAM_END).add(codec.ENGINE_EOF)
    exchange = only(observed(script.add(codec.CLOSED)))
    assert (exchange.code, exchange.error) == (499, "client_disconnect")
    assert exchange.bytes_after_left > 0
    assert exchange.engine_end_ns - exchange.left_ns == 20 * MS


def test_blank_answer_to_a_client_that_left_before_its_turn() -> None:
    """llama.cpp's 200 without a word is no answer; one with a reason to end is, to half a close."""
    blank = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    script = Script().client(request()).add(codec.CLIENT_EOF).engine(blank).add(codec.ENGINE_EOF)
    left = only(observed(script.add(codec.CLOSED)))
    assert (left.code, left.error, left.has_output) == (499, "client_disconnect", False)
    assert left.engine_end_ns - left.left_ns == 10 * MS
    nothing_said = answer({"choices": [{"index": 0, "message": {}, "finish_reason": "stop"}]})
    script = Script().client(request(b"{}")).add(codec.CLIENT_EOF).engine(nothing_said)
    stayed = only(observed(script.add(codec.ENGINE_EOF).add(codec.CLOSED)))
    assert (stayed.code, stayed.error, stayed.left_ns) == (200, "", 0)


@pytest.mark.parametrize(
    "ending",
    [
        [(codec.CLIENT_EOF, b""), (codec.CLOSED, b"")],
        [(codec.CLIENT_EOF, b""), (codec.RESET, b"engine"), (codec.CLOSED, b"")],
        [(codec.RESET, b"engine"), (codec.CLOSED, b"")],
        [(codec.RESET, b"client"), (codec.CLOSED, b"")],
    ],
)
def test_request_on_a_connection_that_the_engine_had_closed(
    ending: list[tuple[int, bytes]],
) -> None:
    """It raced the end of keep-alive: the client gives up, but it was the engine that left."""
    script = Script().client(request()).engine(*CHAT_STREAM).add(codec.ENGINE_EOF)
    script.client(request())
    for kind, payload in ending:
        script.add(kind, payload)
    first, second = observed(script).exchanges
    assert (first.error, second.error, second.code) == ("", "upstream_reset", 0)


@pytest.mark.parametrize("size", [0, 10, 60, 80])
def test_connection_that_ends_within_a_response(size: int) -> None:
    """Within its head, or its body: the engine has broken off."""
    script = Script().client(request(b"{}")).engine(ANSWER[:size] if size else b"")
    exchange = only(observed(script.add(codec.ENGINE_EOF).add(codec.CLOSED)))
    assert exchange.error == "upstream_reset"
    assert (exchange.response_start_ns > 0) == (size > 0)


# --- any segmentation --------------------------------------------------------------------------
REQUESTS = (
    request(), request(b"{}"), HEAD, b"\r\n" + request(path="/x"),
    b"GET /models HTTP/1.1\nHost: x\n\n",
    b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5;x=y\r\n{"a":\r\n2\r\n1}\r\n0\r\nT: u\r\n\r\n',
)  # fmt: skip
RESPONSES = (
    RESPONSE, ANSWER, CONTINUE + ANSWER, b"HTTP/1.1 204 N\r\n\r\n",
    STREAM_HEAD + b"3;e\r\nabc\r\n" + b"0\r\nA: b\r\n\r\n", answer({}, 503),
)  # fmt: skip


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(REQUESTS), st.sampled_from(RESPONSES)), min_size=1, max_size=5
    ),
    st.lists(st.integers(0, 4000), max_size=30),
    st.lists(st.integers(0, 4000), max_size=30),
)
def test_pipelined_messages_cut_anywhere(
    pairs: list[tuple[bytes, bytes]], up: list[int], down: list[int]
) -> None:
    """All requests at once, then all responses: the same exchanges as one by one."""
    pairs = [
        (ask, HEAD_ANSWER if ask is HEAD and say is not RESPONSES[3] else say) for ask, say in pairs
    ]
    apart = Script()
    for ask, say in pairs:
        apart.client(ask).engine(say)
    at_once = Script()
    for piece in cut(b"".join(ask for ask, _ in pairs), up):
        at_once.client(piece)
    at_once.engine(*cut(b"".join(say for _, say in pairs), down))
    expected = [facts(e) for e in observed(apart).exchanges]
    assert [facts(e) for e in observed(at_once).exchanges] == expected
    assert len(expected) == len(pairs)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at these places."""
    places = sorted({0, len(data), *(place % len(data) for place in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


def test_connection_that_lives_for_days_keeps_nothing() -> None:
    """Thousands of requests leave no byte in the budget and nothing under way."""
    kept = Kept()
    pipeline = pipeline_of(kept)
    script = Script()
    for _ in range(2000):
        script.client(request(b"{}")).engine(ANSWER)
    pipeline.feed(script.frames)
    assert len(kept.exchanges) == 2000
    assert pipeline.context.budget.kept == 0
    assert pipeline.tally.in_flight == 0
