"""Bodies made to cost: bombs, endless lines, bytes one at a time. Each is measured or counted."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from random import Random

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_sidecar.coding import (
    FLOOR_BYTES,
    STEP_BYTES,
    CodingError,
    decoder_for,
    zstd,
)
from sidelight_sidecar.frames.codec import MAX_PAYLOAD_BYTES
from sidelight_sidecar.observer.bodies import lines, sse
from sidelight_sidecar.observer.bodies.body import ResponseBody
from sidelight_sidecar.observer.bodies.lines import LineStream, MessageStream, TooLongError
from sidelight_sidecar.observer.bodies.sse import EventStream, EventTooLongError
from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.dialects.base import Dialect, Request
from sidelight_sidecar.observer.dialects.openai import OpenAI
from sidelight_sidecar.observer.exchange import Exchange

MIB = 1 << 20
READ = 65536
"""What the relay reads at one time."""
CODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": lambda data: gzip.compress(data, 6),
    b"deflate": lambda data: zlib.compress(data, 6),
    b"br": lambda data: brotli.compress(data, quality=3),
    b"zstd": zstd.compress,
}
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


def reads_of(data: bytes, size: int = READ) -> Iterator[bytes]:
    """`data` in reads."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def peak_of(run: Callable[[], object]) -> int:
    """The most memory that Python had in use while it ran."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def body_of(
    content_type: bytes, coding: bytes = b"", dialect: type[Dialect] = OpenAI
) -> tuple[ResponseBody, Exchange, Budget]:
    """A body that an answer is read from."""
    exchange, budget = Exchange(1, 1), Budget()
    exchange.generating = True
    body = ResponseBody(exchange, dialect(exchange, Request("POST", "/")), budget)
    body.head(200, {b"content-type": content_type, b"content-encoding": coding})
    return body, exchange, budget


def read_all(body: ResponseBody, reads: Iterable[bytes]) -> None:
    """Feed it to the end."""
    for number, data in enumerate(reads):
        body.feed(data, number + 1)
    body.end(whole=True, at_ns=10**9)


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("content_type", [b"text/event-stream", b"application/json"])
def test_bomb_costs_steps_and_not_what_it_unpacks_to(coding: bytes, content_type: bytes) -> None:
    """8 MiB of nothing, or of events, in some kilobytes: over the ratio or not, it is cheap."""
    for filling in (bytes(8 * MIB), EVENT * (8 * MIB // len(EVENT))):
        body, exchange, budget = body_of(content_type, coding, Dialect)
        packed = CODERS[coding](filling)
        peak = peak_of(lambda b=body, p=packed: read_all(b, reads_of(p)))  # type: ignore[misc]
        assert exchange.unread in ("ratio", "size", "sse") or filling[0]
        assert peak < 12 * MIB
        assert budget.kept == 0


@pytest.mark.parametrize("coding", CODERS)
def test_modest_past_earns_no_bomb(coding: bytes) -> None:
    """Much that does not compress, and then a bomb: what came long ago is no credit."""
    noise = Random(1).randbytes(8 * MIB)
    decoder = decoder_for(coding)
    assert decoder is not None
    given = 0
    with pytest.raises(CodingError, match="ratio"):  # noqa: PT012 - the loop is one step of it
        for data in reads_of(CODERS[coding](noise + bytes(64 * MIB))):
            for piece in decoder.feed(data):
                assert len(piece) <= 2 * STEP_BYTES  # brotli stops at its next block
                given += len(piece)
    assert given < len(noise) + FLOOR_BYTES + 200 * READ


@pytest.mark.parametrize("coding", CODERS)
@given(st.integers(0, 1000), st.sampled_from([0, STEP_BYTES, 491_456, 3 * STEP_BYTES]), st.data())
@settings(max_examples=30)
def test_all_comes_out_at_once(coding: bytes, more: int, about: int, data: st.DataObject) -> None:
    """Whatever lies within what is allowed is there with the read that completes it, also where a
    coder has taken all of its input before it has given all of its output.
    """
    whole = data.draw(st.binary(max_size=20)) + bytes(about) + b"x" * more
    packed = CODERS[coding](whole)
    cut = data.draw(st.integers(0, len(packed)))
    decoder = decoder_for(coding)
    assert decoder is not None
    out = [piece for read in (packed[:cut], packed[cut:]) for piece in decoder.feed(read)]
    assert b"".join(out) == whole


def test_members_within_members_end() -> None:
    """A gzip bomb of gzip members: what is inside is not unpacked again, what follows counts."""
    member = gzip.compress(bytes(MIB))
    body, exchange, _ = body_of(b"text/event-stream", b"gzip")
    peak = peak_of(lambda: read_all(body, reads_of(member * 64)))
    assert exchange.unread in ("ratio", "sse")
    assert peak < 8 * MIB
    decoder = decoder_for(b"gzip")
    assert decoder is not None
    empty = gzip.compress(b"")
    assert b"".join(decoder.feed(empty * 3000)) == b""


@pytest.mark.parametrize("coding", CODERS)
def test_ratio_just_below_the_limit_is_read_for_ever(coding: bytes) -> None:
    """A MiB of events that compress to a thirtieth are all read, through small reads."""
    body, exchange, _ = body_of(b"text/event-stream", coding)
    block = b"".join(b": %d\n%s" % (n**9, EVENT * 8) for n in range(2000))
    packed = CODERS[coding](block)
    assert len(block) / len(packed) > 20
    peak = peak_of(lambda: read_all(body, reads_of(packed, 1000)))
    assert exchange.unread == ""
    assert exchange.events == 8 * 2000
    assert peak < 8 * MIB


def test_what_follows_deflate_is_dropped() -> None:
    """Garbage after the end, 24 times: once it doubled what was kept at every read."""
    decoder = decoder_for(b"deflate")
    assert decoder is not None
    assert b"".join(decoder.feed(zlib.compress(b"hello") + b"x")) == b"hello"

    def go_on() -> None:
        for _ in range(24):
            assert b"".join(decoder.feed(b"x" * 10)) == b""

    assert peak_of(go_on) < 10_000


@pytest.mark.parametrize("coding", CODERS)
def test_decoders_take_their_windows_from_the_budget(coding: bytes) -> None:
    """A thousand bodies that have only begun: no more decoders than the budget has room for."""
    noise = Random(1).randbytes(100_000)
    began = CODERS[coding](noise)[:10]
    budget, bodies, unread = Budget(), [], 0
    for _ in range(1000):
        exchange = Exchange(1, 1)
        body = ResponseBody(exchange, OpenAI(exchange, Request("POST", "/")), budget)
        body.head(200, {b"content-type": b"text/event-stream", b"content-encoding": coding})
        body.feed(began, 1)
        unread += exchange.unread == "memory"
        bodies.append(body)
    assert 0 < budget.kept <= budget.limit
    assert bool(unread) is (coding in (b"br", b"zstd"))
    for body in bodies:
        body.release()
    assert budget.kept == 0


KIB = 1 << 10
ENDLESS = {
    "an event without lines": (EventStream, b"data: " + b"x" * 64 * KIB),
    "lines without an event": (EventStream, b"data: abc\n" * 10_000),
    "lines without anything": (EventStream, b"data:\n" * 110_000),
    "lines that end in CR": (EventStream, b"data: abcdef\r" * 8_000),
    "JSON without newline": (LineStream, b'{"a":"' + b"x" * 64 * KIB),
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("size", [2, 7, READ])
def test_endless_costs_what_is_allowed(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with an error at the limit (a thirty-second of the real one, for the time it takes),
    however it is cut, and has cost no more than some times that.
    """
    limit = 32 * KIB
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", limit)
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", limit)
    cutter, data = ENDLESS[name]
    stream = cutter()

    def fails() -> None:
        with pytest.raises((EventTooLongError, TooLongError)):  # noqa: PT012 - one long input
            for piece in reads_of(data, size):
                stream.feed(piece)

    assert peak_of(fails) < 4 * limit + 40 * min(size, READ) + 50 * KIB
    assert stream.pending <= limit + size


