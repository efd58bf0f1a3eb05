"""Very many connections: all are served, and what each costs is bounded."""

from __future__ import annotations

import resource
import select
import socket

import pytest
from relay_crowd import echo_engine, idle_clients
from relay_harness import SECONDS, RelayUnderTest, receive_exactly, relay_under_test

DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
IDLE = min(10_000, (DESCRIPTORS - 100) // 2)
"""A flow takes two descriptors: 10,000 where the hard limit allows."""
BURST = 1000


def echo(address: tuple[str, int]) -> socket.socket:
    """Connect and have one message sent back."""
    client = socket.create_connection(address, SECONDS)
    client.sendall(b"hello")
    assert receive_exactly(client, 5) == b"hello"
    return client


@pytest.mark.slow
def test_ten_thousand_idle_connections_cost_little_and_nobody_waits_for_them() -> None:
    """Both listeners still serve, and an idle flow costs the relay at most 2 kB."""
    listen = [["127.0.0.1", 0], ["::1", 0]]
    with echo_engine() as engine, relay_under_test(engine=engine, listen=listen) as relay:
        echo(relay.address).close()
        before = relay.rss_bytes()
        with idle_clients(relay.address, IDLE):
            for address in relay.addresses:
                echo(address).close()
            each = (relay.rss_bytes() - before) / IDLE
            idle = relay.cpu_seconds()
            assert relay.nobody_comes(1)
            assert relay.cpu_seconds() - idle < 0.1
        assert each < 2000, f"{each:.0f} bytes for each of {IDLE} idle flows"
        for address in relay.addresses:
            echo(address).close()
        counters = relay.stop()
    assert counters["flows_opened"] == counters["flows_closed"] == IDLE + 5
    assert counters["accept_errors"] == counters["refused_exhausted"] == 0


def burst(relay: RelayUnderTest) -> int:
    """Open many connections at once, as fast as it goes, and use each once; return the answers."""
    answered = 0
    epoll = select.epoll()
    clients: dict[int, tuple[int, socket.socket]] = {}
    for number in range(BURST):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(relay.address)
        clients[client.fileno()] = (number, client)
        epoll.register(client, select.EPOLLOUT)
    while clients:
        events = epoll.poll(SECONDS)
        assert events, f"{len(clients)} connections were never served"
        for fd, event in events:
            number, client = clients[fd]
            if event == select.EPOLLOUT:
                client.send(b"%06d" % number)
                epoll.modify(fd, select.EPOLLIN)
            else:
                assert client.recv(100) == b"%06d" % number
                answered += 1
                clients.pop(fd)[1].close()
    epoll.close()
    return answered


@pytest.mark.slow
def test_thousands_of_new_connections_are_all_served_and_leave_nothing_behind() -> None:
    """A thousand at once, again and again; a flow that was there before is served in between."""
    with echo_engine() as engine, relay_under_test(engine=engine) as relay:
        old = echo(relay.address)
        assert burst(relay) == burst(relay) == BURST
        before = relay.rss_bytes()
        for _ in range(4):
            assert burst(relay) == BURST
            old.sendall(b"still here")
            assert receive_exactly(old, 10) == b"still here"
        assert relay.rss_bytes() - before < 2_000_000
        old.close()
        counters = relay.stop()
    assert counters["flows_opened"] == counters["flows_closed"] == 6 * BURST + 1
    assert counters["accept_errors"] == counters["refused_exhausted"] == 0
    assert counters["bytes_to_client"] == counters["bytes_to_engine"] == 36 * BURST + 45


def test_a_crowd_that_comes_and_goes_at_once_is_forgotten() -> None:
    """Clients that leave before they are accepted cost nothing that stays."""
    with echo_engine() as engine, relay_under_test(engine=engine) as relay:
        for _ in range(BURST):
            socket.create_connection(relay.address, SECONDS).close()
        echo(relay.address).close()
        assert relay.stop()["flows_closed"] == BURST + 1
