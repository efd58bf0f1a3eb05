"""A slow observer, slow clients, huge bodies, greedy flows: nothing grows, and nobody starves."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from functools import partial
from itertools import takewhile
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
    send_until_stopped,
    stream_of,
    wait_for,
)

from sidelight_sidecar.frames.codec import CLIENT_BYTES, ENGINE_BYTES, GAP, OPEN

MEGABYTE = 1 << 20
QUEUE_BYTES = 4 * MEGABYTE
SLACK_BYTES = 4 * MEGABYTE
"""For the allocator: what a relay may grow beside its queue."""
DROPPING = [sys.executable, "-S", "-c", "import os\nwhile os.read(3, 1 << 18): pass"]


def exchange(relay: RelayUnderTest, request: bytes, answer: bytes) -> int:
    """Have one connection carry a request and its answer; return the client's port."""
    client, engine = relay.pair()
    with client, engine:
        client.sendall(request)
        assert receive_exactly(engine, len(request)) == request
        writer = threading.Thread(target=engine.sendall, args=(answer,), daemon=True)
        writer.start()
        assert receive_exactly(client, len(answer)) == answer
        writer.join(30)
        return int(client.getsockname()[1])


@pytest.mark.slow
def test_a_stopped_observer_under_load_costs_whole_flows_and_no_memory(tmp_path: Path) -> None:
    """Far more traffic than its queue holds: all of it arrives; what was not observed is whole
    flows, each counted once with its reason; when the observer goes on, so does observation.
    """
    record = tmp_path / "frames"
    answer = random.Random(1).randbytes(100_000)
    with relay_under_test(record_path=str(record), tee_queue_bytes=QUEUE_BYTES) as relay:
        long_client, long_engine = relay.pair()
        exchange(relay, b"warm", answer)
        wait_for(lambda: b"warm" in stream_of(recorded(record), "c"), "the first frames")
        before = relay.heap_bytes()
        pid = relay.observer_pid()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(300):
                exchange(relay, b"%06d" % number, answer)
                long_engine.sendall(answer[:1000])
                assert receive_exactly(long_client, 1000) == answer[:1000]
            grown = relay.heap_bytes() - before
        finally:
            os.kill(pid, signal.SIGCONT)
        port = observed_again(relay, record)
        long_engine.sendall(b"seen again")
        assert receive_exactly(long_client, 10) == b"seen again"
        long_port = long_client.getsockname()[1]
        long_client.close()
        long_engine.close()
        counters = relay.stop()
    assert grown < QUEUE_BYTES + SLACK_BYTES
    assert counters["queue_bytes_high_water"] <= QUEUE_BYTES + 100_000
    frames = recorded(record)
    assert stream_of(frames_of(frames, port), "s") == b"observed"
    assert kinds_of(frames_of(frames, port)) in ("OCSX", "OSCX")
    assert stream_of(frames_of(frames, long_port), "s").endswith(b"seen again")
    opened = {frame[0] for frame in frames if frame[1] == OPEN}
    gapped = {frame[0] for frame in frames if frame[1] == GAP}
    sizes = Counter[int]()
    for frame in frames:
        if frame[1] in (CLIENT_BYTES, ENGINE_BYTES):
            sizes[frame[0]] += len(frame[4])
    assert 0 < len(opened) < counters["flows_opened"]
    assert counters["flows_gapped"] == counters["flows_opened"] - len(opened - gapped)
    assert counters["flows_gapped"] == counters["flows_gapped_queue_full"] > 150
    assert counters["flows_gapped_no_observer"] == 0
    moved = counters["bytes_to_client"] + counters["bytes_to_engine"]
    assert counters["gap_bytes"] == moved - sizes.total()


def observed_again(relay: RelayUnderTest, record: Path) -> int:
    """Open connections until one is observed whole; return its client's port."""
    for _ in range(20):
        client, engine = relay.pair()
        with client, engine:
            port = int(client.getsockname()[1])
            engine.sendall(b"observed")
            receive_exactly(client, 8)
        closed_ns = time.monotonic_ns()
        wait_for(partial(told_since, record, closed_ns), "stats made after that")
        frames = frames_of(recorded(record), port)
        if stream_of(frames, "s") == b"observed" and ord("G") not in {f[1] for f in frames}:
            return port
    raise AssertionError("no flow was observed from its start to its end")


def told_since(record: Path, at_ns: int) -> bool:
    """Say whether a `T` frame that was made after this time has come to the observer."""
    return any(frame[1] == ord("T") and frame[2] > at_ns for frame in recorded(record))


def test_a_client_that_reads_byte_by_byte_holds_up_only_itself() -> None:
    """The engine is stopped, the relay keeps one read, and others get their answers at once."""
    with relay_under_test() as relay:
        client, engine = relay.connect(receive_buffer=4096), relay.accept()
        with client, engine:
            data = random.Random(2).randbytes(32 * MEGABYTE)
            exchange(relay, b"warm", b"x" * 100_000)
            before = relay.heap_bytes()
            sent = send_until_stopped(engine, data)
            assert sent < len(data)
            got = bytearray()
            for number in range(3000):
                got += client.recv(1)
                if number % 300 == 0:
                    exchange(relay, b"quick", b"x" * 1000)
            assert relay.heap_bytes() - before < SLACK_BYTES
            assert got == data[:3000]
            assert receive_exactly(client, sent - 3000) == data[3000:sent]


