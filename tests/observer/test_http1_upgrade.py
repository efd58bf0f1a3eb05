"""Leaving HTTP/1.1: WebSocket, other protocols, CONNECT; and offers that nobody takes."""

from __future__ import annotations

import pytest
from observed import (
    CHAT_STREAM,
    MS,
    Kept,
    Script,
    answer,
    observed,
    only,
    opaque,
    pipeline_of,
    request,
)

OFFER = b"Connection: keep-alive, Upgrade\r\nUpgrade: %s\r\n"
FRAMES = b"\x81\x85\x01\x02\x03\x04hello"


def offering(protocol: bytes, body: bytes = b"") -> bytes:
    """A chat request that offers another protocol."""
    return request(body).replace(b"Host: x\r\n", b"Host: x\r\n" + OFFER % protocol)


def taken(protocol: bytes) -> bytes:
    """The engine agrees."""
    return b"HTTP/1.1 101 Switching Protocols\r\n" + OFFER % protocol + b"\r\n"


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [(b"websocket", "websocket"), (b"WebSocket", "websocket"), (b"foo/2", "upgrade")],
)
def test_other_protocols_are_opaque_after_101(protocol: bytes, kind: str) -> None:
    """The handshake is an exchange; the rest is bytes, counted each way, and time."""
    pipeline = pipeline_of(kept := Kept())
    script = Script().client(offering(protocol)).engine(taken(protocol) + b"12345", b"678")
    script.client(FRAMES).client(request()).engine(*CHAT_STREAM[:1])
    pipeline.feed(script.frames)
    exchange = only(kept)
    assert (exchange.code, exchange.error, exchange.bytes_out) == (101, "", 0)
    assert exchange.duration == 0.01
    assert pipeline.flows.opaque.counts == {(kind, "upgraded"): 1}
    figures = pipeline.flows.opaque.kinds[kind]
    assert figures.engine_bytes == 8 + len(CHAT_STREAM[0])
    assert figures.client_bytes == len(FRAMES + request())
    assert (figures.open, figures.ended, figures.total_ns) == (1, 0, 0)
    pipeline.feed(script.close().frames[-3:])
    assert (figures.open, figures.ended, figures.total_ns) == (0, 1, 70 * MS)


def test_requests_behind_an_offer_that_is_not_taken() -> None:
    """The engine answers in HTTP/1.1: what the client sent meanwhile were requests."""
    script = Script().client(offering(b"h2c", b"{}") + request()).client(request(b"{}"))
    script.engine(answer({"choices": []}), *CHAT_STREAM, answer({"choices": []}))
    exchanges = observed(script.client(request()).engine(*CHAT_STREAM)).exchanges
    assert [e.output_tokens for e in exchanges] == [None, 3, None, 3]
    assert [e.bytes_in for e in exchanges][:1] == [2]
    assert exchanges[1].start_ns == 10 * MS
    assert exchanges[2].start_ns == 20 * MS


def test_offer_behind_other_requests() -> None:
    """Only its own response decides about it."""
    script = Script().client(request() + offering(b"websocket")).engine(*CHAT_STREAM)
    script.engine(b"HTTP/1.1 100 C\r\n\r\n" + taken(b"websocket")).client(FRAMES)
    assert [e.code for e in observed(script).exchanges] == [200, 101]
    assert opaque(script) == {("websocket", "upgraded"): 1}


def test_client_that_does_not_wait_for_101() -> None:
    """A little is kept for it, no more."""
    script = Script().client(offering(b"websocket")).client(FRAMES).engine(taken(b"websocket"))
    assert opaque(script) == {("websocket", "upgraded"): 1}
    script = Script().client(offering(b"websocket")).client(b"x" * 5000)
    assert opaque(script) == {("http1", "too_long"): 1}


def test_101_that_nobody_asked_for() -> None:
    """Or that comes before the request is whole."""
    assert opaque(Script().client(request()).engine(taken(b"foo"))) == {("http1", "malformed"): 1}
    half = offering(b"foo", b"x" * 100)[:-50]
    assert opaque(Script().client(half).engine(taken(b"foo"))) == {("http1", "malformed"): 1}


def test_tunnels() -> None:
    """CONNECT with 2xx; a refused one is an exchange like any other."""
    connect = b"CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n"
    script = Script().client(connect).engine(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    script.client(b"\x16\x03\x01").engine(b"\x16\x03\x03")
    exchange = only(observed(script))
    assert (exchange.method, exchange.path, exchange.code) == ("CONNECT", "host:443", 200)
    assert opaque(script) == {("connect", "upgraded"): 1}
    script = Script().client(connect + request()).engine(answer({}, 405), *CHAT_STREAM)
    assert [e.code for e in observed(script).exchanges] == [405, 200]
