"""Which snapshots of metrics are sent, and what is counted of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.ship.snapshots import SnapshotShipper
from sidelight_sidecar.capture.ship.time_left import WallClock
from sidelight_sidecar.records.handover import MetricsState
from sidelight_sidecar.records.metrics import Snapshot

FINE = Delivery(Outcome.DELIVERED)


def snapshot(number: int) -> Snapshot:
    return Snapshot(1, number, [], [])


class Sink:
    """Says what it is to say, once it is let to."""

    name = "otlp"

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.says: list[Delivery | Exception] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.closed = False

    async def send(self, snapshot: Snapshot) -> Delivery:
        self.sent.append(snapshot.unix_ns)
        await self.goes_on.wait()
        said = self.says.pop(0) if self.says else FINE
        if isinstance(said, Exception):
            raise said
        return said

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def shipping(sink: Sink) -> AsyncIterator[SnapshotShipper]:
    """A shipper that has ended with the block."""
    made = SnapshotShipper(sink, WallClock())
    async with asyncio.TaskGroup() as group:
        group.create_task(made.run())
        yield made
        made.end(10)
    await made.close()
    assert sink.closed


async def until_sent(sink: Sink, count: int) -> None:
    async with asyncio.timeout(30):
        while len(sink.sent) < count:  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0)


async def test_each_is_sent_once():
    """Nothing comes again by itself."""
    sink = Sink()
    async with shipping(sink) as shipper:
        for number in (1, 2):
            shipper.take(snapshot(number))
            await until_sent(sink, number)
    assert sink.sent == [1, 2]
    assert shipper.state == MetricsState(delivered=2)


async def test_while_a_sink_is_slow_only_the_newest_waits():
    """The others said less than it does."""
    sink = Sink()
    sink.goes_on.clear()
    async with shipping(sink) as shipper:
        shipper.take(snapshot(1))
        await until_sent(sink, 1)
        for number in (2, 3, 4):
            shipper.take(snapshot(number))
        sink.goes_on.set()
    assert sink.sent == [1, 4]


async def test_what_fails_is_counted_and_not_sent_again():
    """The next says all that it said; a fault of the sink's own ends nothing."""
    sink = Sink()
    sink.says = [
        Delivery(Outcome.LATER, "status 503"), ValueError("words"),
        Delivery(Outcome.REFUSED, "status 400"), Delivery(Outcome.DELIVERED, "some", refused=3),
    ]  # fmt: skip
    whys = []
    async with shipping(sink) as shipper:
        for number in range(1, 6):
            shipper.take(snapshot(number))
            await until_sent(sink, number)
            await asyncio.sleep(0)
            whys.append(shipper.state.why)
    assert sink.sent == [1, 2, 3, 4, 5]
    assert whys == ["status 503", "ValueError", "status 400", "some", ""]
    assert shipper.state == MetricsState(delivered=1, partial=1, failed=3)


async def test_several_that_fail_in_a_row_are_told_and_one_that_does_not_ends_that():
    """A single failure is nothing to be woken for."""
    sink = Sink()
    sink.says = [Delivery(Outcome.LATER, "status 503")] * 4 + [FINE]
    downs = []
    async with shipping(sink) as shipper:
        for number in range(1, 6):
            shipper.take(snapshot(number))
            await until_sent(sink, number)
            await asyncio.sleep(0)
            downs.append(shipper.state.down)
    assert downs == [False, False, True, True, False]


async def test_what_waits_at_the_end_is_sent():
    """The last counts of a pod."""
    sink = Sink()
    async with shipping(sink) as shipper:
        shipper.take(snapshot(1))
    assert sink.sent == [1]


async def test_at_the_end_nothing_is_waited_for_longer_than_there_is_time():
    """A sink that says nothing."""
    sink = Sink()
    sink.goes_on.clear()
    shipper = SnapshotShipper(sink, WallClock())
    shipper.take(snapshot(1))
    shipper.end(0)
    await shipper.run()
    assert shipper.state == MetricsState(failed=1, why="timed out")