def test_a_header_without_end_is_passed_on_and_kept_nowhere(tmp_path: Path) -> None:
    """Byte by byte, 30,000 of them: the engine may end it, the relay has no opinion."""
    record = tmp_path / "frames"
    header = b"GET / HTTP/1.1\r\n" + b"x-filler: y\r\n" * 2300
    with relay_under_test(record_path=str(record)) as relay:
        client, engine = relay.pair()
        with client, engine:
            port = client.getsockname()[1]
            before = relay.heap_bytes()
            for number, byte in enumerate(header):
                client.sendall(bytes([byte]))
                if number % 3000 == 0:
                    exchange(relay, b"quick", b"x" * 1000)
            assert receive_exactly(engine, len(header)) == header
            assert relay.heap_bytes() - before < SLACK_BYTES
            wait_for(lambda: stream_of(frames_of(recorded(record), port), "c") == header, "frames")
        counters = relay.stop()
    assert counters["flows_gapped"] == 0
    assert counters["queue_bytes_high_water"] < MEGABYTE


def flood(connection: socket.socket, blocks: int, digest: list[str]) -> None:
    """Send so many megabytes and leave their hash."""
    block = random.Random(3).randbytes(MEGABYTE)
    sent = hashlib.sha256()
    for number in range(blocks):
        data = b"%08d" % number + block
        connection.sendall(data)
        sent.update(data)
    connection.shutdown(socket.SHUT_WR)
    digest.append(sent.hexdigest())


def receive_hash(connection: socket.socket) -> tuple[str, int]:
    """Read to the end; return the hash and the number of bytes."""
    buffer = bytearray(MEGABYTE)
    view = memoryview(buffer)
    got, size = hashlib.sha256(), 0
    while count := connection.recv_into(buffer):
        got.update(view[:count])
        size += count
    return got.hexdigest(), size


@pytest.mark.slow
@pytest.mark.parametrize("observer", [None, DROPPING], ids=["unobserved", "observed"])
def test_a_huge_prompt_and_a_huge_answer_pass_in_bounded_memory(observer: list[str] | None) -> None:
    """100 MB to the engine, then 1 GB to the client: equal hashes, and no copy of either kept."""
    settings = {"tee_queue_bytes": QUEUE_BYTES, "observer_argv": observer}
    with relay_under_test(**settings) as relay:
        exchange(relay, b"warm", b"x" * 100_000)
        before, most = relay.heap_bytes(), 0
        client, engine = relay.pair()
        with client, engine:
            for source, sink, blocks in ((client, engine, 100), (engine, client, 1000)):
                sent: list[str] = []
                writer = threading.Thread(target=flood, args=(source, blocks, sent), daemon=True)
                writer.start()
                got, size = receive_hash(sink)
                writer.join(30)
                most = max(most, relay.heap_bytes())
                assert [got] == sent
                assert size == blocks * (MEGABYTE + 8)
        counters = relay.stop()
    assert most - before < (QUEUE_BYTES if observer else 0) + SLACK_BYTES
    assert counters["bytes_to_client"] == 1000 * (MEGABYTE + 8) + 100_000


def test_flows_that_pour_take_turns_with_one_that_talks(tmp_path: Path) -> None:
    """In one round each side is read once: before the talking flow's bytes in either direction
    come at most two reads of each pouring one (the relay may be stopped within a round).
    """
    record = tmp_path / "frames"
    data = random.Random(6).randbytes(MEGABYTE)
    with relay_under_test(record_path=str(record), tee_queue_bytes=32 * MEGABYTE) as relay:
        pouring = [relay.pair() for _ in range(6)]
        client, engine = relay.pair()
        port = client.getsockname()[1]
        for one, other in [*pouring, (client, engine)]:
            one.sendall(b"known")
            receive_exactly(other, 5)
        relay.process.send_signal(signal.SIGSTOP)
        writers = [
            threading.Thread(target=source.sendall, args=(data,), daemon=True)
            for _, source in pouring
        ]
        readers = [
            threading.Thread(target=receive_exactly, args=(sink, len(data)), daemon=True)
            for sink, _ in pouring
        ]
        for thread in writers + readers:
            thread.start()
        engine.sendall(b"answer")
        client.sendall(b"question")
        relay.process.send_signal(signal.SIGCONT)
        assert receive_exactly(engine, 8) == b"question"
        assert receive_exactly(client, 6) == b"answer"
        for thread in writers + readers:
            thread.join(30)
        for pair in [*pouring, (client, engine)]:
            for connection in pair:
                connection.close()
        relay.stop()
    frames = recorded(record)
    talking = frames_of(frames, port)[0][0]
    reads = Counter(frame[0] for frame in frames if frame[1] == ENGINE_BYTES)
    assert sorted(reads.values())[1] > 10, "each pouring flow took many reads"
    for said in (b"question", b"answer"):
        earlier = takewhile(lambda frame: (frame[0], frame[4]) != (talking, said), frames)  # noqa: B023
        before = Counter(frame[0] for frame in earlier if frame[1] == ENGINE_BYTES)
        assert max([count for flow, count in before.items() if flow != talking], default=0) <= 2


def test_every_one_of_many_pouring_flows_gets_its_share() -> None:
    """All end, though each could keep the relay busy alone."""
    data = random.Random(7).randbytes(4 * MEGABYTE)
    with relay_under_test() as relay:
        pairs = [relay.pair() for _ in range(8)]
        got: list[bytes] = [b""] * len(pairs)

        def read(number: int) -> None:
            got[number] = receive_all(pairs[number][0])

        def write(number: int) -> None:
            pairs[number][1].sendall(data)
            pairs[number][1].shutdown(socket.SHUT_WR)

        threads = [
            threading.Thread(target=work, args=(number,), daemon=True)
            for number in range(len(pairs))
            for work in (read, write)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert got == [data] * len(pairs)
