"""Relay and tap on the same traffic at once: the same exchanges, from one as from the other.

The relay listens on port 8000 of a host of its own (a network namespace), the tap reads that host's
packets of port 8000, so both see the leg between client and relay.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import bad_cable
import chat_client
import chat_engine
import pytest
from namespaces import INTERFACE, SERVER, SERVER6, Namespaces, namespaces, program, tap
from relay_harness import kinds_of, recorded, wait_for

from sidelight_sidecar.observer.replay import replay

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

CLOCKS_NS = 1_000_000
"""Two clocks are compared that were read microseconds apart: far more than that can make."""
FAR_NS = 10_000_000_000
"""A frame is delayed by a busy machine, but not for this long; a wrong clock is off by years."""
AT_REQUEST = ("start_ns", "request_end_ns")
AT_ANSWER = ("response_start_ns", "first_output_ns", "last_output_ns", "stop_ns")

STEPS = (
    "new",
    '{"id": 1, "stream": true, "chunks": 12}',
    '{"id": 2}',
    '{"id": 3, "size": 300000}',
    json.dumps({"id": 4, "prompt": "p" * 400_000}),
    '{"id": 5, "stream": true, "chunks": 3}',
    "close",
    "new",
    'reset {"id": 6, "stream": true, "chunks": 5, "hang": true}',
    "new",
    'leave {"id": 7, "stream": true, "chunks": 5, "hang": true}',
    "new",
    '{"id": 8}',
    "close",
)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Namespaces]:
    with namespaces() as both:
        yield both


def exchanges_of(record: Path) -> list[dict[str, object]]:
    lines = []
    for line in replay(record, "exchanges"):
        assert isinstance(line, str), line
        lines.append(json.loads(line))
    return lines


@pytest.mark.parametrize("address", [SERVER, SERVER6])
def test_same_exchanges_as_the_relay(hosts: Namespaces, tmp_path: Path, address: str) -> None:
    """Streams, whole answers, long ones, several on one connection, and clients that leave.

    Every field but the times is equal. For those the order of cause and effect holds, however busy
    the machine is: the kernel has a request before the relay reads it, and an answer passes on the
    wire after the relay has read it from the engine.
    """
    relayed, tapped = tmp_path / "relay", tmp_path / "tap"
    relay = ("-m", "sidelight_sidecar.relay", "--listen", "0.0.0.0:8000", "--listen", "[::]:8000")
    relay += ("--engine", "[::1]:9000", "--record", str(relayed))
    with (
        program(hosts.server, chat_engine.__file__, "::1", "9000") as engine,
        program(hosts.server, *relay) as beside,
        tap(hosts.server, "--record", str(tapped)) as tapping,
        program(hosts.client, chat_client.__file__, address, "8000") as client,
    ):
        assert engine.line() == "up"
        assert beside.logged()["event"] == "listening"
        for step in STEPS:
            assert client.ask(step)
        for record in (relayed, tapped):
            wait_for(lambda r=record: kinds_of(recorded(r)).count("X") == 4, "four ends")
        beside.stop()
        counters = tapping.stop()["counters"]
    assert isinstance(counters, dict)
    from_relay, from_tap = exchanges_of(relayed), exchanges_of(tapped)
    assert [exchange["model"] for exchange in from_relay] == [f"m{n}" for n in range(1, 9)]
    assert [exchange["code"] for exchange in from_relay] == [200] * 5 + [499] * 2 + [200]
    assert len(from_tap) == len(from_relay)
    for ours, theirs in zip(from_tap, from_relay, strict=True):
        assert without_times(ours) == without_times(theirs)
        check_times(ours, theirs)
    opened = [json.loads(f[4]) for f in recorded(tapped) if f[1] == ord("O")]
    shown = f"[{address}]" if ":" in address else address
    relay_opened = [json.loads(f[4]) for f in recorded(relayed) if f[1] == ord("O")]
    assert [flow["engine"] for flow in opened] == [f"{shown}:8000"] * 4
    assert [flow["client"] for flow in opened] == [
        flow["client"].replace("[::ffff:", "") for flow in relay_opened
    ]
    assert counters["flows_opened"] == counters["flows_closed"] == 4
    assert counters["resets_client"] == 1
    # TCP repeats a segment by itself when a busy host is slow to acknowledge it.
    other = {"tap_packets", "tap_segments_retransmitted"}
    nothing = [name for name in counters if name.startswith("tap_") and name not in other]
    assert {name: counters[name] for name in nothing} == dict.fromkeys(nothing, 0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_same_exchanges_over_a_bad_network(tmp_path: Path, seed: int) -> None:
    """Packets are lost on their way, come twice and out of order. The hosts' TCP makes up for that,
    and so does the tap: it misses nothing, for all that arrives and leaves passes it.

    Nobody resets: a lost reset is lost. What several chunks are one arrival is not compared: those
    that wait for a lost one go together on the wire, where the relay has read them one by one.
    """
    relayed, tapped = tmp_path / "relay", tmp_path / "tap"
    relay = ("-m", "sidelight_sidecar.relay", "--listen", "0.0.0.0:8000")
    relay += ("--engine", "127.0.0.1:9000", "--record", str(relayed))
    reset = next(n for n, step in enumerate(STEPS) if step.startswith("reset"))
    steps = STEPS[: reset - 1] + STEPS[reset + 1 :]
    with (
        namespaces(cable=False) as hosts,
        program("", bad_cable.__file__, INTERFACE, hosts.client, hosts.server, str(seed)) as cable,
        program(hosts.server, chat_engine.__file__, "::", "9000") as engine,
    ):
        assert cable.line() == engine.line() == "up"
        with (
            program(hosts.server, *relay) as beside,
            tap(hosts.server, "--record", str(tapped)) as tapping,
            program(hosts.client, chat_client.__file__, SERVER, "8000") as client,
        ):
            assert beside.logged()["event"] == "listening"
            for step in steps:
                assert client.ask(step)
            for record in (relayed, tapped):
                wait_for(lambda r=record: kinds_of(recorded(r)).count("X") == 3, "three ends")
            beside.stop()
            counters = tapping.stop()["counters"]
    assert isinstance(counters, dict)
    from_relay, from_tap = exchanges_of(relayed), exchanges_of(tapped)
    assert len(from_relay) == 7
    for ours, theirs in zip(from_tap, from_relay, strict=True):
        for exchange in (ours, theirs):
            del exchange["arrivals"]
        assert without_times(ours) == without_times(theirs)
        for name in AT_REQUEST:
            assert ours[name] <= theirs[name] + CLOCKS_NS, name  # type: ignore[operator]
    assert counters["tap_bytes_lost"] == 0
    assert counters["tap_segments_retransmitted"] > 0
    assert counters["tap_segments_out_of_order"] > 0


def without_times(exchange: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in exchange.items() if not name.endswith("_ns")}


def check_times(ours: dict[str, object], relays: dict[str, object]) -> None:
    for name in (*AT_REQUEST, *AT_ANSWER):
        mine, other = ours[name], relays[name]
        assert isinstance(mine, int)
        assert isinstance(other, int)
        assert bool(mine) == bool(other), name
        assert abs(mine - other) < FAR_NS, name
        if name in AT_REQUEST:
            assert mine <= other + CLOCKS_NS, (name, mine - other)
        elif not (name == "stop_ns" and ours["error"]):  # then the client's word is the last
            assert mine >= other - CLOCKS_NS, (name, mine - other)


def test_connection_open_before_is_picked_up_at_its_next_request(
    hosts: Namespaces, tmp_path: Path
) -> None:
    """What came before is not known, what is under way is not counted, and then all is right."""
    record = tmp_path / "tap"
    with (
        program(hosts.server, chat_engine.__file__, "::", "8000") as engine,
        program(hosts.client, chat_client.__file__, SERVER, "8000") as client,
    ):
        assert engine.line() == "up"
        assert client.ask("new") == "new"
        client.ask('{"id": 1}')
        with tap(hosts.server, "--record", str(record)) as tapping:
            client.ask('{"id": 2, "stream": true, "chunks": 3}')
            client.ask('{"id": 3}')
            client.ask("close")
            wait_for(lambda: "X" in kinds_of(recorded(record)), "the end")
            counters = tapping.stop()["counters"]
    assert isinstance(counters, dict)
    assert kinds_of(recorded(record)).replace("T", "").startswith("OG")
    assert [exchange["model"] for exchange in exchanges_of(record)] == ["m2", "m3"]
    assert counters["tap_flows_joined"] == counters["flows_opened"] == 1
    assert counters["tap_bytes_lost"] == 0


def test_what_the_host_asks_of_others_is_not_its_own_traffic(
    hosts: Namespaces, tmp_path: Path
) -> None:
    """Servers of one kind often have one port: a request to another's is no request to this one."""
    record = tmp_path / "tap"
    with (
        program(hosts.client, chat_engine.__file__, "::", "8000") as other,
        program(hosts.server, chat_engine.__file__, "::", "8000") as own,
        tap(hosts.server, "--record", str(record)) as tapping,
        program(hosts.server, chat_client.__file__, "198.51.100.1", "8000") as outward,
        program(hosts.client, chat_client.__file__, SERVER, "8000") as inward,
    ):
        assert other.line() == own.line() == "up"
        for number, client in enumerate((outward, inward), 1):
            client.ask("new")
            client.ask(json.dumps({"id": number}))
            client.ask("close")
        wait_for(lambda: "X" in kinds_of(recorded(record)), "the end")
        counters = tapping.stop()["counters"]
    assert isinstance(counters, dict)
    assert [exchange["model"] for exchange in exchanges_of(record)] == ["m2"]
    assert counters["flows_opened"] == 1
