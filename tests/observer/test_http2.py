"""HTTP/2 between h2's own two ends: each stream is an exchange."""

from __future__ import annotations

import base64
import json
from itertools import pairwise

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from http2_pair import Http2Pair, post, reply
from hypothesis import given, settings
from hypothesis import strategies as st
from observed import MS, Kept, Script, observed, only, opaque, pipeline_of, request

from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.flows.detect import PREFACE
from sidelight_sidecar.observer.http.http2_stream import LINGER_NS


def sse(value: object) -> bytes:
    """One event."""
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def token(text: str, finish: str | None = None) -> bytes:
    """One chunk of chat."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return sse({"id": "c", "model": "m", "choices": [choice]})


USAGE = sse({"model": "m", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}})
CHAT = (token("a"), token("b"), token("c", "stop"), USAGE + sse(b"[DONE]"))
ASK = b'{"stream":true}'
WHOLE = json.dumps({"model": "m", "choices": [], "usage": {"completion_tokens": 7}}).encode()


def chat(pair: Http2Pair, *pieces: bytes) -> int:
    """One streamed chat."""
    stream = pair.request(post(), ASK)
    pair.answer(stream, reply(), *(pieces or CHAT))
    return stream


def facts(exchange: Exchange) -> tuple[object, ...]:
    """What must not depend on how the bytes were cut."""
    return (
        exchange.method, exchange.path, exchange.code, exchange.error, exchange.stream,
        exchange.output_tokens, exchange.events, exchange.bytes_in, exchange.bytes_out,
        exchange.protocol, exchange.unread, exchange.request_end_ns > 0,
    )  # fmt: skip


# --- what an exchange is ------------------------------------------------------------------------
def test_a_streamed_chat() -> None:
    """Times are those of the reads that brought the frames."""
    pair = Http2Pair()
    chat(pair)
    script = pair.script()
    exchange = only(observed(script))
    assert (exchange.protocol, exchange.method, exchange.operation) == ("http/2", "POST", "chat")
    assert (exchange.code, exchange.output_tokens, exchange.arrivals) == (200, 3, 3)
    assert (exchange.bytes_in, exchange.bytes_out) == (len(ASK), sum(map(len, CHAT)))
    at = {data: frame[2] for frame, (_, data) in zip(script.frames[1:], pair.passed, strict=True)}
    times = [at[data] for of_engine, data in pair.passed if of_engine and b"data: " in data]
    assert (exchange.first_output_ns, exchange.last_output_ns) == (times[0], times[2])
    assert exchange.request_end_ns == next(at[data] for _, data in pair.passed if ASK in data)
    assert exchange.start_ns < exchange.request_end_ns < exchange.response_start_ns < times[0]


def test_headers_that_come_in_several_reads_begin_with_their_first_byte() -> None:
    """t0 and t_hdr; also when the frame is cut within its own head."""
    pair = Http2Pair()
    before = len(pair.passed)
    chat(pair)
    passed = list(pair.passed[:before])
    for of_engine, data in pair.passed[before:]:
        passed += [(of_engine, data[:5]), (of_engine, data[5:12]), (of_engine, data[12:])]
    script = pair.script(passed)
    exchange = only(observed(script))
    assert exchange.start_ns == script.frames[1 + before][2]
    first = next(n for n, (of_engine, _) in enumerate(passed) if of_engine and n >= before)
    assert exchange.response_start_ns == script.frames[1 + first][2]


def test_several_frames_of_a_stream_in_one_read_are_one_arrival() -> None:
    """And frames of several streams in one read are an arrival of each."""
    pair = Http2Pair()
    streams = [pair.request(post(), ASK) for _ in range(3)]
    for stream in streams:
        pair.engine.send_headers(stream, reply())
    for piece in CHAT[:2]:
        for stream in streams:
            pair.engine.send_data(stream, piece)
    pair.send()
    for stream in streams:
        pair.engine.send_data(stream, CHAT[2] + CHAT[3], end_stream=True)
    pair.send()
    for exchange in observed(pair.script()).exchanges:
        assert (exchange.events, exchange.arrivals, exchange.code) == (3, 2, 200)


def test_data_frame_that_comes_in_several_reads_arrives_as_it_comes() -> None:
    """A large frame does not wait for its end."""
    pair = Http2Pair()
    stream = pair.request(post(), ASK)
    pair.engine.send_headers(stream, reply())
    pair.send()
    pair.engine.send_data(stream, CHAT[0] + CHAT[1] + CHAT[2], end_stream=False)
    data = pair.engine.data_to_send()
    for piece in (data[:20], data[20:150], data[150:]):
        pair.record(down=piece)
    kept = observed(pair.script().add(codec.RESET, b"engine"))
    assert only(kept).arrivals == 2
    assert kept.gaps == [0.01]


@pytest.mark.parametrize("padding", [None, 0, 1, 255])
def test_padding_is_no_data(padding: int | None) -> None:
    """Nor is it counted; cut anywhere."""
    pair = Http2Pair()
    stream = pair.request(post(), b"")
    pair.engine.send_headers(stream, reply())
    for piece in CHAT:
        pair.engine.send_data(stream, piece, pad_length=padding)
    pair.engine.send_data(stream, b"", end_stream=True, pad_length=padding)
    pair.send()
    for size in (1, 7, 100_000):
        exchange = only(observed(pair.script(cut(pair.passed, size))))
        assert (exchange.bytes_out, exchange.output_tokens) == (sum(map(len, CHAT)), 3)


@pytest.mark.parametrize("length", [1, 900])
def test_priority_trailers_and_long_headers(length: int) -> None:
    """HEADERS with a priority, CONTINUATION frames, trailers both ways."""
    pair = Http2Pair()
    long = [(f"x-{n}", "v" * length) for n in range(40)]
    stream = pair.client.get_next_available_stream_id()
    fields = post("/v1/chat/completions", *long)
    weight = 9 if length == 1 else None  # h2 cannot have both
    pair.client.send_headers(stream, fields, priority_weight=weight)
    pair.client.send_data(stream, ASK)
    pair.client.send_headers(stream, [("x-sum", "1")], end_stream=True)
    pair.send()
    pair.answer(stream, reply(200, "text/event-stream", *long), *CHAT, trailers=[("a", "b")])
    chat(pair)
    first, second = observed(pair.script()).exchanges
    assert (first.code, first.output_tokens, first.request_end_ns > 0) == (200, 3, True)
    assert second.output_tokens == 3


def test_interim_responses() -> None:
    """100 and 103 are not the answer."""
    pair = Http2Pair()
    stream = pair.request(post(), ASK)
    for status in ("100", "103", "103"):
        pair.engine.send_headers(stream, [(":status", status)])
        pair.send()
    pair.answer(stream, reply(), *CHAT)
    exchange = only(observed(pair.script()))
    assert (exchange.code, exchange.output_tokens) == (200, 3)
    assert exchange.response_start_ns == exchange.first_output_ns - 10 * MS


def test_answer_before_the_request_is_whole() -> None:
    """Complete all the same; NO_ERROR then, and data that still comes, change nothing."""
    pair = Http2Pair()
    stream = pair.request(post(), b"x" * 100, end=False)
    pair.answer(stream, reply(413, "application/json"), b"{}")
    pair.engine.reset_stream(stream, ErrorCodes.NO_ERROR)
    pair.send()
    pair.client.send_headers(3, post(), end_stream=False)
    chat(pair)
    first, second = observed(pair.script()).exchanges
    assert (first.code, first.error, first.request_end_ns) == (413, "invalid_request", 0)
    assert second.output_tokens == 3


def test_header_tables_of_other_sizes() -> None:
    """Each side announces its own, larger and smaller, in the midst of traffic."""
    pair = Http2Pair()
    for client_size, engine_size in ((65536, 0), (100, 20_000), (4096, 65536), (0, 0)):
        for number in range(3):
            more = [(f"x-{number}-{n}", f"{client_size}" * 50) for n in range(10)]
            stream = pair.request(post("/v1/chat/completions", *more), ASK)
            pair.answer(stream, reply(200, "text/event-stream", *more), *CHAT)
        pair.client.update_settings({SettingCodes.HEADER_TABLE_SIZE: client_size})
        pair.engine.update_settings({SettingCodes.HEADER_TABLE_SIZE: engine_size})
        pair.send()
    exchanges = observed(pair.script()).exchanges
    assert [e.output_tokens for e in exchanges] == [3] * 12


def test_larger_frames_where_they_are_allowed() -> None:
    """SETTINGS_MAX_FRAME_SIZE of the receiver; beyond it is a violation."""
    pair = Http2Pair()
    pair.client.update_settings({SettingCodes.MAX_FRAME_SIZE: 60_000})
    pair.send()
    stream = pair.request(post("/x"))
    pair.answer(stream, reply(200, "application/json"), b"x" * 50_000)
    assert only(observed(pair.script())).bytes_out == 50_000
    grown = [
        (of, data.replace(b"\0\0\5\0\0\xea\x60", b"\0\0\5\0\0\x40\0")) for of, data in pair.passed
    ]
    assert opaque(pair.script(grown)) == {("http2", "malformed"): 1}


def test_pushed_streams_are_no_requests() -> None:
    """But their header blocks pass through HPACK."""
    pair = Http2Pair()
    stream = pair.request(post(), ASK)
    push = [(":method", "GET"), (":path", "/pushed"), (":scheme", "http"), (":authority", "x")]
    pair.engine.push_stream(stream, 2, [*push, ("x-new", "value")])
    pair.send()
    pair.engine.send_headers(2, reply(200, "text/plain", ("x-new", "value")))
    pair.engine.send_data(2, b"pushed", end_stream=True)
    pair.send()
    pair.answer(stream, reply(200, "text/event-stream", ("x-new", "value")), *CHAT)
    assert only(observed(pair.script())).output_tokens == 3


def test_what_needs_no_attention_is_skipped() -> None:
    """PING, WINDOW_UPDATE, PRIORITY, frames of unknown types of any size."""
    pair = Http2Pair()
    pair.client.ping(b"12345678")
    pair.client.increment_flow_control_window(1000)
    pair.client.prioritize(7, weight=3)
    pair.send()
    pair.record(down=b"\0\0\x0c\x0a\0\0\0\0\0" + b"alternative ")
    pair.record(up=b"\0\x3f\xff\xee\xff\0\0\0\x0b" + b"?" * 10_000)
    pair.record(up=b"?" * (0x3FFF - 10_000))
    chat(pair)
    for size in (1, 9, 100_000):
        assert only(observed(pair.script(cut(pair.passed, size)))).output_tokens == 3


def test_requests_that_no_engine_takes_are_none() -> None:
    """Without a method or a path; the engine's answer to them is of no exchange."""
    pair = Http2Pair()
    pair.client.config.validate_outbound_headers = False
    pair.client.send_headers(1, [(":method", "GET"), (":scheme", "http")], end_stream=True)
    pair.record(up=pair.client.data_to_send())
    pair.record(down=b"\0\0\4\3\0\0\0\0\1\0\0\0\1")
    pair.client.send_headers(3, post(), end_stream=True)
    up = pair.client.data_to_send()
    pair.record(up=up)
    script = pair.script()
    assert observed(script.add(codec.GAP)).dropped_exchanges[0].path == "/v1/chat/completions"


