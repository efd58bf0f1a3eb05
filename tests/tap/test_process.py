"""The tap as a process: what it may do, what it never does, and what it says when it cannot."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import chat_client
import chat_engine
import pytest
from namespaces import INTERFACE, SERVER, Namespaces, Program, namespaces, program, run, tap
from relay_harness import kinds_of, recorded, stream_of, wait_for
from wire import from_client, ipv4, ipv6, tcp_of

from sidelight_sidecar.observer.replay import replay

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and packet sockets need root"),
]

CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
INJECT = """
import base64, socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
    out.bind((sys.argv[1], 0))
    for line in sys.stdin:
        out.send(base64.b64decode(line))
        print("sent", flush=True)
"""


@pytest.fixture(scope="module")
def hosts() -> Iterator[Namespaces]:
    with namespaces() as both:
        yield both


@pytest.fixture
def silent_hosts() -> Iterator[Namespaces]:
    with namespaces(addresses=False) as both:
        yield both


def child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    wait_for(lambda: children.read_text().split(), "the observer")
    return int(children.read_text().split()[0])


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def packet_sockets_of(pid: int) -> set[str]:
    """Inodes of the packet sockets among a process' descriptors."""
    lines = Path(f"/proc/{pid}/net/packet").read_text().splitlines()[1:]
    known = {f"socket:[{line.split()[8]}]" for line in lines}
    links = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return known & links


@pytest.mark.parametrize("way", ["all", "only NET_RAW"])
def test_no_capability_is_left_to_either_process(
    hosts: Namespaces, tmp_path: Path, way: str
) -> None:
    """Whether it began with all of them, as root of a test, or with one, as in a pod. The socket
    stays open here, and is not handed on.
    """
    program_start = (
        sys.executable, "-m", "sidelight_sidecar.tap", "--interface", INTERFACE, "--port", "8000",
        "--record", str(tmp_path / "frames"),
    )  # fmt: skip
    narrowed = ("setpriv", "--bounding-set", "-all,+net_raw", "--inh-caps", "-all,+net_raw")
    prefix = narrowed if way != "all" else ()
    command = ["ip", "netns", "exec", hosts.server, *prefix, *program_start]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert json.loads(process.stderr.readline())["event"] == "tapping"
            child = child_of(process.pid)
            wait_for((tmp_path / "frames").exists, "the observer's own program")
            for pid in (process.pid, child):
                status = status_of(pid)
                held = {name: int(status[name], 16) for name in CAPABILITY_SETS}
                if way != "all":  # without SETPCAP the bounding set stays, of no use to anyone
                    assert held.pop("CapBnd") == 1 << 13
                assert not any(held.values()), held
                assert status["NoNewPrivs"] == "1"
                assert status["Threads"] == "1"
            assert len(packet_sockets_of(process.pid)) == 1
            assert not packet_sockets_of(child)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def test_nothing_is_ever_sent(silent_hosts: Namespaces, tmp_path: Path) -> None:
    """On a cable where nobody else speaks: packets come in and are followed, none goes out.

    The packets are made by hand, so they also try what the kernel gives of VLAN tags, IPv6,
    fragments and wrong checksums.
    """
    record = tmp_path / "frames"
    link = ("ip", "-j", "-s", "-n", silent_hosts.server, "link", "show", INTERFACE)
    before = json.loads(run(*link))[0]
    mine = bytes.fromhex(before["address"].replace(":", ""))

    six = tcp_of(("2001:db8::1", "2001:db8::2"), (40_001, 8000), seq=5, ack=9, payload=b"six ")
    wrong = bytearray(ipv4(from_client(seq=14, ack=9, payload=b"wrong")))
    wrong[-1] ^= 1
    packets = [
        ipv4(from_client(seq=5, ack=9, payload=b"plain "), tags=()),
        ipv4(from_client(seq=11, ack=9, payload=b"tag"), tags=(0x8100,)),
        bytes(wrong),
        ipv4(from_client(seq=14, ack=9, payload=b"ged"), tags=(0x88A8, 0x8100)),
        ipv4(from_client(seq=17, ack=9, payload=b"never"), fragment=0x2000),
        ipv6(six, extensions=[(60, b"\0\1\4\0\0\0\0")]),
        ipv4(tcp_of(("198.51.100.1", "198.51.100.2"), (8000, 22), payload=b"other port")),
    ]
    with (
        tap(silent_hosts.server, "--record", str(record)) as tapping,
        program(silent_hosts.client, "-c", INJECT, INTERFACE) as injector,
    ):
        for packet in packets:
            assert injector.ask(base64.b64encode(mine + packet[6:]).decode()) == "sent"
        wait_for(lambda: b"six" in stream_of(recorded(record), "c"), "the last packet")
        counters = tapping.stop()["counters"]
    assert isinstance(counters, dict)
    after = json.loads(run(*link))[0]["stats64"]
    assert after["rx"]["packets"] == before["stats64"]["rx"]["packets"] + len(packets)
    assert after["tx"] == before["stats64"]["tx"]
    assert stream_of(recorded(record), "c") == b"plain tagged" + b"six "
    assert counters["tap_packets"] == 6
    assert counters["tap_checksum_errors"] == counters["tap_fragments_skipped"] == 1
    assert counters["tap_flows_joined"] == counters["flows_opened"] == 2


