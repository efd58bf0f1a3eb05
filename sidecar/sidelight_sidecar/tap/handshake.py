"""Connections that are being made: SYN, SYN-ACK, and the first segment after them.

A connection is told of when it is made, not when it is asked for: the server's program knows of it
no earlier either, and a port scan opens nothing.
"""

from __future__ import annotations

from sidelight_sidecar.tap.packet import ACK, RST
from sidelight_sidecar.tap.stream import HALF, MASK

MAX_HANDSHAKES = 4096
"""As many as the relay lets wait to be accepted. Past it the oldest is forgotten; if that one is
made after all, it counts as joined midway."""


class Handshake:
    """What is known of one connection that is being made.

    Attributes:
        client_next: sequence number of the client's first byte.
        engine_next: the engine's; None: it has not answered.
        complete: the SYN was seen, so nothing of the connection is missing.
        early: payload that came with SYN or SYN-ACK: (from client, sequence number, bytes).
    """

    __slots__ = ("client_next", "complete", "early", "engine_next")

    def __init__(self, client_next: int, *, complete: bool) -> None:
        self.client_next = client_next
        self.engine_next: int | None = None
        self.complete = complete
        self.early: list[tuple[bool, int, bytes]] = []


class Handshakes:
    """All of them, by the connection's key."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[bytes, Handshake] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def syn(self, key: bytes, seq: int, payload: bytes) -> None:
        """Take the client's first segment; a repeated one changes nothing."""
        first = (seq + 1) & MASK
        known = self._waiting.get(key)
        if known is not None and known.client_next == first:
            return
        handshake = Handshake(first, complete=True)
        if payload:
            handshake.early.append((True, first, payload))
        self._keep(key, handshake)

    def syn_ack(self, key: bytes, seq: int, ack: int, payload: bytes) -> bool:
        """Take the engine's answer; return whether it answers what is known, or is all we know."""
        known = self._waiting.get(key)
        if known is None:
            known = Handshake(ack, complete=False)
            self._keep(key, known)
        elif (ack - known.client_next) & MASK > sum([len(early[2]) for early in known.early]):
            return False
        repeated = known.engine_next is not None
        known.engine_next = (seq + 1) & MASK
        if payload and not repeated:
            known.early.append((False, known.engine_next, payload))
        return True

    def continues(self, key: bytes, *, from_client: bool, seq: int) -> bool:
        """Say whether a segment is the first one after the handshake."""
        known = self._waiting.get(key)
        if known is None:
            return False
        expected = known.client_next if from_client else known.engine_next
        return expected is not None and (seq - expected) & MASK < HALF

    def restarts(self, key: bytes, *, from_client: bool, seq: int) -> bool:
        """Say whether a segment that comes in an open connection is the first of the next one: the
        client asked for that, and the engine's answer was not captured.
        """
        known = self._waiting.get(key)
        return known is not None and from_client and seq == known.client_next

    def end(self, key: bytes) -> Handshake | None:
        """Forget it and return it."""
        return self._waiting.pop(key, None)

    def refuses(self, key: bytes, *, from_client: bool, flags: int, ack: int) -> bool:
        """Say whether this reset is the engine's answer to the SYN."""
        known = self._waiting.get(key)
        if known is None or from_client or not flags & RST or not flags & ACK:
            return False
        return known.engine_next is None and (ack - known.client_next) & MASK < HALF

    def _keep(self, key: bytes, handshake: Handshake) -> None:
        self._waiting.pop(key, None)
        while len(self._waiting) >= MAX_HANDSHAKES:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = handshake
