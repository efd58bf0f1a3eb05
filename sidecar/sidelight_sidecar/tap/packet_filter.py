"""The kernel's filter (classic BPF): only the packets of one served port are copied.

Rules:
1. Of the pod's own server alone: what comes in must be for the port, what goes out must be from it.
   What the pod itself asks of another server's equal port is not its traffic.
2. On the loopback interface every packet passes twice, as outgoing and as incoming: the outgoing
   one is taken.
3. Up to two VLAN tags that stand in the packet (an off-loaded tag does not), IPv4 with options,
   IPv6 with up to four extension headers. Of a fragmented packet only the first fragment has ports,
   so it alone passes, to be counted.
"""

from __future__ import annotations

from struct import Struct

INSTRUCTION = Struct("=HBBI")
WHOLE_PACKET = 0xFFFFFFFF
ANCILLARY = 0xFFFFF000  # SKF_AD_OFF, linux/filter.h
PACKET_TYPE = ANCILLARY + 4  # SKF_AD_PKTTYPE
PACKET_HOST = 0
PACKET_OUTGOING = 4
MAX_EXTENSIONS = 4

# linux/bpf_common.h
_LD, _LDX, _ST, _ALU, _JMP, _RET, _TAX = 0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x07
_BYTE, _HALF = 0x10, 0x08
_ABSOLUTE, _INDEXED, _MEMORY, _IMMEDIATE = 0x20, 0x40, 0x60, 0x00
_ADD, _AND, _SHIFT_LEFT, _X = 0x00, 0x50, 0x60, 0x08
_ALWAYS, _EQUAL, _SET = 0x00, 0x10, 0x40

_PORT_OFFSET, _NEXT_HEADER = 0, 1  # cells of the filter's memory


class _Program:
    """Instructions with labels for jump targets.

    X is what stands before the header in question, beyond the 14 bytes of Ethernet; so every load
    is indexed and begins at 14.
    """

    def __init__(self) -> None:
        self._code: list[tuple[int, str | None, str | None, int]] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def add(self, code: int, value: int = 0) -> None:
        self._code.append((code, None, None, value))

    def jump(
        self, value: int, then: str | None = None, otherwise: str | None = None, *, test: int
    ) -> None:
        """Compare A; a label that is None means the next instruction."""
        self._code.append((_JMP | test, then, otherwise, value))

    def load(self, size: int, offset: int) -> None:
        self.add(_LD | size | _INDEXED, offset)

    def jump_to(self, label: str) -> None:
        self._code.append((_JMP | _ALWAYS, label, None, 0))

    def move_x_by_a(self) -> None:
        self.add(_ALU | _ADD | _X)
        self.add(_TAX)

    def assemble(self) -> bytes:
        out = []
        for place, (code, then, otherwise, value) in enumerate(self._code):
            steps = [self._labels[name] - place - 1 if name else 0 for name in (then, otherwise)]
            if code == _JMP | _ALWAYS:
                out.append(INSTRUCTION.pack(code, 0, 0, steps[0]))
            else:
                out.append(INSTRUCTION.pack(code, *steps, value))
        return b"".join(out)


def program(port: int, *, loopback: bool) -> bytes:
    """Return the filter for one port, as an array of `struct sock_filter`."""
    code = _Program()
    code.add(_LD | _BYTE | _ABSOLUTE, PACKET_TYPE)
    if loopback:
        code.jump(PACKET_OUTGOING, None, "reject", test=_EQUAL)
    else:
        _direction(code)
    _network_header(code)
    _ip_version_4(code)
    _ip_version_6(code)
    _ports(code, port, loopback=loopback)
    code.label("accept")
    code.add(_RET, WHOLE_PACKET)
    code.label("reject")
    code.add(_RET, 0)
    return code.assemble()


def _direction(code: _Program) -> None:
    """Remember which port counts: in TCP's header the source is at 0, the destination at 2."""
    code.jump(PACKET_OUTGOING, "outgoing", test=_EQUAL)
    code.jump(PACKET_HOST, None, "reject", test=_EQUAL)
    code.add(_LD | _IMMEDIATE, 2)
    code.jump_to("remember")
    code.label("outgoing")
    code.add(_LD | _IMMEDIATE, 0)
    code.label("remember")
    code.add(_ST, _PORT_OFFSET)


def _network_header(code: _Program) -> None:
    for tags in range(3):
        code.add(_LDX | _IMMEDIATE, 4 * tags)
        code.load(_HALF, 12)
        code.jump(0x0800, "ipv4", test=_EQUAL)
        code.jump(0x86DD, "ipv6", test=_EQUAL)
        if tags < 2:
            code.jump(0x8100, f"tag{tags}", test=_EQUAL)
            code.jump(0x88A8, None, "reject", test=_EQUAL)
            code.label(f"tag{tags}")
    code.jump_to("reject")


def _ip_version_4(code: _Program) -> None:
    code.label("ipv4")
    code.load(_BYTE, 14 + 9)
    code.jump(6, None, "reject", test=_EQUAL)
    code.load(_HALF, 14 + 6)
    code.jump(0x1FFF, "reject", test=_SET)  # a later fragment
    code.load(_BYTE, 14)
    code.add(_ALU | _AND, 0x0F)
    code.add(_ALU | _SHIFT_LEFT, 2)
    code.move_x_by_a()
    code.jump_to("ports")


def _ip_version_6(code: _Program) -> None:
    code.label("ipv6")
    code.load(_BYTE, 14 + 6)
    code.add(_ST, _NEXT_HEADER)
    code.add(_LD | _IMMEDIATE, 40)
    code.move_x_by_a()
    for number in range(MAX_EXTENSIONS):
        code.add(_LD | _MEMORY, _NEXT_HEADER)
        code.jump(6, "ports", test=_EQUAL)
        code.jump(44, f"fragment{number}", test=_EQUAL)
        for options in (0, 43):
            code.jump(options, f"options{number}", test=_EQUAL)
        code.jump(60, f"options{number}", "reject", test=_EQUAL)
        code.label(f"fragment{number}")
        code.load(_HALF, 14 + 2)
        code.jump(0xFFF8, "reject", test=_SET)  # a later fragment
        code.load(_BYTE, 14)
        code.add(_ST, _NEXT_HEADER)
        code.add(_LD | _IMMEDIATE, 8)
        code.jump_to(f"next{number}")
        code.label(f"options{number}")
        code.load(_BYTE, 14)
        code.add(_ST, _NEXT_HEADER)
        code.load(_BYTE, 15)
        code.add(_ALU | _ADD, 1)
        code.add(_ALU | _SHIFT_LEFT, 3)
        code.label(f"next{number}")
        code.move_x_by_a()
    code.add(_LD | _MEMORY, _NEXT_HEADER)
    code.jump(6, "ports", "reject", test=_EQUAL)


def _ports(code: _Program, port: int, *, loopback: bool) -> None:
    code.label("ports")
    if loopback:
        code.load(_HALF, 14)
        code.jump(port, "accept", test=_EQUAL)
        code.load(_HALF, 14 + 2)
    else:
        code.add(_LD | _MEMORY, _PORT_OFFSET)
        code.move_x_by_a()
        code.load(_HALF, 14)
    code.jump(port, "accept", "reject", test=_EQUAL)
