"""Packets of every shape in, one segment out, or the reason why not."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire import (
    ACK,
    CLIENT,
    CLIENT6,
    CLIENT_PORT,
    ENGINE,
    ENGINE6,
    PORT,
    PSH,
    from_client,
    from_engine,
    ipv4,
    ipv6,
    tcp_of,
)

from sidelight_sidecar.tap.packet import (
    CHECKSUM,
    FRAGMENT,
    MALFORMED,
    Segment,
    client_of,
    engine_of,
    parse,
)

KEY = socket.inet_aton(CLIENT) + socket.inet_aton(ENGINE) + struct.pack("!H", CLIENT_PORT)
HOP_BY_HOP = (0, b"\0\1\4\0\0\0\0")
ROUTING = (43, b"\1" + bytes(14))
DESTINATION = (60, b"\0\1\4\0\0\0\0")


def whole(packet: bytes, *, verify: bool = True) -> Segment | str:
    return parse(packet, 0, len(packet), len(packet), PORT, verify=verify)


def segment6(**fields: object) -> bytes:
    return tcp_of((CLIENT6, ENGINE6), (CLIENT_PORT, PORT), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("tags", [(), (0x8100,), (0x88A8, 0x8100)])
@pytest.mark.parametrize("options", [b"", b"\1" * 8])
def test_client_segment_over_ipv4(tags: tuple[int, ...], options: bytes) -> None:
    """VLAN tags and options of IP and TCP are stepped over."""
    tcp = from_client(seq=7, ack=9, flags=ACK | PSH, payload=b"hello", options=options)
    packet = ipv4(tcp, tags=tags, options=options)
    assert whole(packet) == (KEY, True, 7, 9, ACK | PSH, b"hello", 5)


def test_engine_segment_has_the_key_of_its_client() -> None:
    """Both directions of a connection meet under one key."""
    packet = ipv4(from_engine(seq=7, ack=9, payload=b"x"), addresses=(ENGINE, CLIENT))
    assert whole(packet) == (KEY, False, 7, 9, ACK, b"x", 1)


@pytest.mark.parametrize(
    "extensions", [(), (HOP_BY_HOP,), (HOP_BY_HOP, ROUTING, DESTINATION), (DESTINATION,) * 4]
)
@pytest.mark.parametrize("tags", [(), (0x8100,)])
def test_client_segment_over_ipv6(
    extensions: tuple[tuple[int, bytes], ...], tags: tuple[int, ...]
) -> None:
    """Extension headers are stepped over."""
    packet = ipv6(segment6(payload=b"hello"), extensions=extensions, tags=tags)
    segment = whole(packet)
    assert not isinstance(segment, str)
    assert segment[1:] == (True, 1, 0, ACK, b"hello", 5)
    assert client_of(segment[0]) == f"[{CLIENT6}]:{CLIENT_PORT}"
    assert engine_of(segment[0], PORT) == f"[{ENGINE6}]:{PORT}"


def test_addresses_are_shown_as_the_relay_shows_them() -> None:
    """The key holds all that an `O` frame says."""
    assert client_of(KEY) == f"{CLIENT}:{CLIENT_PORT}"
    assert engine_of(KEY, PORT) == f"{ENGINE}:{PORT}"


def test_padding_of_a_short_packet_is_no_payload() -> None:
    """Ethernet pads to 60 bytes; the length that counts is IP's."""
    packet = ipv4(from_client()) + b"\0" * 6
    segment = whole(packet)
    assert segment == (KEY, True, 1, 0, ACK, b"", 0)


def test_packet_longer_than_16_bits_can_say() -> None:
    """BIG TCP: a length of 0 means: as long as the packet is."""
    payload = bytes(100_000)
    tcp4 = from_client()[:16] + b"\0\0" + from_client()[18:] + payload
    assert whole(ipv4(tcp4, length=0), verify=False)[5:] == (payload, 100_000)
    jumbo = (0, b"\0\xc2\4" + struct.pack("!I", 100_000))
    tcp6 = segment6() + payload
    assert whole(ipv6(tcp6, length=0, extensions=[jumbo]), verify=False)[5:] == (payload, 100_000)
    assert whole(ipv6(tcp6, length=0), verify=False)[5:] == (payload, 100_000)