# --- ends ----------------------------------------------------------------------------------------
def test_client_that_resets_a_stream_has_left() -> None:
    """What the engine still sends is counted, until it ends the stream."""
    pair = Http2Pair()
    stream = pair.request(post(), ASK)
    pair.engine.send_headers(stream, reply())
    pair.engine.send_data(stream, CHAT[0])
    pair.send()
    pair.client.reset_stream(stream, ErrorCodes.CANCEL)
    pair.record(up=pair.client.data_to_send())
    pair.engine.send_data(stream, CHAT[1])
    pair.engine.send_data(stream, CHAT[2], end_stream=True)
    pair.record(down=pair.engine.data_to_send())
    exchange = only(observed(pair.script()))
    assert (exchange.code, exchange.error) == (499, "client_disconnect")
    assert exchange.bytes_after_left == len(CHAT[1] + CHAT[2])
    assert exchange.stop_ns == exchange.left_ns == exchange.engine_end_ns - 10 * MS


def test_reset_stream_of_which_the_engine_says_nothing_more() -> None:
    """It ends after a while, with the time of the reset; the connection goes on."""
    pair = Http2Pair()
    stream = pair.request(post(), ASK)
    pair.answer(pair.request(post(), ASK), reply(), *CHAT)
    pair.client.reset_stream(stream, ErrorCodes.CANCEL)
    pair.send()
    kept = Kept()
    pipeline = pipeline_of(kept)
    script = pair.script()
    pipeline.feed(script.frames)
    assert len(kept.exchanges) == 1
    left_ns = script.frames[-1][2]
    pipeline.feed([(0, codec.STATS, left_ns + LINGER_NS - 1, 0, b"{}")])
    assert len(kept.exchanges) == 1
    pipeline.feed([(0, codec.STATS, left_ns + LINGER_NS, 0, b"{}")])
    exchange = kept.exchanges[1]
    assert (exchange.error, exchange.stop_ns, exchange.engine_end_ns) == (
        "client_disconnect", left_ns, 0,
    )  # fmt: skip
    assert pipeline.tally.in_flight == 0


