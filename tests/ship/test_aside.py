"""Records that a sink fails at while each is alone: given up where others pass, nowhere else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from sidelight_sidecar.capture.ship.aside import STRIKES, Aside
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome, ShipSettings
from sidelight_sidecar.capture.ship.shipper import FAILS_ALONE, Shipper
from sidelight_sidecar.capture.spool.queue import Entry, MemorySpool

HOW = ShipSettings(most=64, linger_seconds=1.0)
OK = Delivery(Outcome.DELIVERED)
FAILS = Delivery(Outcome.LATER, "status 500")
BAD = b"bad"


class Ticking:
    """Time passes by sleeping, and a little with each send."""

    def __init__(self) -> None:
        self.time = 0.0
        self.each_second: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.time

    def unix(self) -> float:
        return self.time

    async def sleep(self, seconds: float, wake: asyncio.Event) -> None:
        await asyncio.sleep(0)
        self.time += min(max(seconds, 0.01), 1.0)
        self.each_second()


class Backend:
    """Takes a batch unless `fails` says that it does not."""

    name = "backend"

    def __init__(self, clock: Ticking) -> None:
        self.clock = clock
        self.fails: Callable[[Sequence[bytes]], bool] = lambda _: False
        self.had: list[bytes] = []
        self.tries: list[tuple[float, list[bytes]]] = []

    async def send(self, entries: Sequence[Entry]) -> Delivery:
        self.clock.time += 0.01
        records = [entry.record for entry in entries]
        self.tries.append((self.clock.time, records))
        if self.fails(records):
            return FAILS
        self.had += records
        return OK

    async def close(self) -> None:
        """Nothing to let go of."""


class World:
    """Records that come one a second, and a backend."""

    def __init__(self, seed: int = 1, how: ShipSettings = HOW) -> None:
        self.clock = Ticking()
        self.backend = Backend(self.clock)
        self.spool = MemorySpool(["backend"], 1 << 24)
        chance = random.Random(seed).random
        self.shipper = Shipper(self.backend, self.spool, how, self.clock, chance)
        self.added: list[bytes] = []

    def add(self, *records: bytes) -> None:
        for record in records:
            self.spool.append(record, self.clock.time)
            self.shipper.added(len(record))
            self.added.append(record)

    async def run(
        self, seconds: float, coming: Callable[[int], bytes | None], *, within: float = 20
    ) -> None:
        """So long, and then what there is to do at the end."""
        number, ended = 0, False

        def each() -> None:
            nonlocal number, ended
            while number < self.clock.time:
                if (record := coming(number)) is not None:
                    self.add(record)
                number += 1
            if self.clock.time > seconds and not ended:
                ended = True
                self.shipper.end(within)

        self.clock.each_second = each
        await self.shipper.run()


def good(number: int) -> bytes:
    return b"good %d" % number


def has_bad(records: Sequence[bytes]) -> bool:
    return any(record.startswith(BAD) for record in records)


async def test_a_record_that_always_fails_is_given_up_and_all_others_arrive():
    """Of a batch of forty, in the middle; those that come later are held up for no longer than it
    takes to find it.
    """
    world = World()
    world.backend.fails = has_bad
    world.add(*map(good, range(1000, 1020)), BAD, *map(good, range(1020, 1040)))
    await world.run(600, good)
    shipper = world.shipper
    assert sorted(world.backend.had) == sorted(r for r in world.added if r != BAD)
    assert (shipper.refused, shipper.delivered) == (1, len(world.added) - 1)
    assert world.spool.waiting("backend") == 0
    alone = [at for at, records in world.backend.tries if records == [BAD]]
    assert STRIKES < len(alone) < 3 * STRIKES
    assert alone[-1] - alone[0] > 30
    passed = [at for at, records in world.backend.tries if not has_bad(records)]
    assert max(b - a for a, b in pairwise(passed)) < 90


async def test_several_that_always_fail_one_after_the_other_are_found():
    """Nothing passes between them."""
    world = World()
    world.backend.fails = has_bad
    world.add(good(1), *[BAD + b" %d" % number for number in range(5)])
    await world.run(900, good)
    assert world.shipper.refused == 5
    assert not any(map(has_bad, [[record] for record in world.backend.had]))
    assert world.shipper.delivered == len(world.added) - 5


async def test_a_backend_that_is_down_for_an_hour_costs_no_record():
    """Nor one that is down again and again."""
    world = World()
    world.backend.fails = lambda _: world.clock.time < 3600 or 100 < world.clock.time % 1000 < 500
    await world.run(8000, good)
    assert world.shipper.refused == 0
    assert sorted(world.backend.had) == sorted(world.added)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_a_backend_that_fails_at_random_costs_no_record(share: float):
    """Overloaded: others pass, but each passes sometimes."""
    world, chance = World(), random.Random(7)
    world.backend.fails = lambda _: world.clock.time < 3000 and chance.random() < share
    await world.run(4000, good)
    assert world.shipper.refused == 0
    assert sorted(world.backend.had) == sorted(world.added)


async def test_where_no_other_comes_the_one_that_fails_is_kept_and_the_sink_is_down():
    """Nobody can tell whose fault it is."""
    world = World()
    world.backend.fails = has_bad
    world.add(BAD)
    await world.run(7200, lambda _: None)
    assert (world.shipper.refused, world.spool.waiting("backend")) == (0, 1)
    assert world.shipper.down
    assert len(world.backend.tries) < 400


async def test_that_others_passed_once_is_no_reason_to_take_the_sink_to_be_up():
    """Nothing else has come since then."""
    world = World()
    world.backend.fails = has_bad
    await world.run(
        3600, lambda number: BAD if number == 60 else good(number) if number < 65 else None
    )
    assert (world.shipper.refused, world.spool.waiting("backend")) == (0, 1)
    assert world.shipper.down


async def test_a_sink_to_which_records_are_bytes_sets_none_aside():
    """Files and objects: after an outage each would be one of its own."""
    world = World(how=replace(HOW, most_aside=0))
    world.backend.fails = lambda _: world.clock.time < 1000
    world.add(*map(good, range(40)))
    await world.run(1100, lambda _: None)
    assert world.backend.had == world.added
    delivered = [records for at, records in world.backend.tries if at >= 1000]
    assert [len(records) for records in delivered] == [1, 2, 4, 8, 16, 9]


async def test_with_no_more_room_aside_those_there_are_tried_in_turn_with_the_next():
    """Two went aside in an outage, and the next is one that always fails: it is not for ever the
    only one that is tried.
    """
    world = World(how=replace(HOW, most_aside=2))
    world.backend.fails = lambda records: world.clock.time < 500 or has_bad(records)
    world.add(good(-1), good(-2), BAD)
    await world.run(2000, lambda number: good(number) if number > 600 else None)
    assert world.shipper.refused == 1
    assert sorted(world.backend.had) == sorted(r for r in world.added if r != BAD)


async def test_lag_is_told_of_what_is_aside_and_why_it_was_given_up_is_said():
    """It has not arrived."""
    world = World()
    world.backend.fails = has_bad
    world.add(BAD)
    lags, whys = [], []

    def coming(number: int) -> bytes:
        lags.append(world.shipper.lag_seconds())
        whys.append(world.shipper.why)
        return good(number)

    await world.run(400, coming)
    assert max(lags) > 30
    assert lags[-1] < 5
    assert FAILS_ALONE in whys
    assert not world.shipper.down


async def test_what_is_aside_is_tried_at_the_end():
    """The backend took nothing, and is back; the pod ends."""
    for seed in range(5):
        world = World(seed)
        world.backend.fails = lambda _, clock=world.clock: clock.time <= 900  # type: ignore[misc]
        world.add(*map(good, range(5)))
        await world.run(900, lambda _: None, within=2)
        assert sorted(world.backend.had) == sorted(world.added)


async def test_what_the_spool_lets_go_of_is_lost_and_not_refused():
    """Too old, while it was aside."""
    world = World()
    world.backend.fails = has_bad
    world.add(BAD)

    def coming(number: int) -> bytes:
        if number == 30:
            world.spool.expire(before=1.0)
        return good(number)

    await world.run(200, coming)
    assert (world.spool.lost("backend"), world.shipper.refused) == (1, 0)
    assert world.spool.waiting("backend") == 0


def test_there_is_a_limit_to_what_is_aside():
    """Numbers alone, but each is tried."""
    aside = Aside(HOW, lambda: 0.0)
    for number in range(HOW.most_aside):
        assert not aside.full
        aside.put(number, 0.0)
    assert aside.full
    aside.forget(0)
    assert not aside.full


def test_a_strike_needs_others_to_pass_before_and_after():
    """Either alone is what an outage that begins or ends looks like."""
    aside = Aside(ShipSettings(most_seconds=1.0), lambda: 0.0)
    aside.put(7, 0.0)
    for number in range(1, 50):
        aside.others_passed()
        assert aside.failed(7, float(number))
        aside.others_failed()
        assert not aside.failed(7, float(number))
        aside.others_passed()
        aside.others_failed()
        assert not aside.failed(7, float(number)), "others fail, too"
        aside.others_passed()
        assert aside.failed(7, float(number))
        aside.others_failed()
    assert aside.given_up() == []
    for number in range(STRIKES):
        assert aside.given_up() == []
        aside.others_passed()
        assert aside.failed(7, float(number))
    aside.others_passed()
    assert aside.given_up() == [7]
