"""How the capture process takes what comes from the observer."""

from __future__ import annotations

import socket
from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.capture.link import GATHER_SECONDS, MUCH_BYTES, Observer
from sidelight_sidecar.records.handover import Captured, Payload, encode, to_capture
from sidelight_sidecar.records.record import Origin, Record, Times


def captured(number: int, size: int = 0) -> Captured:
    """An exchange with a body."""
    record = Record(f"{number:032x}", f"r-{number}", Origin(), Times(1, 0.5), "chat", "Redacted")
    return Captured(record, Payload(), Payload(bytes(size), size=size))


class World:
    """Both ends, and what is sent while something is waited for."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        self.waits: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.observer = Observer(theirs, self._wait)
        self._theirs = theirs

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.meanwhile()

    def send(self, *numbers: int, size: int = 0) -> None:
        """Send exchanges."""
        for number in numbers:
            self.ours.sendall(encode(captured(number, size)))

    async def received(self) -> list[str] | None:
        """The requests that come."""
        messages = await self.observer.receive()
        if messages is None:
            return None
        return [one.record.request_id for one in messages if isinstance(one, Captured)]

    def close(self) -> None:
        """Let go of both ends."""
        self.ours.close()
        self._theirs.close()


async def test_what_comes_first_is_taken_at_once_and_then_more_is_waited_for():
    """So exchanges that end one after the other are masked together."""
    world = World()
    world.send(1)
    assert (await world.received(), world.waits) == (["r-1"], [])
    world.send(2)
    world.meanwhile = lambda: world.send(3)
    assert (await world.received(), world.waits) == (["r-2", "r-3"], [GATHER_SECONDS])
    world.close()


async def test_where_much_has_come_nothing_is_waited_for():
    """More is behind it."""
    world = World()
    world.send(1, size=MUCH_BYTES)
    assert await world.received() == ["r-1"]
    world.send(2)
    assert (await world.received(), world.waits) == (["r-2"], [])
    world.close()


async def test_an_observer_that_has_ended_is_noticed_after_what_it_sent():
    """And that one is heard of no more is no error."""
    world = World()
    world.send(1)
    world.ours.close()
    assert await world.received() == ["r-1"]
    assert await world.received() is None
    await world.observer.tell(b"too late")
    world.close()


@given(st.lists(st.integers(0, 300), max_size=5), st.lists(st.integers(0, 3000), max_size=9))
def test_messages_are_the_same_however_they_are_cut(sizes: list[int], cuts: list[int]) -> None:
    """A message is told once all of it is there."""
    sent = [captured(number, size) for number, size in enumerate(sizes)]
    whole = b"".join(map(encode, sent))
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    messages = to_capture()
    pieces = [whole[start:end] for start, end in pairwise(places)]
    assert [one for piece in pieces for one in messages.feed(piece)] == sent