def test_packets_that_find_no_room_are_counted_and_no_exchange_is_wrong(
    hosts: Namespaces, tmp_path: Path
) -> None:
    """The tap stands still while much passes: the kernel drops. Afterwards it knows that it missed
    something, says of no exchange what is not so, and is right again.
    """
    record = tmp_path / "frames"
    with (
        program(hosts.server, chat_engine.__file__, "::", "8000") as engine,
        program(hosts.client, chat_client.__file__, SERVER, "8000") as client,
        tap(hosts.server, "--record", str(record), "--ring-blocks", "2") as tapping,
    ):
        assert engine.line() == "up"
        client.ask("new")
        truth = {}
        for number in range(1, 61):
            if number == 5:
                os.kill(tapping.process.pid, signal.SIGSTOP)
            if number == 55:
                os.kill(tapping.process.pid, signal.SIGCONT)
            if number >= 55:  # let it read what is there; then it misses nothing more
                wait_for(lambda: ring_is_read(tapping.process.pid), "an empty ring")
            asked = json.dumps({"id": number, "size": 50_000 + number})
            truth[f"m{number}"] = (200, len(asked), int(client.ask(asked)))
        client.ask("close")
        wait_for(lambda: "X" in kinds_of(recorded(record)), "the end")
        counters = tapping.stop()["counters"]
    assert isinstance(counters, dict)
    seen = {}
    for line in replay(record, "exchanges"):
        assert isinstance(line, str)
        exchange = json.loads(line)
        assert not exchange["error"]
        seen[exchange["model"]] = (exchange["code"], exchange["bytes_in"], exchange["bytes_out"])
    assert seen.items() <= truth.items()
    assert {"m1", "m2", "m3", "m60"} <= set(seen)
    assert len(seen) < len(truth)
    assert counters["tap_packets_dropped"] > 0
    assert counters["tap_bytes_lost"] > 0
    assert counters["tap_gaps_not_captured"] > 0
    lost = counters["tap_bytes_lost"] + counters["bytes_to_client"] + counters["bytes_to_engine"]
    assert lost >= sum(asked + answered for _, asked, answered in truth.values())


