"""Whatever happens to the observer, traffic does not notice; what it missed is counted."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import threading
from pathlib import Path

from relay_harness import (
    RelayUnderTest,
    frames_of,
    kinds_of,
    receive_all,
    receive_exactly,
    recorded,
    relay_under_test,
    stream_of,
    wait_for,
)

STREAMS = 16
KILLS = 20


def stream(number: int, piece: int) -> bytes:
    """Return one piece of a stream that differs from all others."""
    return b"data: %d %d " % (number, piece) + random.Random(number * 100_000 + piece).randbytes(
        200
    )


def test_observer_killed_twenty_times_under_streaming_load(tmp_path: Path) -> None:
    """Every response is complete and identical; every flow that lost frames is counted so."""
    record = tmp_path / "frames"
    over = threading.Event()
    with relay_under_test(record_path=str(record), restart_max_seconds=0.01) as relay:
        pairs = [relay.pair() for _ in range(STREAMS)]
        got: list[bytes] = [b""] * STREAMS
        sent: list[list[bytes]] = [[] for _ in range(STREAMS)]

        def read(number: int) -> None:
            got[number] = receive_all(pairs[number][0])

        def write() -> None:
            piece = 0
            while not over.is_set():
                for number, (_, engine) in enumerate(pairs):
                    data = stream(number, piece)
                    engine.sendall(data)
                    sent[number].append(data)
                piece += 1
                over.wait(0.002)
            for _, engine in pairs:
                engine.shutdown(socket.SHUT_WR)

        threads = [threading.Thread(target=read, args=(n,), daemon=True) for n in range(STREAMS)]
        threads.append(threading.Thread(target=write, daemon=True))
        for thread in threads:
            thread.start()
        killed: set[int] = set()
        for kill in range(KILLS):
            pid = running_observer(relay, killed, file_number(record, kill))
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        running_observer(relay, killed, file_number(record, KILLS))
        over.set()
        for thread in threads:
            thread.join(30)
        assert got == [b"".join(pieces) for pieces in sent]
        client, engine = relay.pair()
        with client, engine:
            port = client.getsockname()[1]
            engine.sendall(b"after all that")
            assert receive_exactly(client, 14) == b"after all that"
        for both in pairs:
            for connection in both:
                connection.close()
        counters = relay.stop()
    assert counters["observer_starts"] == KILLS + 1
    assert counters["flows_gapped"] == counters["flows_gapped_no_observer"] == STREAMS
    assert counters["flows_gapped_queue_full"] == 0
    assert counters["gap_bytes"] > 0
    assert counters["bytes_to_client"] == sum(map(len, got)) + 14
    last = recorded(file_number(record, KILLS))
    assert sum(frame[1] == ord("G") for frame in last) == STREAMS
    assert stream_of(frames_of(last, port), "s") == b"after all that"
    stats = [json.loads(frame[4]) for frame in last if frame[1] == ord("T")]
    assert stats[-1] == counters


def file_number(record: Path, number: int) -> Path:
    return Path(f"{record}.{number}") if number else record


def running_observer(relay: RelayUnderTest, killed: set[int], file: Path) -> int:
    """Wait until a new observer has written frames of the load; return its process id."""
    wait_for(lambda: any(f[1] == ord("s") for f in recorded(file)), f"frames in {file.name}")
    wait_for(lambda: relay.observer_pid() not in (None, *killed), "the observer's process id")
    pid = relay.observer_pid()
    assert pid is not None
    return pid


def test_new_observer_is_told_of_open_flows_and_that_it_missed_bytes(tmp_path: Path) -> None:
    """`O` and then `G` of each open flow; frames go on after that, at a frame's border."""
    record = tmp_path / "frames"
    with relay_under_test(record_path=str(record)) as relay:
        client, engine = relay.pair()
        with client, engine:
            port = client.getsockname()[1]
            client.sendall(b"seen by the first")
            receive_exactly(engine, 17)
            wait_for(lambda: stream_of(recorded(record), "c"), "the first frames")
            pid = relay.observer_pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            second = file_number(record, 1)
            wait_for(lambda: kinds_of(frames_of(recorded(second), port)) == "OG", "O and G")
            client.sendall(b"seen by the second")
            receive_exactly(engine, 18)
        counters = relay.stop()
    frames = frames_of(recorded(second), port)
    assert stream_of(frames, "c") == b"seen by the second"
    assert kinds_of(frames)[:2] == "OG"
    assert kinds_of(frames)[-1] == "X"
    assert counters["flows_gapped_no_observer"] == 1
    ended = [line for line in relay.log if line["event"] == "observer_ended"]
    assert [line["why"] for line in ended] == ["signal 9"]


