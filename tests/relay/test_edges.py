"""The kernel tells of bytes once: none is left lying, and nothing is told for ever."""

from __future__ import annotations

import fcntl
import random
import select
import signal
import socket
import sys
import termios
import threading
from collections.abc import Iterator

import pytest
from relay_harness import (
    SECONDS,
    RelayUnderTest,
    receive_all,
    receive_exactly,
    relay_under_test,
    send_reset,
    send_until_stopped,
    wait_for,
    was_reset,
)

from sidelight_sidecar.relay.counters import Counters
from sidelight_sidecar.relay.flow import FIRST_READ_BYTES, READ_BYTES, Flow, Shared
from sidelight_sidecar.relay.tee import Tee


def asleep(relay: RelayUnderTest) -> bool:
    """Say whether the relay makes no rounds while nothing happens."""
    before = relay.cpu_seconds()
    assert relay.nobody_comes(0.5)
    return relay.cpu_seconds() - before < 0.1


def unsent(connection: socket.socket) -> int:
    """Return how many bytes the other side's kernel has not confirmed: a reset drops those."""
    count = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(count, sys.byteorder)


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayUnderTest]:
    with relay_under_test() as relay:
        yield relay


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("reads", [1, 2, 5])
@pytest.mark.parametrize("end", ["open", "shut", "shut with the last bytes"])
def test_bytes_around_the_size_of_a_read_all_arrive(
    relay: RelayUnderTest, over: int, reads: int, end: str
) -> None:
    """They lie there before the relay looks, so that one event tells of all of them."""
    data = random.Random(reads).randbytes(FIRST_READ_BYTES + (reads - 1) * READ_BYTES + over)
    client, engine = relay.pair()
    with client, engine:
        client.sendall(b"known")
        receive_exactly(engine, 5)
        relay.process.send_signal(signal.SIGSTOP)
        engine.sendall(data)
        if end == "shut with the last bytes":
            engine.shutdown(socket.SHUT_WR)
        relay.process.send_signal(signal.SIGCONT)
        if end == "shut":
            engine.shutdown(socket.SHUT_WR)
        if end == "open":
            assert receive_exactly(client, len(data)) == data
            engine.sendall(b"more")
            assert receive_exactly(client, 4) == b"more"
        else:
            assert receive_all(client) == data
            client.sendall(b"the other direction")
            assert receive_exactly(engine, 19) == b"the other direction"


def test_bytes_and_a_reset_at_once_arrive_in_that_order() -> None:
    """What was sent before the reset is not lost, though it takes two reads."""
    data = random.Random(4).randbytes(FIRST_READ_BYTES + 10)
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            client.sendall(b"known")
            receive_exactly(engine, 5)
            relay.process.send_signal(signal.SIGSTOP)
            engine.sendall(data)
            wait_for(lambda: not unsent(engine), "the relay's kernel has it")
            send_reset(engine)
            relay.process.send_signal(signal.SIGCONT)
            assert receive_exactly(client, len(data)) == data
            assert was_reset(client)


def test_an_engine_that_answers_and_resets_before_its_connect_is_noticed_is_heard() -> None:
    """That is no refused connection: its bytes arrive, and the reset is the engine's."""
    counters = Counters()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_server(("127.0.0.1", 0)) as engine_listener,
        socket.create_connection(listener.getsockname()) as client,
        select.epoll() as epoll,
    ):
        shared = Shared(epoll, Tee(1 << 20, counters), counters)
        to_client, address = listener.accept()
        to_engine = socket.socket()
        for connection in (to_client, to_engine):
            connection.setblocking(False)
        to_engine.connect_ex(engine_listener.getsockname())
        flow = Flow(1, shared, to_client, to_engine, (address, engine_listener.getsockname()))
        engine, _ = engine_listener.accept()
        engine.sendall(b"no room")
        wait_for(lambda: not unsent(engine), "the relay's kernel has it")
        send_reset(engine)
        (event,) = [events for fd, events in epoll.poll() if fd == to_engine.fileno()]
        flow.event(flow.engine, event)
        client.settimeout(SECONDS)
        assert receive_exactly(client, 7) == b"no room"
        assert was_reset(client)
    assert counters.resets_engine == 1
    assert counters.connect_errors == 0


def test_urgent_data_holds_nothing_up() -> None:
    """A read stops short before it though bytes lie behind; the byte itself is no part of either
    stream, as without a relay.
    """
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            for number in range(3):
                relay.process.send_signal(signal.SIGSTOP)
                engine.sendall(b"before")
                engine.send(b"!", socket.MSG_OOB)
                engine.sendall(b"behind")
                relay.process.send_signal(signal.SIGCONT)
                assert receive_exactly(client, 12) == b"beforebehind", number
            assert asleep(relay)


def test_urgent_data_to_a_stopped_flow_does_not_keep_the_relay_busy() -> None:
    """Nothing can be read from that side now, and it is told so only once."""
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            send_until_stopped(engine)
            client.send(b"!", socket.MSG_OOB)
            assert asleep(relay)
            client.sendall(b"still heard")
            assert receive_exactly(engine, 11) == b"still heard"


def test_a_flow_stopped_in_both_directions_goes_on_by_itself() -> None:
    """Both sides were full; each is let go once the other one reads."""
    data = random.Random(5).randbytes(24 << 20)
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            sent = [send_until_stopped(side, data) for side in (client, engine)]
            assert asleep(relay)
            got: dict[str, bytes] = {}

            def read(name: str, side: socket.socket) -> None:
                got[name] = receive_all(side)

            readers = [
                threading.Thread(target=read, args=(name, side), daemon=True)
                for name, side in (("client", client), ("engine", engine))
            ]
            for reader in readers:
                reader.start()
            for side in (client, engine):
                side.shutdown(socket.SHUT_WR)
            for reader in readers:
                reader.join(30)
            assert got["engine"] == data[: sent[0]]
            assert got["client"] == data[: sent[1]]
        assert relay.stop()["flows_closed"] == 1


def test_a_reset_is_noticed_while_nothing_is_read_from_that_side() -> None:
    """The client does not read, so the engine is not read; the engine's end comes through."""
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            send_until_stopped(engine)
            send_reset(engine)
            wait_for(lambda: was_reset(client), "the reset")
        assert relay.stop()["resets_engine"] == 1
