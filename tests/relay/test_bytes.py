"""What one side sends is what the other side gets, and what the frames hold."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from relay_harness import (
    RelayUnderTest,
    frames_of,
    kinds_of,
    receive_all,
    recorded,
    relay_under_test,
    stream_of,
    wait_for,
)

PIPELINED = (
    b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
)
TRAILERS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
)
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

PIECE = st.one_of(
    st.binary(min_size=1, max_size=400),
    st.sampled_from([PIPELINED, TRAILERS, HTTP2, TLS]),
    st.integers(1, 200_000).map(lambda size: random.Random(size).randbytes(size)),
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["client", "engine"]), PIECE),
        st.tuples(st.sampled_from(["client", "engine"]), st.none()),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames") / "frames"


@pytest.fixture(scope="module")
def relay(record: Path) -> Iterator[RelayUnderTest]:
    with relay_under_test(record_path=str(record)) as relay:
        yield relay


class Reader(threading.Thread):
    """Read one side to its end in pieces of a given size, after it was let go."""

    def __init__(self, connection: socket.socket, size: int) -> None:
        super().__init__(daemon=True)
        self.connection = connection
        self.size = size
        self.go = threading.Event()
        self.got = b""
        self.start()

    def run(self) -> None:
        self.go.wait()
        self.got = receive_all(self.connection, self.size)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    actions=ACTIONS,
    sizes=st.tuples(st.sampled_from([7, 900, 65536]), st.sampled_from([7, 900, 65536])),
    late=st.sampled_from(["", "client", "engine", "both"]),
)
@example(actions=[("client", None)], sizes=(7, 7), late="")
@example(actions=[("engine", None), ("client", b"x" * 300_000)], sizes=(900, 65536), late="")
@example(actions=[("client", None), ("engine", b"x" * 300_000)], sizes=(65536, 900), late="")
def test_both_streams_arrive_and_are_recorded_byte_for_byte(
    relay: RelayUnderTest,
    record: Path,
    actions: list[tuple[str, bytes | None]],
    sizes: tuple[int, int],
    late: str,
) -> None:
    """Any bytes, cut anywhere, half-closed in either order, read slowly or late."""
    client, engine = relay.pair()
    with client, engine:
        port = client.getsockname()[1]
        connections = {"client": client, "engine": engine}
        readers = {"client": Reader(client, sizes[0]), "engine": Reader(engine, sizes[1])}
        sent = {"client": b"", "engine": b""}
        ended: list[str] = []
        for name, reader in readers.items():
            if late not in (name, "both"):
                reader.go.set()
        for name, data in [*actions, ("client", None), ("engine", None)]:
            if name in ended:
                continue
            if data is None:
                ended.append(name)
                connections[name].shutdown(socket.SHUT_WR)
                continue
            if len(sent[name]) + len(data) > 60_000:
                for reader in readers.values():
                    reader.go.set()
            connections[name].sendall(data)
            sent[name] += data
        for reader in readers.values():
            reader.go.set()
            reader.join(30)
        assert readers["engine"].got == sent["client"]
        assert readers["client"].got == sent["engine"]
    wait_for(lambda: kinds_of(frames_of(recorded(record), port))[-1:] == "X", "the last frame")
    frames = frames_of(recorded(record), port)
    assert kinds_of(frames) in ("OCSX", "OSCX")
    assert stream_of(frames, "c") == sent["client"]
    assert stream_of(frames, "s") == sent["engine"]
    times = [frame[2] for frame in frames]
    assert times == sorted(times)


def test_many_flows_at_once_stay_apart(relay: RelayUnderTest, record: Path) -> None:
    """64 flows with megabytes in both directions; every stream has its own hash at its own end."""

    def engine(connection: socket.socket) -> None:
        with connection:
            seed = receive_all(connection)[:8]
            connection.sendall(random.Random(seed).randbytes(700_001))

    def client(number: int) -> tuple[str, str, int]:
        seed = b"%08d" % number
        with relay.connect() as connection:
            port = connection.getsockname()[1]
            connection.sendall(seed + random.Random(number).randbytes(300_007))
            connection.shutdown(socket.SHUT_WR)
            got = receive_all(connection)
        expected = random.Random(seed).randbytes(700_001)
        return sha256(got).hexdigest(), sha256(expected).hexdigest(), port

    with ThreadPoolExecutor(128) as pool:
        results = [pool.submit(client, number) for number in range(64)]
        engines = [pool.submit(engine, relay.accept()) for _ in range(64)]
        for done in engines:
            done.result()
        answers = [result.result() for result in results]
    assert all(got == expected for got, expected, _ in answers)
    last = answers[-1][2]
    wait_for(lambda: kinds_of(frames_of(recorded(record), last))[-1:] == "X", "the last frame")


def test_small_writes_are_not_merged_or_held_back(relay: RelayUnderTest, record: Path) -> None:
    """A piece arrives before the next one is sent: nothing waits for more."""
    client, engine = relay.pair()
    with client, engine:
        port = client.getsockname()[1]
        for number in range(50):
            engine.sendall(b"data: %d\n\n" % number)
            assert client.recv(65536) == b"data: %d\n\n" % number
    wait_for(lambda: kinds_of(frames_of(recorded(record), port))[-1:] == "X", "the last frame")
    pieces = [frame for frame in frames_of(recorded(record), port) if frame[1] == ord("s")]
    assert [frame[4] for frame in pieces] == [b"data: %d\n\n" % number for number in range(50)]
    assert all(0 < frame[3] < 0xFFFFFFFF for frame in pieces)


def test_ipv6_is_relayed_like_ipv4(tmp_path: Path) -> None:
    """Listening and connecting on [::1]."""
    with relay_under_test(host="::1", record_path=str(tmp_path / "frames")) as relay:
        client, engine = relay.pair()
        with client, engine:
            port = client.getsockname()[1]
            client.sendall(b"ping")
            assert engine.recv(10) == b"ping"
            engine.sendall(b"pong")
            assert client.recv(10) == b"pong"
        assert relay.stop()["flows_closed"] == 1
        opened = frames_of(recorded(tmp_path / "frames"), port)[0]
        assert opened[4] == (
            b'{"client":"[::1]:%d","engine":"[::1]:%d"}' % (port, relay.engine_port)
        )
