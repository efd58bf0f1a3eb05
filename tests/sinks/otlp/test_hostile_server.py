"""A gRPC server that says what none should: it costs a batch's try, and no more."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from http2_bytes import data, frame, headers, reset, settings, settings_ack
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from otlp_sinks import otlp_sink
from receiver import chat, entries

from sidelight_contract.export import OtlpProtocol
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome

WELL = {":status": "200", "content-type": "application/grpc"}
EMPTY_MESSAGE = bytes(5)
GOOD = (
    settings()
    + settings_ack()
    + headers(1, WELL)
    + data(1, EMPTY_MESSAGE)
    + headers(1, {"grpc-status": "0"}, end=True)
)


@asynccontextmanager
async def server(*said: bytes) -> AsyncIterator[str]:
    """Says one thing to each connection, and is done with it."""
    left = list(said)
    open_ = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_
        open_ += 1
        writer.write(left.pop(0) if left else b"")
        writer.write_eof()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        open_ -= 1

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(10):
            while open_:  # noqa: ASYNC110 - handlers that nobody else knows
                await asyncio.sleep(0.001)


async def sent_to(*said: bytes) -> Delivery:
    """What came of one batch."""
    async with server(*said) as address, otlp_sink(address, protocol=OtlpProtocol.GRPC) as sink:
        async with asyncio.timeout(10):
            delivery = await sink.send(entries(chat()))
        await sink.close()
    return delivery


async def test_a_good_answer_by_hand_is_good():
    """Or the others would show nothing."""
    assert await sent_to(GOOD) == (Outcome.DELIVERED, "", None, 0)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "no connection"),
        (settings(), "no connection"),
        (settings() + headers(1, WELL), "no connection"),
        (settings() + reset(1), "no answer"),
        (settings() + headers(1, {":status": "503"}, end=True), "status 503"),
        (settings() + headers(1, {":status": "200"}, end=True), "status 200"),
        (settings() + headers(1, {**WELL, "grpc-status": "x"}, end=True), "status 200"),
        (settings() + headers(1, {**WELL, "grpc-status": "14"}, end=True), "gRPC status 14"),
        (settings() + frame(7, 0, 0, struct.pack(">II", 0, 0)), "no connection"),  # GOAWAY
        (settings() + headers(1, {**WELL, "bad name": "x"}, end=True), "no gRPC"),
        (settings() + data(1, b"before headers"), "no gRPC"),
        (settings() + headers(3, WELL), "no gRPC"),
        (settings() + frame(4, 0, 0, b"odd"), "no gRPC"),
        (frame(1, 4, 1, b"\xff" * 40), "no gRPC"),
    ],
)
async def test_every_other_one_is_told_in_our_words(said: bytes, why: str):
    """And the record waits."""
    assert await sent_to(said) == (Outcome.LATER, why, None, 0)


async def test_words_of_the_server_that_are_no_text_harm_nobody():
    """A status is a status."""
    block = b"\x00\x0bgrpc-status\x0213" + b"\x00\x0cgrpc-message\x02\xff\xfe"
    said = settings() + headers(1, WELL) + frame(1, 5, 1, block)
    assert await sent_to(said) == (Outcome.LATER, "gRPC status 13", None, 0)


@hypothesis_settings(max_examples=80, deadline=None)
@given(
    at=st.integers(0, len(GOOD)), cut=st.integers(0, 12), noise=st.binary(max_size=40),
)  # fmt: skip
def test_whatever_a_server_says_the_batch_is_there_refused_or_waits(
    at: int, cut: int, noise: bytes
):
    """A good answer with a piece of it replaced: no other error comes out."""
    said = GOOD[:at] + noise + GOOD[at + cut :]
    delivery = asyncio.run(sent_to(said, said))
    assert delivery.outcome in (Outcome.DELIVERED, Outcome.LATER)
    assert len(delivery.why) < 40
