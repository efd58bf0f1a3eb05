"""Who gets which joules: idle, requests, nobody."""

import pytest
from energy_world import GPU, World, ns

from sidelight_sidecar.observer.accelerators.source import Device, Sample
from sidelight_sidecar.observer.energy.split import HOLD_SECONDS, MAX_TRACKS, EnergySplit
from sidelight_sidecar.observer.energy.told import Outcome, Quality
from sidelight_sidecar.observer.exchange import OTHER, Exchange
from sidelight_sidecar.observer.metrics.labels import Labels


def rested() -> World:
    """A device that takes 100 W at rest, and of which this is known."""
    world = World()
    world.passes(5.0, 100)
    world.step()
    return world


def test_with_nothing_in_flight_all_is_idle() -> None:
    """Every millijoule of it."""
    world = rested()
    total = world.split.told().total
    assert total.device_mj == total.idle_mj == 500_000
    assert total.open_mj == total.requests_mj == total.unowned_mj == 0


def test_a_request_alone_gets_all_that_is_above_idle() -> None:
    """Two seconds at 300 W beside an idle power of 100 W."""
    world = rested()
    exchange = world.asks()
    world.generates([exchange], 20, 300)
    world.ends(exchange)
    world.step()
    assert exchange.energy is not None
    assert exchange.energy.quality is Quality.SETTLED
    assert exchange.energy.joules == pytest.approx(400.0)
    total = world.split.told().total
    assert (total.requests_mj, total.idle_mj) == (400_000, 700_000)
    assert (total.requests, total.prompt_tokens, total.output_tokens) == (1, 100, 20)


def test_two_alike_get_alike_and_both_together_all() -> None:
    """To the millijoule that cannot be halved."""
    world = rested()
    pair = [world.asks(), world.asks()]
    world.generates(pair, 30, 333)
    for exchange in pair:
        world.ends(exchange)
    world.step()
    first, second = (one.share.millijoules for one in world.settled)
    assert first + second == world.split.told().total.requests_mj == 699_000
    assert abs(first - second) <= 30


def test_nothing_is_settled_before_all_that_ran_are_counted() -> None:
    """The longer of two is still going: what they share is open."""
    world = rested()
    short, long = world.asks(), world.asks()
    world.generates([short, long], 10, 300)
    world.ends(short)
    world.generates([long], 10, 300)
    world.step()
    total = world.split.told().total
    assert total.open_mj == 600_000
    assert total.requests_mj == 0
    assert not world.settled
    world.ends(long)
    world.step()
    assert world.split.told().total.open_mj == 0
    assert [settled.share for settled in world.settled] == [short.energy, long.energy]


def test_a_stream_without_end_holds_others_up_for_two_minutes_at_most() -> None:
    """Then it is shared by what is known by then, and what is told is less than all."""
    world = rested()
    short, endless = world.asks(), world.asks()
    world.generates([short, endless], 10, 300)
    world.ends(short)
    world.generates([endless], 10 * (HOLD_SECONDS + 5), 300)
    world.step(1.0)
    assert [settled.share for settled in world.settled] == [short.energy]
    told = world.split.told()
    assert told.total.requests_mj > 0
    assert told.by_outcome == {
        "complete": world.settled[0].share.millijoules,
        "running": told.total.requests_mj - world.settled[0].share.millijoules,
    }
    assert told.unbalanced_mj == 0


@pytest.mark.parametrize("how", ["leaves", "fails", "is lost"])
def test_what_did_not_end_well_has_its_share_by_name(how: str) -> None:
    """It took its joules all the same."""
    world = rested()
    exchange = world.asks()
    world.generates([exchange], 10, 300)
    if how == "leaves":
        world.leaves(exchange)
    elif how == "fails":
        exchange.error = "upstream_reset"
        world.over(exchange)
    else:
        world.split.dropped(exchange)
    world.step()
    outcome = {"leaves": "abandoned", "fails": "failed", "is lost": "lost"}[how]
    assert world.split.told().by_outcome == {outcome: 200_000}
    assert [settled.outcome for settled in world.settled] == [Outcome(outcome)]


