"""A side that does not read stops the other side, and only that."""

from __future__ import annotations

import random

import pytest
from relay_harness import RelayUnderTest, receive_exactly, relay_under_test, send_until_stopped

MEGABYTE = 1 << 20


@pytest.mark.parametrize("sender", ["client", "engine"])
def test_a_sender_to_a_stopped_reader_is_stopped(sender: str) -> None:
    """Only kernel buffers and 64 KiB fill up: the relay's memory does not grow."""
    with relay_under_test() as relay:
        client, engine = relay.pair()
        source, sink = (client, engine) if sender == "client" else (engine, client)
        data = random.Random(1).randbytes(64 * MEGABYTE)
        before = relay.rss_bytes()
        with client, engine:
            sent = send_until_stopped(source, data)
            assert relay.rss_bytes() - before < 2 * MEGABYTE
            assert receive_exactly(sink, sent) == data[:sent]
            source.sendall(b"and on it goes")
            assert receive_exactly(sink, 14) == b"and on it goes"


def test_a_stopped_flow_does_not_hold_up_others() -> None:
    """One client that never reads beside others that do."""
    with relay_under_test() as relay:
        stuck_client, stuck_engine = relay.pair()
        with stuck_client, stuck_engine:
            send_until_stopped(stuck_engine)
            for _ in range(5):
                client, engine = relay.pair()
                with client, engine:
                    engine.sendall(b"x" * 60_000)
                    assert receive_exactly(client, 60_000) == b"x" * 60_000


def test_the_other_direction_of_a_stopped_flow_goes_on() -> None:
    """The client does not read its answer, and still sends."""
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            send_until_stopped(engine)
            for number in range(20):
                client.sendall(b"%04d" % number)
                assert receive_exactly(engine, 4) == b"%04d" % number


def test_closed_flows_give_their_memory_back() -> None:
    """Thousands of short flows leave nothing behind."""
    with relay_under_test() as relay:

        def short_flows(count: int) -> None:
            for _ in range(count):
                client, engine = relay.pair()
                with client, engine:
                    client.sendall(b"request")
                    assert receive_exactly(engine, 7) == b"request"

        short_flows(300)
        before = relay.rss_bytes()
        short_flows(1500)
        assert relay.rss_bytes() - before < MEGABYTE
        check_counters(relay, 1800)


def check_counters(relay: RelayUnderTest, flows: int) -> None:
    counters = relay.stop()
    assert counters["flows_opened"] == counters["flows_closed"] == flows
    assert counters["bytes_to_engine"] == 7 * flows
