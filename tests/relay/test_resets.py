"""Resets and refusals pass through as resets; bytes that came before them are not lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from relay_harness import (
    RelayUnderTest,
    frames_of,
    kinds_of,
    receive_all,
    receive_exactly,
    recorded,
    relay_under_test,
    send_reset,
    send_until_stopped,
    stream_of,
    was_reset,
)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "frames"


@pytest.fixture
def relay(record: Path) -> Iterator[RelayUnderTest]:
    with relay_under_test(record_path=str(record)) as relay:
        yield relay


def test_reset_by_the_client_resets_the_engine(relay: RelayUnderTest, record: Path) -> None:
    """The engine learns that nobody waits for its tokens."""
    client, engine = relay.pair()
    port = client.getsockname()[1]
    client.sendall(b"request")
    assert receive_exactly(engine, 7) == b"request"
    send_reset(client)
    with engine:
        assert was_reset(engine)
    counters = relay.stop()
    assert (counters["resets_client"], counters["resets_engine"]) == (1, 0)
    frames = frames_of(recorded(record), port)
    assert kinds_of(frames) == "ORX"
    assert stream_of(frames, "R") == b"client"


def test_reset_by_the_engine_resets_the_client_after_what_it_sent(
    relay: RelayUnderTest, record: Path
) -> None:
    """An engine that dies in the middle of a stream: the client has the stream so far."""
    client, engine = relay.pair()
    with client:
        port = client.getsockname()[1]
        engine.sendall(b"data: half\n\n")
        assert receive_exactly(client, 12) == b"data: half\n\n"
        send_reset(engine)
        assert was_reset(client)
    counters = relay.stop()
    assert (counters["resets_client"], counters["resets_engine"]) == (0, 1)
    frames = frames_of(recorded(record), port)
    assert kinds_of(frames) == "ORX"
    assert stream_of(frames, "R") == b"engine"
    assert stream_of(frames, "s") == b"data: half\n\n"


def test_early_answer_to_a_long_upload_reaches_the_client(relay: RelayUnderTest) -> None:
    """An engine answers 413 and closes while the request still comes: it gets through."""
    answer = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n"
    client, engine = relay.pair()
    with client:
        send_until_stopped(client)  # the engine does not read
        engine.sendall(answer)
        engine.close()  # with unread bytes: the kernel sends a reset
        assert receive_exactly(client, len(answer)) == answer
        assert was_reset(client)


def test_client_reset_is_noticed_while_nothing_is_read_from_it(relay: RelayUnderTest) -> None:
    """Reading is paused because the engine does not read; the reset still gets there."""
    client, engine = relay.pair()
    with engine:
        send_until_stopped(client)
        send_reset(client)
        assert was_reset(engine)
    assert relay.stop()["resets_client"] == 1


def test_reset_after_a_half_close_still_resets(relay: RelayUnderTest) -> None:
    """The client has said all, and is reset by the engine later on."""
    client, engine = relay.pair()
    with client:
        client.sendall(b"all")
        client.shutdown(socket.SHUT_WR)
        assert receive_exactly(engine, 3) == b"all"
        assert engine.recv(1) == b""
        send_reset(engine)
        assert was_reset(client)
    assert relay.stop()["resets_engine"] == 1


def test_both_ends_shut_while_bytes_wait_costs_no_processor_time(relay: RelayUnderTest) -> None:
    """Both sides have ended, the engine has not read all: the relay waits, and does not spin."""
    client, engine = relay.pair()
    with client, engine:
        sent = send_until_stopped(client)
        client.shutdown(socket.SHUT_WR)
        engine.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        before = relay.cpu_seconds()
        assert relay.nobody_comes(1.0)
        assert relay.cpu_seconds() - before < 0.3
        assert receive_all(engine) == bytes(sent)
    assert relay.stop()["flows_closed"] == 1


def test_refused_engine_port_is_a_reset_and_no_answer(tmp_path: Path) -> None:
    """No byte is made up: the client sees a reset."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    record = tmp_path / "frames"
    with relay_under_test(engine=["127.0.0.1", port], record_path=str(record)) as relay:
        with relay.connect() as client:
            client_port = client.getsockname()[1]
            assert was_reset(client)
        counters = relay.stop()
    assert counters["connect_errors"] == 1
    assert counters["resets_engine"] == counters["resets_client"] == 0
    frames = frames_of(recorded(record), client_port)
    assert kinds_of(frames) == "ORX"
    assert stream_of(frames, "R") == b"connect"


def test_connection_that_was_not_redirected_is_refused() -> None:
    """Its original destination is the relay itself: forwarding it would never end."""
    with relay_under_test(engine="original-dst") as relay:
        for _ in range(3):
            assert relay.refuses()
        counters = relay.stop()
    assert counters["refused_not_redirected"] == 3
    assert counters["flows_opened"] == 0


def test_a_client_that_leaves_during_the_connect_leaves_nothing_behind(
    relay: RelayUnderTest,
) -> None:
    """Many connections that end or reset at once, some before the engine has accepted."""
    for number in range(100):
        client = relay.connect()
        if number % 2:
            send_reset(client)
        else:
            client.close()
    while not relay.nobody_comes(0.2):
        relay.sockets.pop().close()
    counters = relay.stop()
    assert counters["flows_closed"] == counters["flows_opened"]