def test_thousands_of_resets_are_thousands_of_clients_that_left() -> None:
    """Rapid reset: nothing piles up."""
    pair = Http2Pair()
    for _ in range(500):
        stream = pair.request(post(), ASK)
        pair.client.reset_stream(stream)
        pair.send()
    kept = Kept()
    pipeline = pipeline_of(kept)
    pipeline.feed(pair.script().frames)
    assert len(kept.exchanges) == 500 - 64
    pipeline.feed(Script().close().frames[1:])
    assert {e.error for e in kept.exchanges} == {"client_disconnect"}
    assert len(kept.exchanges) == 500
    assert pipeline.context.budget.kept == 0


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ErrorCodes.INTERNAL_ERROR, "upstream_reset"),
        (ErrorCodes.NO_ERROR, "upstream_reset"),
        (ErrorCodes.REFUSED_STREAM, "overloaded"),
        (ErrorCodes.ENHANCE_YOUR_CALM, "overloaded"),
    ],
)
def test_engine_that_resets_a_stream(code: ErrorCodes, error: str) -> None:
    """Before its answer is whole."""
    pair = Http2Pair()
    stream = pair.request(post(), ASK)
    pair.engine.send_headers(stream, reply())
    pair.engine.send_data(stream, CHAT[0])
    pair.engine.reset_stream(stream, code)
    pair.send()
    exchange = only(observed(pair.script()))
    assert (exchange.error, exchange.events) == (error, 1)


