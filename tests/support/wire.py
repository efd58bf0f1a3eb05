"""Packets built by hand, and the tap's connections with frames as the result."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence

from sidelight_sidecar.frames import codec
from sidelight_sidecar.frames.codec import Frame
from sidelight_sidecar.relay.tee import TeeState
from sidelight_sidecar.tap.connections import Connections
from sidelight_sidecar.tap.counters import TapCounters
from sidelight_sidecar.tap.limits import Limits
from sidelight_sidecar.tap.packet import ACK, FIN, RST, SYN

PORT = 8000
CLIENT, ENGINE = "198.51.100.1", "198.51.100.2"
CLIENT6, ENGINE6 = "2001:db8::1", "2001:db8::2"
CLIENT_PORT = 40_000
PSH = 0x08
MS = 1_000_000


def tcp_of(
    addresses: tuple[str, str],
    ports: tuple[int, int],
    *,
    seq: int = 1,
    ack: int = 0,
    flags: int = ACK,
    payload: bytes = b"",
    options: bytes = b"",
) -> bytes:
    """A TCP segment with its checksum."""
    head = struct.pack(
        "!HHIIBBHHH", *ports, seq, ack, (5 + len(options) // 4) << 4, flags, 500, 0, 0
    )
    segment = head + options + payload
    family = socket.AF_INET6 if ":" in addresses[0] else socket.AF_INET
    pseudo = b"".join([socket.inet_pton(family, address) for address in addresses])
    pseudo += struct.pack("!IHH", len(segment), 0, 6)
    padded = pseudo + segment + b"\0" * (len(segment) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return segment[:16] + struct.pack("!H", ~total & 0xFFFF) + segment[18:]


def ethernet(kind: int, payload: bytes, tags: Sequence[int] = ()) -> bytes:
    """A frame; each tag is a VLAN tag's type."""
    return (
        b"\x02" * 12
        + b"".join([struct.pack("!HH", tag, 7) for tag in tags])
        + struct.pack("!H", kind)
        + payload
    )


def ipv4(
    segment: bytes,
    *,
    addresses: tuple[str, str] = (CLIENT, ENGINE),
    options: bytes = b"",
    fragment: int = 0,
    protocol: int = 6,
    length: int | None = None,
    tags: Sequence[int] = (),
) -> bytes:
    """An IPv4 packet in Ethernet."""
    size = 20 + len(options) + len(segment) if length is None else length
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | (5 + len(options) // 4),
        0,
        size,
        1,
        fragment,
        64,
        protocol,
        0,
        *[socket.inet_aton(address) for address in addresses],
    )
    return ethernet(0x0800, head + options + segment, tags)


def ipv6(
    segment: bytes,
    *,
    addresses: tuple[str, str] = (CLIENT6, ENGINE6),
    extensions: Sequence[tuple[int, bytes]] = (),
    length: int | None = None,
    tags: Sequence[int] = (),
) -> bytes:
    """An IPv6 packet in Ethernet; an extension is its number and its body after `next header`."""
    numbers = [number for number, _ in extensions] + [6]
    chain = b"".join(
        [
            bytes([following]) + body
            for following, (_, body) in zip(numbers[1:], extensions, strict=True)
        ]
    )
    size = len(chain) + len(segment) if length is None else length
    packed = [socket.inet_pton(socket.AF_INET6, address) for address in addresses]
    head = struct.pack("!IHBB16s16s", 6 << 28, size, numbers[0], 64, *packed)
    return ethernet(0x86DD, head + chain + segment, tags)


def from_client(**fields: object) -> bytes:
    """A client's IPv4 segment."""
    return tcp_of((CLIENT, ENGINE), (CLIENT_PORT, PORT), **fields)  # type: ignore[arg-type]


def from_engine(**fields: object) -> bytes:
    """An engine's IPv4 segment."""
    return tcp_of((ENGINE, CLIENT), (PORT, CLIENT_PORT), **fields)  # type: ignore[arg-type]


