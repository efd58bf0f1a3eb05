"""Shipping from a spool to a sink, with a clock of the test's own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sidelight_sidecar.capture.ship import shipper as shipper_module
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome, ShipSettings
from sidelight_sidecar.capture.ship.shipper import Shipper
from sidelight_sidecar.capture.ship.time_left import WallClock
from sidelight_sidecar.capture.spool.queue import Entry, MemorySpool

SETTINGS = ShipSettings(most=4, linger_seconds=5.0, timeout_seconds=30.0)
OK = Delivery(Outcome.DELIVERED)
LATER = Delivery(Outcome.LATER, "status 503")


class SteppedClock:
    """Time passes only by sleeping; what was slept is noted."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []
        self.when_slept: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.time

    def unix(self) -> float:
        return self.time

    async def sleep(self, seconds: float, wake: asyncio.Event) -> None:
        await asyncio.sleep(0)
        if not wake.is_set():
            self.slept.append(seconds)
            self.time += seconds
            self.when_slept()


class ListSink:
    """Keeps what it is sent; answers as told."""

    name = "list"

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.answers: list[Delivery | Exception] = []

    async def send(self, entries: Sequence[Entry]) -> Delivery:
        self.batches.append([entry.record for entry in entries])
        answer = self.answers.pop(0) if self.answers else OK
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing to let go of."""


class World:
    """One sink, its spool, and who ships."""

    def __init__(self, clock: SteppedClock | WallClock | None = None) -> None:
        self.clock: Any = clock or SteppedClock()
        self.sink = ListSink()
        self.spool = MemorySpool(["list"], 1 << 20)
        self.shipper = Shipper(self.sink, self.spool, SETTINGS, self.clock, lambda: 1.0)

    def add(self, *records: bytes) -> None:
        for record in records:
            self.spool.append(record, self.clock.unix())
            self.shipper.added(len(record))

    def end_after_sleeps(self, count: int, within: float = 100.0) -> None:
        def slept() -> None:
            if len(self.clock.slept) == count:
                self.shipper.end(within)

        self.clock.when_slept = slept


@pytest.fixture
def world() -> World:
    return World()


async def test_records_wait_for_each_other_and_go_together(world: World):
    """Two, five seconds after the first."""
    world.add(b"1", b"2")
    world.end_after_sleeps(1)
    await world.shipper.run()
    assert world.sink.batches == [[b"1", b"2"]]
    assert world.clock.slept == [5.0]
    assert world.shipper.delivered == 2


async def test_full_batches_go_at_once(world: World):
    """Nine: two batches of four without a wait; the ninth waits."""
    world.add(*[b"%d" % number for number in range(9)])
    world.end_after_sleeps(1)
    await world.shipper.run()
    assert [len(batch) for batch in world.sink.batches] == [4, 4, 1]


@pytest.mark.parametrize("failure", [LATER, OSError("no route"), TimeoutError()])
async def test_what_failed_is_sent_again_and_nothing_is_lost(
    world: World, failure: Delivery | Exception
):
    """Whatever the fault was."""
    world.add(b"1", b"2", b"3", b"4")
    world.sink.answers = [failure, failure]
    world.end_after_sleeps(3)
    await world.shipper.run()
    assert world.sink.batches == [[b"1", b"2", b"3", b"4"]] * 3
    assert world.clock.slept[:2] == [1.0, 2.0]
    assert (world.shipper.delivered, world.shipper.refused) == (4, 0)


async def test_a_refused_record_is_given_up_alone_and_counted(world: World):
    """The sink will not have the third."""

    async def send(entries: Sequence[Entry]) -> Delivery:
        batch = [entry.record for entry in entries]
        if b"3" in batch:
            return Delivery(Outcome.REFUSED, "status 400")
        world.sink.batches.append(batch)
        return OK

    world.sink.send = send  # type: ignore[method-assign]
    world.add(b"1", b"2", b"3", b"4")
    world.end_after_sleeps(1)
    await world.shipper.run()
    assert [record for batch in world.sink.batches for record in batch] == [b"1", b"2", b"4"]
    assert (world.shipper.delivered, world.shipper.refused) == (3, 1)


async def test_what_a_sink_would_not_have_of_a_batch_that_went_is_counted_as_refused(world: World):
    """It is not sent again, and the sink is not down."""
    world.sink.answers = [Delivery(Outcome.DELIVERED, "spans rejected", refused=1)]
    world.add(b"1", b"2", b"3", b"4")
    world.end_after_sleeps(1)
    await world.shipper.run()
    assert world.sink.batches == [[b"1", b"2", b"3", b"4"]]
    assert (world.shipper.delivered, world.shipper.refused) == (3, 1)
    assert (world.shipper.down, world.shipper.why) == (False, "spans rejected")


async def test_at_the_end_what_is_left_is_shipped_without_waiting_for_more(world: World):
    """Two records, no linger."""
    world.add(b"1", b"2")
    world.shipper.end(within_seconds=10.0)
    await world.shipper.run()
    assert world.sink.batches == [[b"1", b"2"]]
    assert world.clock.slept == []


async def test_the_end_is_kept_though_the_sink_is_down(world: World):
    """Ten seconds, then what is left is left."""
    world.add(b"1")
    world.sink.answers = [LATER] * 100
    world.shipper.end(within_seconds=10.0)
    await world.shipper.run()
    assert world.clock.time == 1010.0
    assert world.spool.waiting("list") == 1


async def test_what_is_under_way_when_the_end_comes_has_no_more_time_than_the_rest():
    """A sink that never answers: its time-out of half a minute began before."""
    world = World(WallClock())
    under_way = asyncio.Event()

    async def send(entries: Sequence[Entry]) -> Delivery:
        under_way.set()
        await asyncio.Event().wait()
        return OK

    world.sink.send = send  # type: ignore[method-assign]
    world.add(b"1", b"2", b"3", b"4")
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(world.shipper.run())
        await under_way.wait()
        world.shipper.end(within_seconds=0.01)
        await task
    assert world.shipper.why == "timed out"
    assert world.spool.waiting("list") == 4


@pytest.mark.parametrize("fault", [RuntimeError("on the way out"), None])
async def test_a_sink_that_does_not_close_holds_nobody_up(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Exception | None
):
    """One that raises, and one that never comes back: it is cancelled."""
    ended: list[str] = []

    async def close() -> None:
        try:
            if fault is not None:
                raise fault
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    monkeypatch.setattr(shipper_module, "CLOSE_SECONDS", 0.01)
    world.sink.close = close  # type: ignore[method-assign]
    await world.shipper.close()
    assert ended == ["ended"]


async def test_lag_is_told_while_the_sink_is_down_and_ends_with_it(world: World):
    """By the oldest record that it has not had."""
    world.add(b"1")
    world.sink.answers = [LATER] * 6
    lags: list[float] = []

    def slept() -> None:
        lags.append(world.shipper.lag_seconds())
        if len(lags) == 5:
            assert not world.shipper.down
        if world.shipper.lag_seconds() > 30:
            assert world.shipper.down
            assert world.shipper.why == "status 503"
            world.shipper.end(1000.0)

    world.clock.when_slept = slept
    await world.shipper.run()
    assert lags == sorted(lags)
    assert lags[-1] > 30
    assert world.shipper.lag_seconds() == 0
    assert not world.shipper.down