def test_goaway_leaves_streams_out() -> None:
    """Those above its last stream have failed, also those that come after it; others go on."""
    pair = Http2Pair()
    one, two = pair.request(post(), ASK), pair.request(post(), ASK)
    pair.client.send_headers(5, post(), end_stream=True)
    raced = pair.client.data_to_send()
    pair.engine.send_headers(two, reply())
    pair.engine.send_data(two, CHAT[0])
    last = pair.engine.data_to_send()
    goaway = b"\0\0\x0c\7\0\0\0\0\0" + b"\0\0\0\1" + b"\0\0\0\0" + b"bye!"
    pair.record(down=last + goaway)
    pair.client.receive_data(last)
    pair.record(up=raced)
    pair.answer(one, reply(), *CHAT)
    kept = observed(pair.script())
    assert [e.error for e in kept.exchanges] == ["upstream_reset", "upstream_reset", ""]
    assert (kept.exchanges[0].events, kept.exchanges[0].bytes_out) == (1, len(CHAT[0]))
    assert two == 3


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ([(codec.ENGINE_EOF, b"")], "upstream_reset"),
        ([(codec.RESET, b"engine")], "upstream_reset"),
        ([(codec.RESET, b"client")], "client_disconnect"),
        ([(codec.CLIENT_EOF, b""), (codec.ENGINE_EOF, b"")], "client_disconnect"),
        ([(codec.CLOSED, b"")], "client_disconnect"),
    ],
)
def test_connection_that_ends_with_open_streams(ends: list[tuple[int, bytes]], error: str) -> None:
    """Each of them ends as the connection did."""
    pair = Http2Pair()
    chat(pair)
    for _ in range(3):
        pair.request(post(), ASK)
    script = pair.script()
    for kind, payload in ends:
        script.add(kind, payload)
    assert [e.error for e in observed(script).exchanges] == ["", error, error, error]


