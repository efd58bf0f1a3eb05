"""The packets themselves: an AF_PACKET socket with a ring that the kernel fills (TPACKET_V3).

Rules:
1. The filter is there before the socket is bound, so nothing else is ever queued.
2. The kernel writes, we read: when the ring is full it drops packets and counts them. Nobody waits.
3. Nothing is sent. The socket has no transmit ring, and no method here calls `send`.

Layouts are those of linux/if_packet.h; `socket` has few of its names.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import socket
from collections.abc import Iterator
from struct import Struct

from sidelight_sidecar.tap.packet_filter import program

BLOCK_BYTES = 1 << 18
"""One packet must fit: GRO and TSO make them of 64 KiB, with BIG TCP of 192 KiB and more."""
BLOCKS = 32
"""8 MiB: a tenth of a second at 600 Mbit/s. The socket's own buffer instead of a ring would hold
three packets of 64 KiB (net.core.rmem_max), and raising that needs NET_ADMIN."""
BLOCK_AGE_MS = 100
"""A block that is not full is handed over after this time; with 32 of them, a tap that gets no
processor for three seconds loses nothing of a slow stream. (With 20 ms one lost 8 % of its packets
while it started, beside an engine that took both processors.) Times are the kernel's: what is
handed over later is not measured later."""
BLOCKS_A_ROUND = 8

ETH_P_ALL = 0x0003
ETHERNET_TYPES = (1, 772)  # ARPHRD_ETHER, ARPHRD_LOOPBACK
LOOPBACK_TYPE = 772
SIOCGIFHWADDR = 0x8927

SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
TPACKET_V3 = 2
SO_ATTACH_FILTER, SO_LOCK_FILTER = 26, 44

FRAME_BYTES = 2048  # the kernel wants one; version 3 does not use it
STATUS_KERNEL, STATUS_USER = 0, 1
CHECKSUM_NOT_READY, CHECKSUM_VALID = 1 << 3, 1 << 7

_ring_request = Struct("=7I").pack
_filter_program = Struct("@HP").pack
_statistics = Struct("=3I")
_block = Struct("=8xIII").unpack_from  # status, packets, offset of the first
_status = Struct("=I")
_packet = Struct("=IIIIIIH").unpack_from  # next, s, ns, captured, length, status, offset
PACKET_TYPE_AT = 48 + 10  # sll_pkttype in the address behind the header
PACKET_HOST = 0


class CaptureError(Exception):
    """Packets cannot be read; the message says why and what to do."""


Packet = tuple[int, int, int, int, bool]
"""(time of day in ns, where it begins in the ring, where it ends, length on the wire, the checksum
has still to be verified)"""


class Capture:
    """The packets of one port on one interface.

    Attributes:
        ring: what a packet's places count in.

    Raises:
        CaptureError: no such interface, a wrong kind of it, or not allowed.
    """

    def __init__(
        self, interface: str, port: int, *, blocks: int = BLOCKS, block_bytes: int = BLOCK_BYTES
    ) -> None:
        self._blocks = blocks
        self._block_bytes = block_bytes
        self._next = 0
        self._socket = _open()
        try:
            loopback = _is_loopback(self._socket, interface)
            self._filter(program(port, loopback=loopback))
            self.ring = self._map()
            self._socket.bind((interface, ETH_P_ALL))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def packets(self) -> Iterator[Packet]:
        """Yield what is there, some blocks of it at most. A packet's place in the ring is its own
        until the next one is asked for.
        """
        ring = self.ring
        for _ in range(BLOCKS_A_ROUND):
            start = self._next * self._block_bytes
            status, count, offset = _block(ring, start)
            if not status & STATUS_USER:
                return
            at = start + offset
            for _ in range(count):
                step, seconds, ns, captured, length, status, place = _packet(ring, at)
                begin = at + place
                verify = (
                    not status & (CHECKSUM_NOT_READY | CHECKSUM_VALID)
                    and ring[at + PACKET_TYPE_AT] == PACKET_HOST
                )
                yield seconds * 1_000_000_000 + ns, begin, begin + captured, length, verify
                at += step
            _status.pack_into(ring, start + 8, STATUS_KERNEL)
            self._next = (self._next + 1) % self._blocks

    def statistics(self) -> tuple[int, int]:
        """Return how many packets passed the filter since the last call, and how many of them found
        no room.
        """
        raw = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _statistics.size)
        passed, dropped, _ = _statistics.unpack(raw)
        return passed, dropped

    def error(self) -> OSError | None:
        """Return and clear what is wrong with the socket: the interface is down, or gone."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(number, errno.errorcode.get(number, "")) if number else None

    def close(self) -> None:
        """Read no more."""
        self.ring.close()
        self._socket.close()

    def _filter(self, code: bytes) -> None:
        instructions = ctypes.create_string_buffer(code, len(code))
        attached = _filter_program(len(code) // 8, ctypes.addressof(instructions))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)

    def _map(self) -> mmap.mmap:
        size = self._blocks * self._block_bytes
        self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        request = _ring_request(
            self._block_bytes, self._blocks, FRAME_BYTES, size // FRAME_BYTES, BLOCK_AGE_MS, 0, 0
        )
        try:
            self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            return mmap.mmap(self._socket.fileno(), size)
        except OSError as error:
            raise CaptureError(f"no ring of {size >> 20} MiB: {error.strerror}") from error


def _open() -> socket.socket:
    """Open a socket that gets nothing yet: its protocol is 0 until it is bound."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError as error:
        raise CaptureError(
            "not allowed to read packets: the container needs the capability NET_RAW, and user 0"
        ) from error
    except OSError as error:
        raise CaptureError(f"this kernel gives no packet sockets: {error.strerror}") from error


def _is_loopback(packets: socket.socket, interface: str) -> bool:
    name = interface.encode()
    try:
        answer = fcntl.ioctl(packets, SIOCGIFHWADDR, Struct("16s24x").pack(name))
    except OSError as error:
        there = ", ".join([known for _, known in socket.if_nameindex()])
        raise CaptureError(f"no interface {interface!r} here; there are: {there}") from error
    (kind,) = Struct("=16xH").unpack_from(answer)
    if kind not in ETHERNET_TYPES:
        raise CaptureError(f"interface {interface!r} carries no Ethernet (its type is {kind})")
    return bool(kind == LOOPBACK_TYPE)
