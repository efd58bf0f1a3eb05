"""Which interface is the pod's own: the one with the pod's address, for Services send there.

`eth0` is usual, but a pod's network may name it otherwise, and a second network (Multus and the
like) brings more interfaces. The kernel is asked over netlink (RTM_GETADDR), which needs no right.
"""

from __future__ import annotations

import socket
from struct import Struct

from sidelight_sidecar.tap.capture import CaptureError

AUTO = "auto"

# linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
RTM_NEWADDR, RTM_GETADDR = 20, 22
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
IFA_ADDRESS, IFA_LOCAL = 1, 2

_header = Struct("=IHHII")
_address = Struct("=BBBBI")  # family, prefix, flags, scope, interface
_attribute = Struct("=HH")
_ANSWER_BYTES = 1 << 16
_LOOPBACK = "lo"

Owned = tuple[int, bytes]
"""(index of the interface, address)"""


def choose(pod_ip: str, owned: list[Owned], names: dict[int, str]) -> str:
    """Return the interface with `pod_ip`; without such a one, the only one that there is.

    Raises:
        CaptureError: it cannot be told.
    """
    address = _packed(pod_ip)
    holding = [names[index] for index, held in owned if held == address and index in names]
    others = sorted(name for name in names.values() if name != _LOOPBACK)
    if holding or len(others) == 1:
        return (holding or others)[0]
    there = ", ".join(others) or "none but lo"
    raise CaptureError(
        f"no interface has the pod's address {pod_ip or '(SIDELIGHT_POD_IP is not set)'}; "
        f"name one with --interface; there are: {there}"
    )


def parse(answer: bytes) -> tuple[list[Owned], bool]:
    """Return the addresses in one answer of the kernel, and whether it was the last.

    Raises:
        CaptureError: the kernel refused.
    """
    found: list[Owned] = []
    at = 0
    while at + _header.size <= len(answer):
        length, kind, _, _, _ = _header.unpack_from(answer, at)
        if kind == NLMSG_DONE:
            return found, True
        if kind == NLMSG_ERROR or length < _header.size:
            raise CaptureError("the kernel does not say which interface has which address")
        body = answer[at + _header.size : at + length]
        if kind == RTM_NEWADDR and len(body) >= _address.size:
            index = _address.unpack_from(body)[4]
            attributes = _attributes(body[_address.size :])
            address = attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)
            if address:
                found.append((index, address))
        at += _aligned(length)
    return found, False


def find(pod_ip: str) -> str:
    """Return the interface of this network namespace that is the pod's own.

    Raises:
        CaptureError: it cannot be told.
    """
    owned: list[Owned] = []
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
            body = _address.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
            length = _header.size + len(body)
            asked = _header.pack(length, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
            netlink.send(asked + body)
            last = False
            while not last:
                more, last = parse(netlink.recv(_ANSWER_BYTES))
                owned += more
    except OSError as error:
        raise CaptureError(f"the interfaces cannot be listed: {error.strerror}") from error
    return choose(pod_ip, owned, dict(socket.if_nameindex()))


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    at = 0
    while at + _attribute.size <= len(data):
        length, kind = _attribute.unpack_from(data, at)
        if length < _attribute.size:
            break
        found[kind] = data[at + _attribute.size : at + length]
        at += _aligned(length)
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _packed(address: str) -> bytes:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, address)
        except OSError:
            continue
    return b""
