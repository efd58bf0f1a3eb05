"""Whatever part of a connection is not captured: an exchange is right, or it is not there."""

from __future__ import annotations

import random

from hypothesis import example, given
from hypothesis import strategies as st
from observed import observed
from wire import FIN, PSH, RST, Wire

Packet = tuple[bool, int, int, bytes, int]
"""(by the client, sequence number, acknowledgment number, payload, flags)"""


def request_of(number: int, size: int) -> bytes:
    body = b"%06d" % number + b"q" * size
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


def answer_of(number: int, size: int) -> bytes:
    body = b'{"model":"m%06d","x":"%s"}' % (number, b"a" * size)
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


class Conversation:
    """Requests and answers on one connection, as both hosts' TCP would send them."""

    def __init__(self, chance: random.Random) -> None:
        self.packets: list[Packet] = []
        self._chance = chance
        self._next = {True: 1, False: 1}

    def say(self, by_client: bool, data: bytes) -> None:
        """Send these bytes in segments, of which some are acknowledged by themselves."""
        while data:
            size = self._chance.choice((1, 20, 100, 10_000))
            self._add(by_client, data[:size], PSH)
            self._next[by_client] += len(data[:size])
            data = data[size:]
            if self._chance.random() < 0.5:
                self._add(not by_client, b"", 0)

    def end(self, by_client: bool, flag: int) -> None:
        """FIN or RST."""
        self._add(by_client, b"", flag)
        self._next[by_client] += flag == FIN

    def repeat(self, share: float) -> None:
        """Send some segments twice, the second time somewhat later."""
        for place in range(len(self.packets) - 1, -1, -1):
            if self._chance.random() < share:
                later = place + self._chance.randrange(1, 4)
                self.packets.insert(later, self.packets[place])

    def _add(self, by_client: bool, data: bytes, flags: int) -> None:
        packet = (by_client, self._next[by_client], self._next[not by_client], data, flags)
        self.packets.append(packet)


@example(2, [(0, 0)], "fin", 0.0, 2)  # a first segment of one byte: "OST /v1/..." is no request
@given(
    st.integers(0, 1 << 32),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=6),
    st.sampled_from(["fin", "reset", "open"]),
    st.sampled_from([0.0, 0.02, 0.2, 0.6]),
    st.integers(0, 10),
)
def test_exchanges_are_right_or_missing(
    seed: int, sizes: list[tuple[int, int]], how: str, share_lost: float, missed: int
) -> None:
    """Segments are lost by the capture in any pattern, from the first ones on."""
    chance = random.Random(seed)
    conversation = Conversation(chance)
    truth = set()
    for number, (asked, answered) in enumerate(sizes):
        last = number == len(sizes) - 1
        answer = answer_of(number, answered)
        conversation.say(True, request_of(number, asked))
        if last and how == "reset":
            part = answer[: chance.randrange(len(answer))]
            conversation.say(False, part)
            conversation.end(True, RST)
            truth.add(("", 499, 6 + asked, len(part.partition(b"\r\n\r\n")[2])))
        else:
            conversation.say(False, answer)
            truth.add((f"m{number:06d}", 200, 6 + asked, len(answer.partition(b"\r\n\r\n")[2])))
    if how == "fin":
        conversation.end(True, FIN)
        conversation.end(False, FIN)
        conversation.end(True, 0)
    conversation.repeat(0.1)
    isns = {"client_isn": seed & 0xFFFFFFFF, "engine_isn": (seed * 7919) & 0xFFFFFFFF}
    wire = Wire(**isns).open() if not missed else Wire(**isns)
    complete = not (missed or share_lost)
    for place, (by_client, seq, ack, data, flags) in enumerate(conversation.packets):
        if place >= missed - 1 and chance.random() >= share_lost:
            wire.send(by_client, seq, ack, data, flags)
    wire.connections.tick(1 << 60)
    seen = {(e.model, e.code, e.bytes_in, e.bytes_out) for e in observed(wire.out.frames).exchanges}
    assert seen <= truth
    if complete:
        assert seen == truth
        assert wire.counters.tap_bytes_lost == 0
    times = [frame[2] for frame in wire.out.frames]
    assert times == sorted(times)