class FrameList:
    """Takes the tee's place and keeps the frames."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def open(self, flow: int, at_ns: int, opened: bytes) -> TeeState:
        """`O`."""
        self._add(flow, codec.OPEN, at_ns, opened)
        return TeeState(flow, opened)

    def traffic(self, state: TeeState, kind: int, at_ns: int, delay_ns: int, data: bytes) -> None:
        """Bytes, ends and gaps."""
        assert delay_ns == codec.NO_DELAY
        self._add(state.flow, kind, at_ns, data)

    def reset(self, state: TeeState, at_ns: int, by: bytes) -> None:
        """`R`."""
        self._add(state.flow, codec.RESET, at_ns, by)

    def close(self, state: TeeState, at_ns: int) -> None:
        """`X`."""
        self._add(state.flow, codec.CLOSED, at_ns, b"")

    def _add(self, flow: int, kind: int, at_ns: int, payload: bytes) -> None:
        self.frames.append((flow, kind, at_ns, codec.NO_DELAY, payload))


class Wire:
    """One client's connection as a sequence of segments, 1 ms apart unless said otherwise.

    Sequence numbers are given as offsets from each side's first number, so that byte 1 is the first
    one after the SYN, as wireshark shows them.
    """

    def __init__(
        self, limits: Limits | None = None, *, client_isn: int = 1000, engine_isn: int = 5000
    ) -> None:
        self.out = FrameList()
        self.counters = TapCounters()
        self.connections = Connections(PORT, self.out, self.counters, limits)
        self.isn = (engine_isn, client_isn)
        self.key = socket.inet_aton(CLIENT) + socket.inet_aton(ENGINE) + b"\x9c\x40"
        self.at_ms = 0.0

    def send(
        self,
        by_client: bool,
        seq: int,
        ack: int | None,
        payload: bytes = b"",
        flags: int = 0,
        *,
        at_ms: float | None = None,
        length: int | None = None,
    ) -> Wire:
        """One segment of either side."""
        self.at_ms = self.at_ms + 1 if at_ms is None else at_ms
        if ack is not None:
            flags |= ACK
        number = (self.isn[by_client] + seq) & 0xFFFFFFFF
        acked = (self.isn[not by_client] + (ack or 0)) & 0xFFFFFFFF if ack is not None else 0
        size = len(payload) if length is None else length
        segment = (self.key, by_client, number, acked, flags, payload, size)
        self.connections.segment(int(self.at_ms * MS), segment)
        return self

    def client(self, seq: int, ack: int | None, payload: bytes = b"", **more: object) -> Wire:
        """A segment of the client."""
        return self.send(True, seq, ack, payload, **more)  # type: ignore[arg-type]

    def engine(self, seq: int, ack: int | None, payload: bytes = b"", **more: object) -> Wire:
        """A segment of the engine."""
        return self.send(False, seq, ack, payload, **more)  # type: ignore[arg-type]

    def open(self) -> Wire:
        """The handshake."""
        self.client(0, None, flags=SYN)
        self.engine(0, 1, flags=SYN)
        return self.client(1, 1)

    @property
    def shown(self) -> str:
        """The frames as text: `O c:hello s:answer C S X`; `R:client`."""
        return " ".join(
            [
                chr(kind) + (f":{payload.decode()}" if payload and kind != codec.OPEN else "")
                for _, kind, _, _, payload in self.out.frames
            ]
        )

    @property
    def times_ms(self) -> list[float]:
        """The frames' times."""
        return [at_ns / MS for _, _, at_ns, _, _ in self.out.frames]

    def opened(self) -> list[dict[str, str]]:
        """What the `O` frames say."""
        return [json.loads(f[4]) for f in self.out.frames if f[1] == codec.OPEN]


__all__ = ["ACK", "FIN", "PSH", "RST", "SYN", "FrameList", "Wire"]
