"""Which interface is the pod's own."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from namespaces import INTERFACE, SERVER, SERVER6, namespaces, program, run

from sidelight_sidecar.tap.capture import CaptureError
from sidelight_sidecar.tap.interface import Owned, choose, parse

NAMES = {1: "lo", 2: "eth0", 3: "net1"}
OWNED: list[Owned] = [
    (1, socket.inet_pton(socket.AF_INET, "127.0.0.1")),
    (3, socket.inet_pton(socket.AF_INET, "198.51.100.7")),
    (2, socket.inet_pton(socket.AF_INET, "198.51.100.2")),
    (2, socket.inet_pton(socket.AF_INET6, "2001:db8::2")),
]


@pytest.mark.parametrize(
    ("pod_ip", "interface"),
    [("198.51.100.2", "eth0"), ("198.51.100.7", "net1"), ("2001:db8:0::2", "eth0")],
)
def test_the_one_with_the_pods_address_is_taken(pod_ip: str, interface: str) -> None:
    """IPv4 or IPv6, however it is written, among several networks."""
    assert choose(pod_ip, OWNED, NAMES) == interface


def test_the_only_one_is_taken_when_none_has_the_address() -> None:
    """Some networks give the pod an address that stands outside."""
    assert choose("198.51.100.9", OWNED, {1: "lo", 2: "ens5"}) == "ens5"
    assert choose("", [], {1: "lo", 2: "ens5"}) == "ens5"


@pytest.mark.parametrize(
    ("pod_ip", "names", "said"),
    [
        ("198.51.100.9", NAMES, "198.51.100.9.*eth0, net1"),
        ("", NAMES, "SIDELIGHT_POD_IP is not set"),
        ("198.51.100.9", {1: "lo"}, "none but lo"),
    ],
)
def test_what_cannot_be_told_is_not_guessed(pod_ip: str, names: dict[int, str], said: str) -> None:
    """The message says what there is."""
    with pytest.raises(CaptureError, match=said):
        choose(pod_ip, OWNED, names)


def attribute(kind: int, value: bytes) -> bytes:
    return pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, body: bytes = b"") -> bytes:
    return pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


def test_an_address_of_its_own_is_preferred_to_its_peers() -> None:
    """IFA_ADDRESS of a point-to-point link is the other end. A label does not disturb."""
    mine, peer = b"\xc6\x33\x64\x02", b"\xc6\x33\x64\x01"
    told = attribute(1, peer) + attribute(2, mine) + attribute(3, b"eth0\0")
    body = pack("=BBBBI", 2, 32, 0, 0, 7) + told
    assert parse(message(20, body) + message(16)) == ([(7, mine)], False)
    assert parse(message(3)) == ([], True)


def test_a_refusal_is_said() -> None:
    """NLMSG_ERROR."""
    with pytest.raises(CaptureError, match="does not say"):
        parse(message(2, bytes(20)))


@given(st.binary(max_size=120))
def test_whatever_the_kernel_says_ends(answer: bytes) -> None:
    """No other exception, no endless loop."""
    with contextlib.suppress(CaptureError):
        parse(answer)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and packet sockets need root")
@pytest.mark.parametrize("pod_ip", [SERVER, SERVER6])
def test_auto_asks_the_real_kernel(
    pod_ip: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`--interface auto` in a namespace with a second interface."""
    monkeypatch.setenv("SIDELIGHT_POD_IP", pod_ip)
    with namespaces() as both:
        run("ip", "-n", both.server, "link", "add", "other0", "type", "veth", "peer", "other1")
        command = ("--interface", "auto", "--port", "8000", "--record", str(tmp_path / "frames"))
        with program(both.server, "-m", "sidelight_sidecar.tap", *command) as tapping:
            first = tapping.logged()
            assert (first["event"], first["interface"]) == ("tapping", INTERFACE)
            tapping.stop()
