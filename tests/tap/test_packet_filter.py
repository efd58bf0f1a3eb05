"""The filter as the kernel runs it: on a pair of datagram sockets, which needs no privilege.

There every datagram counts as a packet for this host, as one that comes in. What goes out is tried
with real interfaces, in test_process.py and test_beside_relay.py.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Callable, Iterator

import pytest
from wire import (
    CLIENT,
    CLIENT6,
    CLIENT_PORT,
    ENGINE,
    ENGINE6,
    PORT,
    ethernet,
    from_client,
    ipv4,
    ipv6,
    tcp_of,
)

from sidelight_sidecar.tap.capture import SO_ATTACH_FILTER
from sidelight_sidecar.tap.packet_filter import program

Passes = Callable[[bytes], bool]
HOP_BY_HOP = (0, b"\0\1\4\0\0\0\0")
LONG_OPTIONS = (60, b"\3" + bytes(30))


@pytest.fixture
def passes() -> Iterator[Passes]:
    """Ask the kernel."""
    code = program(PORT, loopback=False)
    instructions = ctypes.create_string_buffer(code, len(code))
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        attached = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
        there.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)
        there.setblocking(False)

        def ask(packet: bytes) -> bool:
            here.send(packet)
            try:
                return there.recv(1 << 17) == packet
            except BlockingIOError:
                return False

        yield ask


def segment6(ports: tuple[int, int] = (CLIENT_PORT, PORT), **fields: object) -> bytes:
    return tcp_of((CLIENT6, ENGINE6), ports, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("tags", [(), (0x8100,), (0x88A8, 0x8100)])
def test_packets_for_the_port_pass(passes: Passes, tags: tuple[int, ...]) -> None:
    """Both versions of IP, with options and extensions, in VLANs or not."""
    assert passes(ipv4(from_client(payload=b"x" * 9), tags=tags))
    assert passes(ipv4(from_client(), options=b"\1" * 12, tags=tags))
    assert passes(ipv6(segment6(), tags=tags))
    assert passes(ipv6(segment6(), extensions=[HOP_BY_HOP, LONG_OPTIONS] * 2, tags=tags))
    assert passes(ipv4(from_client(payload=bytes(60_000)), tags=tags))


@pytest.mark.parametrize("ports", [(CLIENT_PORT, 22), (CLIENT_PORT, PORT + 1), (PORT, CLIENT_PORT)])
def test_packets_for_other_ports_do_not(passes: Passes, ports: tuple[int, int]) -> None:
    """Nor what comes in *from* such a port: that is somebody else's server."""
    assert not passes(ipv4(tcp_of((CLIENT, ENGINE), ports)))
    assert not passes(ipv6(segment6(ports)))


def test_other_protocols_do_not_pass(passes: Passes) -> None:
    """UDP to the port, ARP, and what stands where a port would."""
    assert not passes(ipv4(from_client(), protocol=17))
    assert not passes(ipv6(segment6(), extensions=[(50, bytes(7))]))
    assert not passes(ethernet(0x0806, bytes(46)))
    assert not passes(ipv6(segment6(), extensions=[HOP_BY_HOP] * 5)), "one more than is followed"
    assert not passes(ethernet(0x8100, b""))
    assert not passes(ipv4(from_client(), tags=(0x8100,) * 3))
    assert not passes(b"short")


def test_of_a_fragmented_packet_the_first_part_passes(passes: Passes) -> None:
    """It has the ports; the others cannot be told from strangers'."""
    assert passes(ipv4(from_client(), fragment=0x2000))
    assert not passes(ipv4(from_client(), fragment=0x2001))
    assert not passes(ipv4(from_client(), fragment=0x0001))
    assert passes(ipv6(segment6(), extensions=[(44, b"\0\0\1\0\0\0\1")]))
    assert not passes(ipv6(segment6(), extensions=[(44, b"\0\0\x08\0\0\0\1")]))


def test_length_of_the_ip_header_is_respected(passes: Passes) -> None:
    """Options that look like ports are none."""
    decoy = struct.pack("!HH", CLIENT_PORT, PORT) * 2
    other = tcp_of((CLIENT, ENGINE), (CLIENT_PORT, 22))
    assert not passes(ipv4(other, options=decoy))
    assert not passes(ipv6(segment6((1, 2)), extensions=[(0, b"\0" + bytes(2) + decoy[:4])]))