@pytest.mark.parametrize("finish", [None, "stop"])
def test_blank_answer_to_a_client_that_left_before_its_turn(finish: str | None) -> None:
    """A stream that ends without a word is no answer to a client that has closed its side; with a
    reason to end it is one.
    """
    pair = Http2Pair()
    stream = pair.request(post(), ASK)
    asked = list(pair.passed)
    said = [sse({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})]
    pair.answer(stream, reply(), *(said if finish else ()))
    script = pair.script(asked).add(codec.CLIENT_EOF)
    left_ns = script.frames[-1][2]
    for _, data in pair.passed[len(asked) :]:
        script.engine(data)
    exchange = only(observed(script.add(codec.ENGINE_EOF).add(codec.CLOSED)))
    if finish:
        assert (exchange.code, exchange.error, exchange.left_ns) == (200, "", 0)
    else:
        assert (exchange.code, exchange.error) == (499, "client_disconnect")
        assert exchange.left_ns == left_ns < exchange.engine_end_ns


@pytest.mark.parametrize("gives_up", [False, True])
@pytest.mark.parametrize(
    "ending",
    [
        [(codec.CLIENT_EOF, b""), (codec.CLOSED, b"")],
        [(codec.CLIENT_EOF, b""), (codec.RESET, b"engine"), (codec.CLOSED, b"")],
        [(codec.RESET, b"engine"), (codec.CLOSED, b"")],
        [(codec.RESET, b"client"), (codec.CLOSED, b"")],
    ],
)
def test_streams_on_a_connection_that_the_engine_had_closed(
    ending: list[tuple[int, bytes]], gives_up: bool
) -> None:
    """They raced its end: it was the engine that left, also where the client resets them then."""
    pair = Http2Pair()
    chat(pair)
    before = len(pair.passed)
    for _ in range(2):
        stream = pair.request(post(), ASK)
        if gives_up:
            pair.client.reset_stream(stream, ErrorCodes.CANCEL)
            pair.record(up=pair.client.data_to_send())
    script = pair.script(pair.passed[:before]).add(codec.ENGINE_EOF)
    for of_engine, data in pair.passed[before:]:
        if not of_engine:
            script.client(data)
    for kind, payload in ending:
        script.add(kind, payload)
    kept = observed(script)
    assert [(e.error, e.code) for e in kept.exchanges] == [
        ("", 200), ("upstream_reset", 0), ("upstream_reset", 0),
    ]  # fmt: skip


def test_gap_ends_what_can_be_followed() -> None:
    """HPACK's state is lost; open exchanges are dropped, not reported as failed."""
    pair = Http2Pair()
    chat(pair)
    pair.request(post(), ASK)
    script = pair.script().add(codec.GAP).client(request())
    assert opaque(script) == {("http2", "gap"): 1}
    kept = observed(script)
    assert (len(kept.exchanges), len(kept.dropped_exchanges)) == (1, 1)


# --- beginnings ----------------------------------------------------------------------------------
def test_engine_that_greets_first() -> None:
    """As gRPC's C core does: its SETTINGS come before it has heard anything."""
    pair = Http2Pair(greet=False)
    pair.engine.initiate_connection()
    pair.client.initiate_connection()
    up, down = pair.client.data_to_send(), pair.engine.data_to_send()
    pair.record(down=down[:3])
    pair.record(down=down[3:])
    pair.record(up=up)
    pair.engine.receive_data(up)
    pair.client.receive_data(down)
    pair.send()
    chat(pair)
    assert only(observed(pair.script())).output_tokens == 3