def test_observer_that_never_reads_costs_only_its_own_view(tmp_path: Path) -> None:
    """A stopped observer: traffic goes on, the queue is bounded, the flow gapped; it recovers."""
    record = tmp_path / "frames"
    limit = 300_000
    with relay_under_test(record_path=str(record), tee_queue_bytes=limit) as relay:
        client, engine = relay.pair()
        with client, engine:
            port = client.getsockname()[1]
            engine.sendall(b"before")
            receive_exactly(client, 6)
            wait_for(lambda: stream_of(recorded(record), "s"), "the first frames")
            pid = relay.observer_pid()
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                data = random.Random(3).randbytes(16 << 20)
                writer = threading.Thread(target=engine.sendall, args=(data,), daemon=True)
                writer.start()
                assert receive_exactly(client, len(data)) == data
                writer.join(30)
                late_client, late_engine = relay.pair()
                late_port = late_client.getsockname()[1]
                late_client.sendall(b"during")
                receive_exactly(late_engine, 6)
            finally:
                os.kill(pid, signal.SIGCONT)

            def seen_again() -> bool:
                engine.sendall(b"after")
                receive_exactly(client, 5)
                return stream_of(frames_of(recorded(record), port), "s").endswith(b"after")

            wait_for(seen_again, "frames after the gap")
            late_client.close()
            late_engine.close()
        counters = relay.stop()
    frames = frames_of(recorded(record), port)
    kinds = kinds_of(frames)
    assert kinds.startswith("OG")
    assert kinds.endswith("X")
    seen = stream_of(frames, "s")
    before_gap = b"".join(
        [f[4] for f in frames[: [f[1] for f in frames].index(ord("G"))] if f[1] == ord("s")]
    )
    assert (b"before" + data).startswith(before_gap), "a gap is at the end of what is known"
    assert len(seen) < len(data)
    assert counters["queue_bytes_high_water"] <= limit + 1000
    assert counters["flows_gapped_queue_full"] in (1, 2)
    assert counters["flows_gapped_no_observer"] == 0
    total = 6 + len(data) + 6 + counters["bytes_to_client"] - 6 - len(data)
    late = stream_of(frames_of(recorded(record), late_port), "c")
    assert counters["gap_bytes"] == total - len(seen) - len(late)


def test_without_an_observer_flows_are_counted_as_not_observed() -> None:
    """Nothing is queued for nobody."""
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            client.sendall(b"12345")
            receive_exactly(engine, 5)
        counters = relay.stop()
    assert counters["flows_gapped"] == counters["flows_gapped_no_observer"] == 1
    assert counters["gap_bytes"] == 5
    assert counters["queue_bytes_high_water"] == 0


def test_observer_that_cannot_be_started_is_tried_again_and_harms_nothing() -> None:
    """A missing program is a line in the log, not an end."""
    with relay_under_test(observer_argv=["/nowhere/observer"], restart_max_seconds=0.01) as relay:
        client, engine = relay.pair()
        with client, engine:
            client.sendall(b"12345")
            assert receive_exactly(engine, 5) == b"12345"
            wait_for(lambda: len(relay.log) > 3, "three tries")
        counters = relay.stop()
    assert counters["observer_starts"] >= 3
    assert relay.log[1]["why"] == "cannot start: No such file or directory"


def test_observer_that_closes_its_frames_is_replaced() -> None:
    """It lives and listens no more: as good as dead."""
    deaf = "import os, time; os.close(3); time.sleep(1000)"
    with relay_under_test(
        observer_argv=[sys.executable, "-c", deaf], restart_max_seconds=0.01
    ) as relay:
        wait_for(lambda: len(relay.log) > 3, "three ends")
        assert {line["why"] for line in relay.log[1:3]} == {"signal 9"}
        relay.stop()


def test_waits_between_restarts_double(tmp_path: Path) -> None:
    """A crashing observer does not eat the model server's processor."""
    with relay_under_test(observer_argv=["/nowhere/observer"]) as relay:
        wait_for(lambda: len(relay.log) > 4, "four tries")
        waits = [line["restart_in_ms"] for line in relay.log[1:5]]
        assert waits == [100, 200, 400, 800]
        relay.stop()
