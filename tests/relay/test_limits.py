"""Descriptors, signals, and the exit."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from relay_harness import (
    frames_of,
    kinds_of,
    receive_exactly,
    recorded,
    relay_under_test,
    wait_for,
    was_reset,
)

from sidelight_sidecar.relay import RelayConfig, parse_address
from sidelight_sidecar.relay.__main__ import parse


def test_out_of_descriptors_accepting_rests_and_flows_go_on() -> None:
    """Open flows work, waiting ones get their turn once others have ended, and nothing spins."""
    with relay_under_test(nofile=40) as relay:
        clients = [relay.connect() for _ in range(40)]
        for number, client in enumerate(clients):
            client.sendall(b"%04d" % number)
        served = 0
        answered: set[int] = set()
        while len(answered) < 40:
            engines = []
            while not relay.nobody_comes(0.5):
                engines.append(relay.sockets[-1])
            assert len(engines) < 20
            if not engines:
                break
            if not served:
                before = relay.cpu_seconds()
                assert relay.nobody_comes(0.5)
                assert relay.cpu_seconds() - before < 0.1
            for engine in engines:
                number = int(receive_exactly(engine, 4))
                engine.sendall(b"yes!")
                assert receive_exactly(clients[number], 4) == b"yes!"
                clients[number].close()
                engine.close()
                answered.add(number)
            served += len(engines)
        counters = relay.stop()
    assert counters["accept_errors"] >= 1
    assert counters["refused_exhausted"] == 0
    assert counters["flows_opened"] == served == 40


def test_terminated_relay_goes_on_until_its_flows_have_ended(tmp_path: Path) -> None:
    """A stream that runs when the pod is deleted ends by itself; new ones are still taken."""
    record = tmp_path / "frames"
    with relay_under_test(record_path=str(record)) as relay:
        client, engine = relay.pair()
        relay.process.send_signal(signal.SIGTERM)
        wait_for(lambda: relay.log[-1]["event"] == "draining", "the drain")
        new_client, new_engine = relay.pair()
        port = new_client.getsockname()[1]
        client.close()
        engine.close()
        new_engine.sendall(b"still here")
        assert receive_exactly(new_client, 10) == b"still here"
        assert relay.process.poll() is None
        new_client.close()
        new_engine.close()
        counters = relay.ended()
    assert counters["flows_closed"] == 2
    assert kinds_of(frames_of(recorded(record), port))[-1] == "X"


def test_drain_has_an_end(tmp_path: Path) -> None:
    """A connection that nobody closes is reset when the time is over; the frames say closed."""
    record = tmp_path / "frames"
    with relay_under_test(record_path=str(record), drain_seconds=0.2) as relay:
        client, engine = relay.pair()
        with client, engine:
            port = client.getsockname()[1]
            counters = relay.stop()
            assert was_reset(client)
    assert counters["flows_closed"] == 1
    assert kinds_of(frames_of(recorded(record), port)) == "OX"


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_at_once(second: signal.Signals) -> None:
    """An impatient operator is heard."""
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            relay.process.send_signal(signal.SIGTERM)
            wait_for(lambda: relay.log[-1]["event"] == "draining", "the drain")
            relay.process.send_signal(second)
            assert relay.ended()["flows_closed"] == 1


def test_relay_is_a_small_process() -> None:
    """15 MB is the promise: a new import that costs memory fails here."""
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            client.sendall(b"x" * 200_000)
            receive_exactly(engine, 200_000)
        assert relay.rss_bytes() < 15 * 1000 * 1000


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:15001", ("0.0.0.0", 15001)),
        ("[::]:15001", ("::", 15001)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    """IPv4, IPv6 in brackets, names."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "15001", ":15001", "::1:80", "host:", "host:http", "h:70000"])
def test_wrong_addresses_are_refused(text: str) -> None:
    """The message repeats what was given."""
    with pytest.raises(ValueError, match=r"host:port|an IPv6 address"):
        parse_address(text)


def test_command_line_is_the_whole_configuration() -> None:
    """Every option arrives; what follows `--` is the observer's."""
    config = parse(
        [
            *("--listen", "0.0.0.0:1", "--listen", "[::]:1", "--engine", "original-dst"),
            *("--tee-queue-bytes", "5", "--drain-seconds", "1.5", "--", "observe", "--x", "y"),
        ]
    )
    assert config.listen == [("0.0.0.0", 1), ("::", 1)]
    assert config.engine == "original-dst"
    assert (config.tee_queue_bytes, config.drain_seconds) == (5, 1.5)
    assert config.observer_argv == ["observe", "--x", "y"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--listen", "0.0.0.0:1"],
        ["--engine", "h:1"],
        ["--listen"],
        ["--nothing", "x"],
        ["--listen", "0.0.0.0:1", "--engine", "h:1", "--record", "f", "--", "observe"],
    ],
)
def test_wrong_command_lines_are_refused(arguments: list[str]) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"usage|not host:port|unknown|no address|not to both"):
        parse(arguments)


def test_engine_must_be_known() -> None:
    """A name without a port is neither form."""
    with pytest.raises(ValueError, match="original-dst"):
        RelayConfig([("127.0.0.1", 0)], "engine")
