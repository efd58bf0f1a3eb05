"""A record waits a little for its request's share of energy, and never for long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from devices import FRESH, sample
from observed import CHAT_STREAM, Script, request

from sidelight_contract.capture import KeptFor, Payloads
from sidelight_contract.config import SidecarConfig
from sidelight_sidecar.observer.capture.record_of import record_of
from sidelight_sidecar.observer.capture.settling import (
    MAX_WAITING,
    PATIENCE_SECONDS,
    Kept,
    Settling,
)
from sidelight_sidecar.observer.energy.told import Outcome, Quality, Settled, Share
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.keep.decide import Decision
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.records.handover import Captured
from sidelight_sidecar.records.record import Energy, Origin

SECOND = 1_000_000_000
DECISION = Decision((KeptFor.SAMPLED,), 1.0)


class Splits:
    """Settles when the test says so."""

    def __init__(self) -> None:
        self.listener: Callable[[Settled], None] = print

    def on_settled(self, listener: Callable[[Settled], None]) -> None:
        """Keep who is to be told."""
        self.listener = listener

    def settle(self, share: Share, millijoules: int) -> None:
        """It does not change any more."""
        share.quality, share.millijoules = Quality.SETTLED, millijoules
        self.listener(Settled("m", "chat", Outcome.COMPLETE, share, 1.0, 1.0))


class World:
    """What waits, and what was given."""

    def __init__(self, *, wanted: bool = True) -> None:
        self.splits = Splits()
        self.given: list[Kept] = []
        self.settling = Settling(self.splits, self.given.append)  # type: ignore[arg-type]
        self.settling.wanted = wanted

    def take(self, stop: float = 1.0) -> Exchange:
        """One that ended, whose share is not known yet."""
        exchange = Exchange(1, 0)
        exchange.stop_ns, exchange.energy = round(stop * SECOND), Share()
        self.settling.take((exchange, "id", DECISION))
        return exchange


def test_a_record_is_given_when_its_share_is_settled() -> None:
    """With it."""
    world = World()
    exchange = world.take()
    assert world.given == []
    assert exchange.energy is not None
    world.splits.settle(exchange.energy, 1500)
    assert [kept[0] for kept in world.given] == [exchange]
    world.settling.look(99 * SECOND)
    assert len(world.given) == 1


def test_a_record_waits_no_longer_than_its_patience() -> None:
    """Those of before it go first, and a share that settles later changes nothing."""
    world = World()
    first, second = world.take(1.0), world.take(2.0)
    world.settling.look(round((1 + PATIENCE_SECONDS) * SECOND))
    assert [kept[0] for kept in world.given] == [first]
    assert first.energy is not None
    world.splits.settle(first.energy, 9)
    world.settling.look(round((2 + PATIENCE_SECONDS) * SECOND))
    assert [kept[0] for kept in world.given] == [first, second]


def test_nothing_waits_where_nobody_shares_energy_out() -> None:
    """Nor what is settled, or has no share; what waits is given when that ends."""
    world = World(wanted=False)
    world.take()
    assert len(world.given) == 1
    world.settling.wanted = True
    exchange = Exchange(1, 0)
    world.settling.take((exchange, "id", DECISION))
    assert len(world.given) == 2
    world.take()
    assert len(world.given) == 2
    world.settling.wanted = False
    world.settling.look(0)
    assert len(world.given) == 3


def test_no_more_than_so_many_wait_and_none_is_lost_at_the_end() -> None:
    """The oldest is given as it is."""
    world = World()
    made = [world.take() for _ in range(MAX_WAITING + 3)]
    assert [kept[0] for kept in world.given] == made[:3]
    world.settling.flush()
    assert [kept[0] for kept in world.given] == made


@pytest.mark.parametrize(
    ("quality", "told"),
    [
        (Quality.NONE, None),
        (Quality.PROVISIONAL, Energy(12.346, "provisional")),
        (Quality.SETTLED, Energy(12.346, "settled")),
    ],
)
def test_the_record_says_how_good_its_share_is(quality: Quality, told: Energy | None) -> None:
    """And has none where there is none."""
    share = Share()
    share.quality, share.millijoules = quality, 12_346
    record = record_of(
        Exchange(1, 0), "id", decision=DECISION, origin=Origin(), model="m",
        payloads=Payloads.OFF, offset_ns=0, share=share,
    )  # fmt: skip
    assert record.energy == told


def seen(pipeline: Pipeline, since: float, until: float) -> None:
    """A device of 100 W, and of 300 W more from the tenth second on for 0.1 s."""
    for tenth in range(round(since * 10), round(until * 10)):
        at = tenth / 10
        joules = 100 * at + 300 * min(max(at - 10.0, 0.0), 0.1)
        told = sample(at, energy_joules=joules, utilization=0.5)
        pipeline.devices_said([told], FRESH, round(at * SECOND))


def pipeline_with_a_request(given: list[Captured]) -> Pipeline:
    """A stream at the tenth second, and a device before it."""
    pipeline = Pipeline(0, 0, SidecarConfig(version=1))
    pipeline.offers.give = lambda captured: given.append(captured) is None
    pipeline.counter.stop_waiting()
    seen(pipeline, 0.1, 10.0)
    pipeline.feed(Script(at_ms=10_000).client(request()).engine(*CHAT_STREAM).frames)
    return pipeline


def test_a_whole_pipeline_gives_records_with_settled_joules() -> None:
    """From samples and frames; none is given before, for it would be without."""
    given: list[Captured] = []
    pipeline = pipeline_with_a_request(given)
    assert given == []
    seen(pipeline, 10.0, 14.0)
    (captured,) = given
    assert captured.record.energy is not None
    assert captured.record.energy.quality == "settled"
    assert captured.record.energy.joules == pytest.approx(30.0, rel=0.1)


def test_a_source_that_ends_lets_records_go() -> None:
    """Nobody settles anything any more; nothing is lost."""
    given: list[Captured] = []
    pipeline = pipeline_with_a_request(given)
    pipeline.devices_silent(None)
    assert len(given) == 1


def test_bodies_that_need_the_room_are_not_held_for_energy() -> None:
    """Half of their budget is taken: records are given as they are."""
    given: list[Captured] = []
    pipeline = Pipeline(0, 0, SidecarConfig(version=1))
    pipeline.offers.give = lambda captured: given.append(captured) is None
    pipeline.counter.stop_waiting()
    pipeline.context.body_budget.take(pipeline.context.body_budget.limit // 2 + 1)
    seen(pipeline, 0.1, 10.0)
    pipeline.feed(Script(at_ms=10_000).client(request()).engine(*CHAT_STREAM).frames)
    assert len(given) == 1