def ring_is_read(pid: int) -> bool:
    """Whether the tap sleeps: it has read all that there is."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_interface_that_goes_down_and_up_is_tapped_again(tmp_path: Path) -> None:
    """And one that is removed ends the tap, with a word and a status."""
    record = tmp_path / "frames"
    with (
        namespaces() as both,
        tap(both.server, "--record", str(record)) as tapping,
        program(both.server, chat_engine.__file__, "::", "8000") as engine,
        program(both.client, chat_client.__file__, SERVER, "8000") as client,
    ):
        assert engine.line() == "up"
        run("ip", "-n", both.server, "link", "set", INTERFACE, "down")
        assert tapping.logged()["event"] == "interface_failed"
        run("ip", "-n", both.server, "link", "set", INTERFACE, "up")
        client.ask("new")
        client.ask('{"id": 1}')
        client.ask("close")
        wait_for(lambda: "X" in kinds_of(recorded(record)), "the end")
        run("ip", "-n", both.server, "link", "delete", INTERFACE)
        status, last = tapping.ended()
    assert status == 1
    assert last["event"] == "stopped"


def failure(namespace: str, *command: str) -> str:
    """Why a tap does not start."""
    started = Program.__new__(Program)
    started.process = subprocess.Popen(
        ["ip", "netns", "exec", namespace, *command], stderr=subprocess.PIPE, text=True
    )
    status, last = started.ended()
    assert status == 2
    assert last["event"] == "failed"
    return str(last["why"])


def test_what_is_wrong_is_said(hosts: Namespaces, tmp_path: Path) -> None:
    """No such interface, no NET_RAW, no sense: one line, and a status."""
    tap_of = (sys.executable, "-m", "sidelight_sidecar.tap", "--port", "8000", "--interface")
    to = ("--record", str(tmp_path / "frames"))
    assert failure(hosts.server, *tap_of, "eth9", *to) == (
        "no interface 'eth9' here; there are: lo, sl0"
    )
    unable = ("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw")
    assert failure(hosts.server, *unable, *tap_of, INTERFACE, *to) == (
        "not allowed to read packets: the container needs the capability NET_RAW, and user 0"
    )
    assert failure(hosts.server, *tap_of, INTERFACE).startswith("tap: frames go to")
    assert failure(hosts.server, *tap_of, INTERFACE, "--why").startswith("usage: ")
    run("ip", "-n", hosts.server, "tuntap", "add", "sltun", "mode", "tun")
    why = failure(hosts.server, *tap_of, "sltun", *to)
    assert why.startswith("interface 'sltun' carries no Ethernet")
    run("ip", "-n", hosts.server, "tuntap", "delete", "sltun", "mode", "tun")
    assert not (tmp_path / "frames").exists()


METRICS = """
import sys, time, urllib.request
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    try:
        with urllib.request.urlopen("http://127.0.0.1:15020/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        time.sleep(0.05)
        continue
    found = [line for line in text.splitlines() if line.startswith(tuple(sys.argv[1:]))]
    if len(found) == len(sys.argv) - 1 and not any(line.endswith(" 0.0") for line in found):
        print("|".join(found), flush=True)
        break
    time.sleep(0.05)
"""


def test_command_observes_on_loopback_and_serves_metrics(hosts: Namespaces) -> None:
    """`sidelight-sidecar tap` with an observer. On `lo` every packet is there twice; one counts."""
    command = ("-m", "sidelight_sidecar", "tap", "--interface", "lo", "--port", "8000")
    names = ("sidelight_requests_total", "sidelight_relay_tap_packets_total")
    with (
        program(hosts.server, chat_engine.__file__, "::1", "8000") as engine,
        program(hosts.server, *command, "--admin", "127.0.0.1:15020") as tapping,
        program(hosts.server, chat_client.__file__, "::1", "8000") as client,
    ):
        assert engine.line() == "up"
        while tapping.logged()["event"] != "admin_listening":
            pass
        client.ask("new")
        client.ask('{"id": 1}')
        client.ask('{"id": 2, "stream": true, "chunks": 3}')
        client.ask("close")
        with program(hosts.server, "-c", METRICS, names[1]) as asking:
            assert asking.line()
        with program(hosts.server, "-c", METRICS, f'{names[0]}{{code="200",model="m1"') as asking:
            assert asking.line().endswith(" 1.0")
        tapping.process.terminate()
        _, err = tapping.process.communicate(timeout=30)
    stopped = [json.loads(line) for line in err.splitlines() if '"stopped"' in line]
    counters = stopped[0]["counters"]
    assert stopped[0]["component"] == "tap"
    # the client's, and the observer's own: three to learn of the engine's queue, one which it is
    assert 1 <= counters["flows_closed"] <= counters["flows_opened"] <= 5
    assert counters["tap_segments_retransmitted"] == 0