def test_engine_that_speaks_no_http2() -> None:
    """The preface is answered in HTTP/1.1 (uvicorn and others do): refused, said as such."""
    script = Script().client(PREFACE).engine(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert opaque(script) == {("http2", "refused"): 1}


def test_connection_that_is_seen_from_its_preface_after_a_gap() -> None:
    """A new observer is told of a connection that has said nothing yet."""
    pair = Http2Pair()
    chat(pair)
    frames = pair.script().frames
    frames.insert(1, (7, codec.GAP, 0, 0, b""))
    assert only(observed(frames)).output_tokens == 3


def h2c_pair(ask: bytes = b"") -> Http2Pair:
    """A client that offers HTTP/2 in a request of HTTP/1.1, and an engine that takes it."""
    pair = Http2Pair(greet=False)
    settings = pair.client.initiate_upgrade_connection()
    assert settings is not None
    pair.engine.initiate_upgrade_connection(settings)
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    )
    head += b"Upgrade: h2c\r\nHTTP2-Settings: %s\r\nContent-Length: %d\r\n\r\n" % (
        settings,
        len(ask),
    )
    pair.record(up=head + ask)
    pair.record(down=b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    return pair


@pytest.mark.parametrize("together", [False, True])
def test_upgrade_to_http2(together: bool) -> None:
    """The request that upgraded is stream 1; others follow on the same connection."""
    pair = h2c_pair(ASK)
    pair.answer(1, reply(), *CHAT)
    pair.answer(pair.request(post("/x"), ASK), reply(404, "application/json"), b"{}")
    passed = pair.passed
    if together:  # the engine's first frames come with its 101
        at = next(n for n, (of_engine, _) in enumerate(passed) if of_engine and n > 1)
        assert passed[1][0]
        rest = [piece for n, piece in enumerate(passed[2:], 2) if n != at]
        passed = [passed[0], (True, passed[1][1] + passed[at][1]), *rest]
    first, second = observed(pair.script(passed)).exchanges
    assert (first.protocol, first.operation, first.output_tokens) == ("http/2", "chat", 3)
    assert (first.bytes_in, first.code, first.request_end_ns) == (len(ASK), 200, 10 * MS)
    assert first.response_start_ns >= (20 if together else 30) * MS
    assert (second.protocol, second.path, second.code) == ("http/2", "/x", 404)


def test_upgrade_with_settings_that_are_none() -> None:
    """The flow is opaque, its exchange dropped."""
    pair = h2c_pair()
    _, head = pair.passed[0]
    value = head.split(b"HTTP2-Settings: ")[1].split(b"\r\n")[0]
    for bad in (b"AAA", b"!!!!", base64.urlsafe_b64encode(b"\0\5\0\0\0\1")):
        pair.passed[0] = (False, head.replace(value, bad))
        assert opaque(pair.script()) == {("http2", "malformed"): 1}
        assert len(observed(pair.script()).dropped_exchanges) == 1


# --- gRPC ----------------------------------------------------------------------------------------
GRPC = [("te", "trailers"), ("content-type", "application/grpc+proto")]


def grpc(path: str = "/pkg.Service/Method") -> list[tuple[str, str]]:
    """Headers of a call."""
    return [*post(path)[:4], *GRPC]


@pytest.mark.parametrize(("status", "error"), [("0", ""), ("5", "not_found")])
def test_grpc_status_comes_from_the_trailers(status: str, error: str) -> None:
    """Before the end is told, which without a status would be an error."""
    pair = Http2Pair()
    stream = pair.request(grpc(), b"\0\0\0\0\2hi")
    answered = reply(200, "application/grpc")
    pair.answer(stream, answered, b"\0\0\0\0\3yes", trailers=[("grpc-status", status)])
    exchange = only(observed(pair.script()))
    assert (exchange.path, exchange.bytes_in, exchange.bytes_out) == ("/pkg.Service/Method", 7, 8)
    assert (exchange.code, exchange.dialect, exchange.error) == (200, "grpc", error)


def test_grpc_status_of_an_answer_without_a_body() -> None:
    """What gRPC calls "Trailers-Only": one HEADERS frame is both."""
    pair = Http2Pair()
    stream = pair.request(grpc(), b"\0\0\0\0\2hi")
    head = reply(200, "application/grpc", ("grpc-status", "14"), ("grpc-message", "no"))
    pair.engine.send_headers(stream, head, end_stream=True)
    pair.send()
    exchange = only(observed(pair.script()))
    assert (exchange.code, exchange.error) == (200, "overloaded")


def test_grpc_call_that_is_cancelled() -> None:
    """A deadline that has passed, or a client that gave up: RST_STREAM(CANCEL)."""
    pair = Http2Pair()
    stream = pair.request(grpc(), b"\0\0\0\0\2hi", end=False)
    pair.engine.send_headers(stream, reply(200, "application/grpc"))
    pair.say(stream, b"\0\0\0\0\3yes")
    pair.client.reset_stream(stream, ErrorCodes.CANCEL)
    pair.send()
    exchange = only(observed(pair.script().close()))
    assert (exchange.code, exchange.error) == (499, "client_disconnect")


# --- any segmentation ----------------------------------------------------------------------------
def cut(passed: list[tuple[bool, bytes]], size: int) -> list[tuple[bool, bytes]]:
    """Each piece cut into pieces of this size."""
    return [
        (of_engine, data[at : at + size])
        for of_engine, data in passed
        for at in range(0, len(data), size)
    ]


def busy_pair() -> Http2Pair:
    """A hundred streams at once, interleaved, of which some end badly."""
    pair = Http2Pair()
    streams = [pair.request(post(f"/v1/chat/completions?{n}"), ASK) for n in range(100)]
    for number, stream in enumerate(streams):
        more = [("x-number", str(number))] if number % 3 else []
        pair.engine.send_headers(stream, reply(200, "text/event-stream", *more))
    for piece in CHAT:
        for stream in streams:
            pair.engine.send_data(stream, piece)
        pair.send()
    for number, stream in enumerate(streams):
        if number % 10 == 0:
            pair.engine.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
        elif number % 10 == 1:
            pair.engine.send_headers(stream, [("x-sum", str(number))], end_stream=True)
        else:
            pair.engine.end_stream(stream)
    pair.send()
    return pair


BUSY = busy_pair()
EXPECTED = [facts(e) for e in observed(BUSY.script()).exchanges]


def test_hundreds_of_streams_at_once() -> None:
    """Each has its own figures."""
    assert len(EXPECTED) == 100
    assert sum(1 for one in EXPECTED if one[3] == "upstream_reset") == 10
    assert {one[5] for one in EXPECTED} == {3}
    assert len({one[1] for one in EXPECTED}) == 100


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 60_000), max_size=60), st.lists(st.integers(0, 60_000), max_size=60))
def test_streams_cut_anywhere(up: list[int], down: list[int]) -> None:
    """Both directions in any segmentation: the same exchanges."""
    requests = b"".join(data for of_engine, data in BUSY.passed if not of_engine)
    responses = b"".join(data for of_engine, data in BUSY.passed if of_engine)
    script = Script()
    for data, cuts, add in ((requests, up, script.client), (responses, down, script.engine)):
        places = sorted({0, len(data), *(place % len(data) for place in cuts)})
        for a, b in pairwise(places):
            add(data[a:b])
    assert [facts(e) for e in observed(script).exchanges] == EXPECTED


@settings(deadline=None)
@given(st.integers(1, 40))
def test_interleaved_as_it_was_but_in_small_pieces(size: int) -> None:
    """Pieces of a few bytes, in the order in which they passed."""
    pair = Http2Pair()
    chat(pair)
    stream = pair.request(post("/x"), b"y" * 100, end=False)
    pair.answer(stream, reply(200, "application/json"), WHOLE)
    kept = observed(pair.script(cut(pair.passed, size)))
    assert [facts(e) for e in kept.exchanges] == [
        facts(e) for e in observed(pair.script()).exchanges
    ]
    assert len(kept.exchanges) == 2