def test_what_was_not_captured_is_missing_at_the_end() -> None:
    """The length is that on the wire."""
    packet = ipv4(from_client(payload=b"hello"))
    segment = parse(packet, 0, len(packet) - 2, len(packet), PORT, verify=True)
    assert segment == (KEY, True, 1, 0, ACK, b"hel", 5)


def test_packet_in_the_midst_of_a_ring() -> None:
    """Nothing of its neighbours is read."""
    packet = ipv4(from_client(payload=b"hello"))
    ring = b"\xff" * 33 + packet + b"\xff" * 99
    end = 33 + len(packet)
    assert parse(ring, 33, end, len(packet), PORT, verify=True) == whole(packet)


@pytest.mark.parametrize("fragment", [0x2000, 0x2010, 0x0010])
def test_fragments_are_not_followed(fragment: int) -> None:
    """First, middle and last one."""
    assert whole(ipv4(from_client(), fragment=fragment)) == FRAGMENT


@pytest.mark.parametrize(("place", "expected"), [(1, FRAGMENT), (8, FRAGMENT), (0, b"hello")])
def test_fragment_header_of_ipv6(place: int, expected: object) -> None:
    """One that says "all of it" is no fragment."""
    header = (44, b"\0" + struct.pack("!HI", place, 1))
    segment = whole(ipv6(segment6(payload=b"hello"), extensions=[header]))
    assert (segment if isinstance(segment, str) else segment[5]) == expected


@pytest.mark.parametrize("size", [0, 1, 3, 1001])
def test_wrong_checksum_is_no_data(size: int) -> None:
    """TCP throws such a segment away; the right one passes."""
    packet = ipv4(from_client(payload=bytes(range(256))[:size] * 3, seq=77))
    damaged = packet[:40] + bytes([packet[40] ^ 1]) + packet[41:]
    assert not isinstance(whole(packet), str)
    assert whole(damaged) == CHECKSUM
    assert not isinstance(whole(damaged, verify=False), str)
    six = ipv6(segment6(payload=bytes(size)))
    assert not isinstance(whole(six), str)
    assert whole(six[:-1] + bytes([six[-1] ^ 1])) == CHECKSUM


def test_other_traffic_is_malformed_to_us() -> None:
    """The kernel's filter lets none of it through."""
    other_port = tcp_of((CLIENT, ENGINE), (CLIENT_PORT, 22))
    for packet in (ipv4(other_port), ipv4(from_client(), protocol=17), b"", b"\0" * 60):
        assert whole(packet) == MALFORMED


@given(st.binary(max_size=120), st.integers(0, 200), st.sampled_from([0x0800, 0x86DD, 0x8100]))
def test_any_bytes_are_survived(data: bytes, cut: int, kind: int) -> None:
    """Nothing is read beyond the packet's end, whatever its headers say."""
    packet = bytes(12) + struct.pack("!H", kind) + data
    end = min(cut, len(packet))
    segment = parse(packet + b"\xff" * 300, 0, end, len(packet), PORT)
    if not isinstance(segment, str):
        assert segment[5] in packet[:end]


@given(st.data())
def test_damaged_headers_are_survived(data: st.DataObject) -> None:
    """A good packet with some bytes changed: a segment inside of it, or none."""
    packet = bytearray(
        data.draw(st.sampled_from([ipv4(from_client(payload=b"ab")), ipv6(segment6())]))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(12, len(packet) - 1))] = data.draw(st.integers(0, 255))
    segment = parse(bytes(packet) + b"\xff" * 2000, 0, len(packet), len(packet), PORT)
    if not isinstance(segment, str):
        assert segment[5] in bytes(packet)
        assert segment[6] >= len(segment[5])
