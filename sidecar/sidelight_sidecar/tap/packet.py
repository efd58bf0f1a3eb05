"""From a captured packet to a TCP segment: Ethernet, VLAN tags, IPv4, IPv6 and its extensions.

Rules:
1. Lengths are the headers', not the capture's: short packets are padded on the wire. A length of 0
   is that of a packet too long for 16 bits (the kernel's own before it is cut to size: BIG TCP).
2. What was not captured is missing at the end of the payload; `length` says how long it was.
3. A packet with a wrong checksum is no data: TCP throws it away and gets those bytes again.
"""

from __future__ import annotations

import mmap
import socket
from struct import Struct

Segment = tuple[bytes, bool, int, int, int, bytes, int]
"""(key of the connection, sent by the client, sequence number, acknowledgment number, flags,
payload, length of the payload on the wire)"""
Buffer = bytes | mmap.mmap

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

FRAGMENT = "fragment"
MALFORMED = "malformed"
CHECKSUM = "checksum"

ETHERNET_BYTES = 14
IPV4_BYTES = 20
IPV6_BYTES = 40
TCP_BYTES = 20
_IPV4, _IPV6 = 0x0800, 0x86DD
_VLAN = (0x8100, 0x88A8)
_TCP, _FRAGMENTED = 6, 44
_OPTIONS = (0, 43, 60)  # hop-by-hop, routing, destination: all begin with next header and length

_type = Struct("!12xH").unpack_from
_half = Struct("!H").unpack_from
_ipv4 = Struct("!BxHxxHxBxx8s").unpack_from
_ipv6 = Struct("!4xHBx32s").unpack_from
_tcp = Struct("!HHIIBB").unpack_from


def parse(
    buffer: Buffer, start: int, end: int, wire_bytes: int, port: int, *, verify: bool = False
) -> Segment | str:
    """Return the segment that stands from `start` to `end`, or why it is none.

    Args:
        buffer: what holds the packet, from its Ethernet header on.
        start: where the packet begins.
        end: where what was captured of it ends.
        wire_bytes: how long the packet was.
        port: the served port; who talks to it is the client.
        verify: compute TCP's checksum. Packets of this host have none yet, and for most others the
            kernel has done it.
    """
    kind, at = _network_header(buffer, start, end)
    if kind == _IPV4:
        first, ip_bytes, fragment, protocol, addresses = _ipv4(buffer, at)
        if fragment & 0x3FFF:  # more fragments, or not the first
            return FRAGMENT
        tcp = at + (first & 0x0F) * 4
        ip_end = at + ip_bytes if ip_bytes else start + wire_bytes
    elif kind == _IPV6:
        after, tcp, protocol, addresses = _after_extensions(buffer, at, end)
        if protocol == _FRAGMENTED:
            return FRAGMENT
        ip_end = at + IPV6_BYTES + after if after else start + wire_bytes
    else:
        return MALFORMED
    if protocol != _TCP or tcp + TCP_BYTES > min(end, ip_end):
        return MALFORMED
    source, destination, seq, ack, offset, flags = _tcp(buffer, tcp)
    data, data_end = tcp + (offset >> 4) * 4, min(ip_end, end)
    if not tcp + TCP_BYTES <= data <= data_end or port not in (source, destination):
        return MALFORMED
    if verify and ip_end <= end and not _sum_is_right(addresses, buffer[tcp:ip_end]):
        return CHECKSUM
    from_client = destination == port
    if from_client:
        key = addresses + source.to_bytes(2, "big")
    else:
        half = len(addresses) // 2
        key = addresses[half:] + addresses[:half] + destination.to_bytes(2, "big")
    return key, from_client, seq, ack, flags, buffer[data:data_end], ip_end - data


def client_of(key: bytes) -> str:
    """Return the client's ``address:port``."""
    (port,) = _half(key, len(key) - 2)
    return f"{_address(key[: len(key) // 2 - 1])}:{port}"


def engine_of(key: bytes, port: int) -> str:
    """Return the engine's ``address:port``."""
    return f"{_address(key[len(key) // 2 - 1 : -2])}:{port}"


def _address(packed: bytes) -> str:
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]"


def _network_header(buffer: Buffer, start: int, end: int) -> tuple[int, int]:
    """Return what follows Ethernet and VLAN tags, and where; 0: it cannot hold a segment."""
    at = start + ETHERNET_BYTES
    if end < at + IPV4_BYTES + TCP_BYTES:
        return 0, at
    (kind,) = _type(buffer, start)
    while kind in _VLAN:
        at += 4
        if end < at + IPV4_BYTES + TCP_BYTES:
            return 0, at
        (kind,) = _half(buffer, at - 2)
    return kind, at


def _after_extensions(buffer: Buffer, at: int, end: int) -> tuple[int, int, int, bytes]:
    """Return IPv6's payload length, where TCP begins, its protocol and the addresses."""
    if at + IPV6_BYTES > end:
        return 0, end, 0, b""
    length, protocol, addresses = _ipv6(buffer, at)
    at += IPV6_BYTES
    while protocol in _OPTIONS and at + 8 <= end:
        protocol, units = buffer[at], buffer[at + 1]
        at += (units + 1) * 8
    if protocol == _FRAGMENTED and at + 8 <= end:
        (place,) = _half(buffer, at + 2)
        if not place & 0xFFF9:  # neither at another place nor with more to come: all in one
            protocol, at = buffer[at], at + 8
    return length, at, protocol, addresses


def _sum_is_right(addresses: bytes, tcp: bytes) -> bool:
    """Whether the ones' complement sum over the pseudo-header and TCP is what it must be.

    That sum is the number itself modulo 65535, which the interpreter computes in C.
    """
    padded = tcp + b"\0" if len(tcp) % 2 else tcp
    pseudo = addresses + len(tcp).to_bytes(4, "big") + b"\0\0\0\x06"
    return int.from_bytes(pseudo + padded, "big") % 0xFFFF == 0