@pytest.mark.parametrize("size", [1, 63, READ])
def test_large_event_in_small_pieces_is_one_event(size: int) -> None:
    """500 KB of one event, of many lines, and of one JSON line: were each read to look at all
    that came before it, a byte at a time would be 10**11 bytes, and end by the tests' timeout.
    """
    text = b"x" * 500_000
    events = EventStream()
    data = b"data: " + text + b"\n\n"
    assert [e for piece in reads_of(data, size) for e in events.feed(piece)] == [(b"", text)]
    many = [b"%05d" % n for n in range(50_000)]
    data = b"".join(b"data: %s\r\n" % line for line in many) + b"\r\n"
    expected = [(b"", b"\n".join(many))]
    assert [e for piece in reads_of(data, size) for e in events.feed(piece)] == expected
    stream = LineStream()
    assert [e for p in reads_of(text + b"\n", size) for e in stream.feed(p)] == [text]


def test_event_of_nothing_but_lists_is_not_parsed() -> None:
    """A mebibyte of them would be 28 in memory, twice; what follows is read again."""
    body, exchange, _ = body_of(b"text/event-stream")
    lists = b'data: {"usage":[' + b"[]," * 300_000 + b"0]}\n\n"
    peak = peak_of(lambda: read_all(body, [*reads_of(lists), EVENT]))
    assert exchange.unread == "size"
    assert exchange.events == 1
    assert peak < 5 * MIB


def test_grpc_length_of_four_gigabytes_ends_it() -> None:
    """Nothing is set aside for what a prefix only claims."""
    messages = MessageStream()
    with pytest.raises(TooLongError):
        messages.feed(b"\0\xff\xff\xff\xff" + b"x" * 100)
    assert messages.pending == 0


def test_million_events_in_one_read_are_one_arrival() -> None:
    """As many as a frame can carry, as text; a million, unpacked from some kilobytes. A million at
    once would be 100 MB, and are not.
    """
    body, exchange, _ = body_of(b"text/event-stream")
    whole = MAX_PAYLOAD_BYTES // len(EVENT)
    body.feed(EVENT * whole, 1)
    assert (exchange.arrivals, exchange.events) == (1, whole)
    packed = gzip.compress(b"data: 1\n\n" * 1_000_000)
    assert len(packed) < READ
    body, exchange, _ = body_of(b"text/event-stream", b"gzip", Dialect)
    peak = peak_of(lambda: body.feed(packed, 1))
    assert exchange.unread == "ratio"
    assert peak < 12 * MIB