def test_an_engine_that_goes_on_after_its_client_left_is_on_the_requests_account() -> None:
    """As far as its end is seen."""
    world = rested()
    exchange = world.asks()
    world.generates([exchange], 10, 300)
    left = world.now
    world.passes(1.0, 300)
    exchange.engine_end_ns = ns(world.now)
    world.now, now = left, world.now
    world.leaves(exchange)
    world.now = now
    world.step()
    assert world.split.told().by_outcome == {"abandoned": 400_000}


def test_energy_that_nobody_in_flight_can_have_taken_is_unowned() -> None:
    """The sidecar saw no request, and the device takes three times its idle power."""
    world = rested()
    world.passes(2.0, 300)
    world.step()
    total = world.split.told().total
    assert total.unowned_mj == 400_000
    assert total.idle_mj == 700_000


def test_a_refused_request_gets_nothing_while_another_computes() -> None:
    """It was in flight as long, and no work of it is known."""
    world = rested()
    for tokens in range(5, 25):  # until each kind of work has a price
        exchange = world.asks()
        world.generates([exchange], tokens, 300)
        world.ends(exchange)
    refused, good = world.asks(), world.asks()
    world.generates([good], 10, 300)
    refused.code, refused.error = 429, "rate_limited"
    world.over(refused)
    world.ends(good)
    world.step()
    assert refused.energy is not None
    assert good.energy is not None
    assert refused.energy.millijoules == 0
    assert good.energy.joules == pytest.approx(200.0, rel=0.01)


def test_sparse_samples_tell_of_models_and_of_no_single_request() -> None:
    """As an exporter is read, every fifteen seconds."""
    world = World(period=15.0)
    world.passes(90.0, 100)
    exchanges = [world.asks(model=model) for model in ("a", "b")]
    for number in range(1, 90):
        for exchange in exchanges:
            exchange.code = 200
            exchange.arrival(ns(world.now + number / 3), 1)
    world.passes(30.0, 300)
    for exchange in exchanges:
        world.split.arrived(exchange, exchange.take_gaps())
        world.ends(exchange)
    world.passes(30.0, 100)
    world.step()
    told = world.split.told()
    assert told.level == "version"
    assert not world.settled
    assert [exchange.energy and exchange.energy.joules for exchange in exchanges] == [None, None]
    assert {model: round(entry.requests_mj, -3) for model, entry in told.by_model.items()} == {
        "a": 3_000_000,
        "b": 3_000_000,
    }


def test_a_long_answer_keeps_its_share_though_one_sample_is_missing() -> None:
    """One interval of a second is less than a tenth of its energy; of a short one it is not."""
    world = rested()
    long = world.asks()
    world.generates([long], 150, 300)
    short = world.asks()
    world.now += 0.9  # nobody samples
    world.joules += 0.9 * 300
    world.generates([long, short], 1, 300)
    world.ends(long)
    world.ends(short)
    world.passes(1.0, 100)
    world.step()
    assert [settled.share for settled in world.settled] == [long.energy]
    assert short.energy is not None
    assert short.energy.joules is None


def test_a_request_of_which_a_part_is_not_covered_has_no_share() -> None:
    """Samples began in the midst of it: half of its energy is not known."""
    world = World()
    world.passes(0.2, 100)
    exchange = world.asks()
    before = world.now
    world.generates([exchange], 10, 300)
    late = World()
    late.now, late.joules = world.now, world.joules
    late.passes(0.1, 300)
    seen = late.asks()
    seen.request_end_ns = ns(before)
    late.generates([seen], 10, 300)
    late.ends(seen)
    late.step()
    assert seen.energy is not None
    assert seen.energy.quality is Quality.NONE
    assert late.split.told().total.requests_mj > 0


