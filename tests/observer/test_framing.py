"""Bytes cut anywhere, lost, pipelined, or no HTTP at all."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from observed import (
    CHAT_STREAM,
    FLOW,
    MS,
    STREAM_HEAD,
    Kept,
    Script,
    answer,
    delta,
    observed,
    only,
    pipeline_of,
    request,
)

from sidelight_sidecar.frames import codec
from sidelight_sidecar.frames.codec import Frame

RESPONSE = b"".join(CHAT_STREAM)
SAME = (
    "operation", "model", "code", "error", "stream", "choices", "events", "prompt_tokens",
    "output_tokens", "cached_tokens", "finish_reasons", "bytes_in", "bytes_out", "response_id",
    "trace_id", "unread", "method",
)  # fmt: skip
UNKNOWN_BODY = answer({"choices": [], "model": "m", "usage": {"completion_tokens": 1}})


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at these places."""
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@given(st.lists(st.integers(0, 5000)), st.lists(st.integers(0, 5000)))
def test_segmentation_changes_nothing_but_arrivals(up: list[int], down: list[int]) -> None:
    """Any cut of the two byte streams gives the same exchange."""
    traced = request().replace(b"Host: x", b"traceparent: 00-%s-%s-01" % (b"ab" * 16, b"cd" * 8))
    whole = only(observed(Script().client(traced).engine(RESPONSE)))
    script = Script()
    for piece in pieces_of(traced, up):
        script.client(piece)
    cut = only(observed(script.engine(*pieces_of(RESPONSE, down))))
    assert {n: getattr(cut, n) for n in SAME} == {n: getattr(whole, n) for n in SAME}
    assert cut.start_ns == 10 * MS
    assert cut.trace_id == "ab" * 16
    assert 1 <= cut.arrivals <= cut.events == 3


frames_of_anything = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(sorted(codec.KINDS)),
        st.integers(0, 1 << 62),
        st.integers(0, codec.NO_DELAY),
        st.one_of(
            st.binary(max_size=80),
            st.sampled_from([
                request(), request()[:30], RESPONSE, RESPONSE[:200], STREAM_HEAD, UNKNOWN_BODY,
                b"HEAD / HTTP/1.1\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"client", b'{"a":1}',
                delta(content=1), delta(content=[{}], finish=None, index=-5),
            ]),
        ),
    ),
    max_size=40,
)  # fmt: skip


@given(frames_of_anything)
def test_nothing_raises_and_nothing_is_left_in_flight(frames: list[Frame]) -> None:
    """Random frames in any order; after every flow has closed, nothing is under way."""
    kept = Kept()
    pipeline = pipeline_of(kept)
    pipeline.feed(frames)
    pipeline.feed([(flow, codec.CLOSED, 0, 0, b"") for flow in range(4)])
    pipeline.exposition()
    pipeline.exposition(openmetrics=True)
    assert pipeline.summary(pipeline.flows.last_ns).sidecar.in_flight == 0


def test_what_is_not_http_is_counted_and_left_alone() -> None:
    """A TLS handshake makes the flow opaque; what follows on it is not read."""
    kept = Kept()
    pipeline = pipeline_of(kept)
    pipeline.feed(Script().client(b"\x16\x03\x01\x02\x00").client(request()).close().frames)
    assert pipeline.flows.unparsed == 1
    assert kept.exchanges == []


def test_ambiguous_framing_is_not_guessed() -> None:
    """Length and chunks together: request smuggling's own case."""
    head = (
        b"POST /v1/completions HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script().client(head + b"0\r\n\r\n").frames)
    assert pipeline.flows.unparsed == 1


def test_after_a_gap_the_next_request_is_observed() -> None:
    """The exchange in the middle is dropped, not reported as failed."""
    script = Script().client(request()).engine(STREAM_HEAD, delta(content="a")).add(codec.GAP)
    script.client(request()[20:]).engine(RESPONSE[300:]).client(request()).engine(*CHAT_STREAM)
    kept = observed(script)
    exchange = only(kept)
    assert exchange.output_tokens == 3
    assert len(kept.dropped_exchanges) == 1


def test_flow_announced_by_a_new_observers_relay_is_followed_from_its_next_request() -> None:
    """`O` and `G` of a connection that is older than this observer."""
    script = Script().add(codec.GAP).engine(RESPONSE[10:]).client(request()).engine(*CHAT_STREAM)
    assert only(observed(script)).output_tokens == 3


def test_pipelined_requests_get_their_own_answers() -> None:
    """Responses come in the order of the requests, even in one read."""
    script = Script().client(request(b"{}") + request()).engine(UNKNOWN_BODY + RESPONSE)
    first, second = observed(script).exchanges
    assert (first.stream, first.output_tokens) == (False, 1)
    assert (second.stream, second.output_tokens) == (True, 3)
    assert first.bytes_in == 2


def test_keep_alive_requests_have_times_of_their_own() -> None:
    """The second begins at its own first byte."""
    script = Script().client(request()).engine(*CHAT_STREAM).client(request(), after_ms=500)
    first, second = observed(script.engine(*CHAT_STREAM)).exchanges
    assert second.start_ns - first.stop_ns == 500 * MS


def test_head_has_a_length_and_no_body() -> None:
    """Also after 1xx; the next response on the connection is read well."""
    head = b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    script = Script().client(head).engine(early + said[:20], said[20:]).client(request())
    first, second = observed(script.engine(*CHAT_STREAM)).exchanges
    assert (first.method, first.code, first.operation) == ("HEAD", 200, "other")
    assert second.output_tokens == 3


def test_no_body_with_204() -> None:
    """The next response follows at once."""
    script = Script().client(request(path="/x")).engine(b"HTTP/1.1 204 N\r\n\r\n")
    first, second = observed(script.client(request()).engine(*CHAT_STREAM)).exchanges
    assert (first.code, second.output_tokens) == (204, 3)


def test_interim_response_is_not_the_answer() -> None:
    """t_hdr is of the final one."""
    script = Script().client(request()).engine(b"HTTP/1.1 100 Continue\r\n\r\n", *CHAT_STREAM)
    exchange = only(observed(script))
    assert exchange.code == 200
    assert exchange.response_start_ns == 30 * MS


def test_body_that_ends_with_the_connection() -> None:
    """Without length or chunks the end of the engine's bytes is the end of the answer."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    data = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    script = Script().client(request()).engine(head, data).add(codec.ENGINE_EOF)
    exchange = only(observed(script.add(codec.CLIENT_EOF).add(codec.CLOSED)))
    assert (exchange.error, exchange.events) == ("", 1)


def test_client_that_half_closes_still_gets_its_answer() -> None:
    """An end of the request is no hang-up."""
    script = Script().client(request()).add(codec.CLIENT_EOF).engine(*CHAT_STREAM)
    exchange = only(observed(script.add(codec.ENGINE_EOF).add(codec.CLOSED)))
    assert (exchange.code, exchange.error) == (200, "")


def test_flows_do_not_mix() -> None:
    """Two connections whose frames alternate."""
    one, two = Script(FLOW).client(request()), Script(FLOW + 1).client(request(b"{}"))
    one.engine(*CHAT_STREAM)
    two.engine(UNKNOWN_BODY)
    frames = sorted(one.frames + two.frames, key=lambda frame: frame[2])
    tokens = {e.flow: e.output_tokens for e in observed(frames).exchanges}
    assert tokens == {FLOW: 3, FLOW + 1: 1}