def test_a_share_is_provisional_as_soon_as_it_is_counted() -> None:
    """By the model of work: others that ran beside it go on. Later it settles, near that."""
    world = rested()
    for _ in range(20):
        exchange = world.asks()
        world.generates([exchange], 10, 300)
        world.ends(exchange)
        world.step(1.0)
    first, second = world.asks(), world.asks()
    world.generates([first, second], 10, 500)
    world.ends(first)
    share = world.split.of(first)
    assert share is first.energy
    assert share.quality is Quality.PROVISIONAL
    provisional = share.joules
    assert world.split.of(second).quality is Quality.PROVISIONAL
    world.ends(second)
    world.step()
    assert share.quality is Quality.SETTLED
    assert provisional == pytest.approx(share.joules, rel=1.0)


def test_what_is_no_inference_has_no_share() -> None:
    """A health check beside a request gets nothing of it."""
    world = rested()
    health = Exchange(99, ns(world.now))
    health.operation = health.in_flight_as = OTHER
    world.split.started(health)
    world.passes(1.0, 100)
    health.request_end_ns = health.stop_ns = ns(world.now)
    world.split.finished(health)
    world.step()
    assert health.energy is None
    assert world.split.told().total.requests == 0


def test_what_only_its_answer_showed_to_be_inference_is_shared_out_too() -> None:
    """On a shared path the request does not tell."""
    world = rested()
    exchange = Exchange(99, ns(world.now))
    world.split.started(exchange)
    exchange.request_end_ns = ns(world.now)
    world.passes(1.0, 300)
    exchange.operation, exchange.generating = "chat", True
    world.ends(exchange, output=20)
    world.step()
    assert world.split.told().total.requests_mj == 200_000


def test_shared_devices_have_no_energy_to_share() -> None:
    """The totals stay at nothing, and no request is followed."""
    split = EnergySplit(Labels(4))
    shared = Device("MIG-1", "0", shared=True)
    split.samples([Sample(shared, ns(n / 10), energy_joules=1000.0 + n) for n in range(50)])
    split.step(ns(100))
    told = split.told()
    assert (told.level, told.total.device_mj) == ("", 0)
    exchange = Exchange(1, ns(1))
    exchange.operation = "chat"
    split.started(exchange)
    assert exchange.energy is None
    assert split.of(exchange).joules is None


def test_at_most_so_many_exchanges_are_followed() -> None:
    """The others have no share; nothing is lost of the energy."""
    world = rested()
    exchanges = [world.asks() for _ in range(MAX_TRACKS + 5)]
    world.passes(0.5, 300)
    for exchange in exchanges:
        world.ends(exchange, output=2)
    world.step()
    assert sum(exchange.energy is None for exchange in exchanges) == 5
    assert world.split.told().total.requests_mj == 100_000
    assert len(world.settled) == MAX_TRACKS


def test_intervals_do_not_pile_up_when_nobody_steps() -> None:
    """A source that runs with nobody who looks is bounded all the same."""
    world = World()
    world.asks()
    for _ in range(3):
        world.split.samples(
            [
                Sample(GPU, ns(world.now + n / 10), energy_joules=6_000.0 + 100 * world.now + n)
                for n in range(1, 3000)
            ]
        )
        world.now += 300
    assert len(world.split._pending) <= 2 * HOLD_SECONDS * 10 + 10
    assert world.split.told().unbalanced_mj == 0


def test_a_step_does_a_little_and_says_that_there_is_more() -> None:
    """Two hundred streams are counted at once after a minute: that is not settled in one go."""
    world = rested()
    exchanges = [world.asks() for _ in range(200)]
    world.generates(exchanges, 2, 300)
    world.passes(60.0, 300)
    for exchange in exchanges:
        world.ends(exchange)
    steps = 1
    while world.split.step(ns(world.now + 3)):
        steps += 1
        assert world.split.told().unbalanced_mj == 0
    assert steps > 20
    assert len(world.settled) == 200


def test_without_samples_for_minutes_nobody_is_followed() -> None:
    """A source that went away costs nothing."""
    world = rested()
    world.now += HOLD_SECONDS + 1
    exchange = world.asks()
    world.ends(exchange)
    assert exchange.energy is None
    assert not world.split._waiting


def test_what_its_answer_showed_to_be_no_inference_keeps_what_was_settled_of_it() -> None:
    """After two minutes it had a part of the energy; nothing is moved afterwards, nor lost."""
    world = rested()
    exchange = world.asks()
    world.passes(HOLD_SECONDS + 5.0, 300)
    world.step(1.0)
    exchange.operation, exchange.code, exchange.stop_ns = OTHER, 200, ns(world.now)
    world.split.finished(exchange)
    world.step(HOLD_SECONDS)
    told = world.split.told()
    assert set(told.by_outcome) == {"complete"}
    assert told.unbalanced_mj == 0


def busy(world: World, seconds: int) -> None:
    """Four at a time, ten seconds each, at 500 W, and looked at as they go."""
    for _ in range(seconds // 10):
        exchanges = [world.asks() for _ in range(4)]
        for _ in range(100):
            world.generates(exchanges, 1, 500)
            world.step(0.0)
        for exchange in exchanges:
            world.ends(exchange)


def test_a_source_that_begins_under_load_takes_no_work_for_rest() -> None:
    """What was in flight before the first sample has its energy from there on, and full power does
    not become the idle power, which nothing would ever mend in a pod that is always at work.
    """
    world = World()
    world.split = EnergySplit(Labels(32))
    exchanges = [world.asks() for _ in range(4)]
    for exchange in exchanges:
        for tenth in range(1, 51):
            world.now = tenth / 10
            world.outputs(exchange)
    world.split.samples([])
    for _ in range(150):
        world.generates(exchanges, 1, 500)
        world.step(0.0)
    for exchange in exchanges:
        world.ends(exchange)
    busy(world, 60)
    world.step()
    told = world.split.told()
    assert told.fitted.idle_watts is None
    assert (told.total.idle_mj, told.total.unowned_mj) == (0, 0)
    assert told.total.requests_mj == told.total.device_mj > 37_000_000
    seen = 4 * (150 + 600) - told.total.output_tokens
    assert 0 <= seen <= 8, "tokens before the first sample have no joules, so they do not count"


def test_while_a_source_is_silent_neither_tokens_nor_joules_are_held_against_each_other() -> None:
    """Five minutes of work without a sample, seen by the counter alone afterwards: the ratio stays
    what it is, and what ran at its return is followed.
    """
    world = World()
    busy(world, 60)
    world.step()
    before = world.split.told().total
    for _ in range(30):
        exchange = world.asks()
        for _ in range(100):
            world.now = round(world.now + 0.1, 6)
            world.joules += 50
            world.outputs(exchange)
        if world.now < 355:
            world.ends(exchange)
    for _ in range(50):
        world.generates([exchange], 1, 125)
        world.step(0.0)
    world.ends(exchange)
    busy(world, 60)
    world.step()
    told = world.split.told()
    total = told.total
    assert told.fitted.idle_watts is None
    assert total.unseen_mj == pytest.approx(150_000_000, rel=0.01)
    ratio = before.output_tokens / before.of_tokens_mj
    assert total.output_tokens / total.of_tokens_mj == pytest.approx(ratio, rel=0.05)


def test_tokens_of_a_time_whose_energy_is_not_known_do_not_count() -> None:
    """A counter that began anew in the middle of a request."""
    world = rested()
    exchange = world.asks()
    world.generates([exchange], 10, 300)
    world.joules = 1.0
    world.generates([exchange], 11, 300)
    world.ends(exchange)
    world.step()
    total = world.split.told().total
    assert total.output_tokens == 20
    assert world.split.told().uncovered_seconds == pytest.approx(0.1)
