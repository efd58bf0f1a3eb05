"""An engine that counts at any moment of a request's life, against the sidecar's own count."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.names import DifferenceCause
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, Exchange
from sidelight_sidecar.observer.reconcile.compare import COUNTERS, Comparison, Figure, restarted
from sidelight_sidecar.observer.reconcile.ledger import MAX_MARKS, MAX_RECENT
from sidelight_sidecar.observer.reconcile.metrics import ReconciliationCollector
from sidelight_sidecar.observer.reconcile.reconciler import (
    EXACT_SECONDS,
    LONG_SECONDS,
    STALE_SECONDS,
    Reconciler,
    Unobserved,
)
from sidelight_sidecar.observer.reconcile.told import reconciliation_of

SECOND = 1_000_000_000
STEP = 5.0


@dataclass
class Request:
    """One request; times in seconds."""

    start: float
    length: float
    prompt: int = 10
    output: int = 5
    counted: float = 1.0
    """When the engine counts it, as a share of its length."""
    around: bool = False
    """The sidecar does not see it."""
    left: bool = False
    stream: bool = True
    choices: int = 1
    code: int = 200
    usage: bool = True

    @property
    def counted_at(self) -> float:
        """When the engine counts it."""
        return self.start + self.counted * self.length

    def exchange(self) -> Exchange:
        """As the sidecar has it when it has ended."""
        exchange = Exchange(1, ns(self.start))
        exchange.method, exchange.operation, exchange.generating = "POST", "chat", True
        exchange.request_end_ns = exchange.start_ns + 1
        exchange.stop_ns = ns(self.start + self.length)
        exchange.stream = exchange.stream_asked = self.stream
        exchange.code = CLIENT_LEFT if self.left else self.code
        exchange.error = "client_disconnect" if self.left else "" if self.code == 200 else "x"
        exchange.choices = self.choices
        exchange.bytes_in, exchange.bytes_out = self.prompt, 4000
        exchange.events = self.output * self.choices
        if self.stream:
            exchange.first_output_ns = ns(self.start + self.length / 5)
            exchange.last_output_ns = exchange.stop_ns
        if self.usage and not self.left and self.code == 200:
            exchange.prompt_tokens, exchange.output_tokens = self.prompt, self.output
        return exchange


def ns(seconds: float) -> int:
    """As the frames' clock has it."""
    return int(seconds * SECOND)


class World:
    """A reconciler that is told of requests and samples in the order of their times."""

    def __init__(self, requests: list[Request], **engine: float) -> None:
        self.requests = requests
        self.engine = engine
        self.unobserved = Unobserved()
        self.reconciler = Reconciler(lambda: self.unobserved)
        self.seen: list[Comparison] = []

    def sample(self, at: float, *, restarted_at: float = 0.0) -> EngineSample:
        """What the engine says; its answer takes 10 ms."""
        of = [r for r in self.requests if restarted_at < r.counted_at <= at + 0.005]
        fine = [r for r in of if r.code == 200]
        return EngineSample(
            asked_ns=ns(at), at_ns=ns(at + 0.01),
            prompt_tokens=float(sum(r.prompt for r in fine)),
            output_tokens=float(sum(r.output * r.choices for r in fine)),
            finished={"stop": float(sum(not r.left for r in fine))},
            ttft_seconds=sum(r.length / 5 for r in fine if not r.left),
            ttft_count=float(sum(not r.left for r in fine)),
            decode_seconds=sum(r.length * 4 / 5 * r.choices for r in fine),
        )  # fmt: skip

    def run(self, until: float, *, restarted_at: float = 0.0) -> World:
        """Let time pass."""
        events: list[tuple[float, int, Request | None]] = []
        for request in self.requests:
            if not request.around:
                events += [(request.start, 0, request)]
                events += [(request.start + request.length + 0.04, 1, request)]
        at = 0.0
        while at <= until:
            events.append((at, 2, None))
            at += STEP
        open_: dict[int, Exchange] = {}
        for at, kind, request in sorted(events, key=lambda event: event[:2]):
            if at > until:
                break
            if request is None:
                since = restarted_at if at > restarted_at else 0.0
                self._take(self.sample(at, restarted_at=since))
            elif kind == 0:
                open_[id(request)] = exchange = request.exchange()
                self.reconciler.started(exchange)
            else:
                self.reconciler.finished(open_[id(request)])
                self.reconciler.counted(open_[id(request)])
        return self

    def _take(self, sample: EngineSample) -> None:
        before = self.reconciler.last
        self.reconciler.engine_said(sample)
        if (last := self.reconciler.last) is not None and last is not before:
            self.seen.append(last)


_requests = st.builds(
    Request,
    start=st.floats(0.1, 200),
    length=st.floats(0.01, 60),
    prompt=st.integers(1, 5000),
    output=st.integers(1, 2000),
    counted=st.floats(0, 1),
    left=st.sampled_from([False, False, False, True]),
    stream=st.booleans(),
    choices=st.sampled_from([1, 1, 2]),
    code=st.sampled_from([200, 200, 400, 500]),
    usage=st.sampled_from([True, True, False]),
)


@given(st.lists(_requests, max_size=12))
def test_an_engine_that_counts_at_any_moment_of_a_request_never_disagrees(
    requests: list[Request],
) -> None:
    """In flight at a sample, left, refused, of several choices: bounds hold whatever it counts."""
    for comparison in World(requests).run(400).seen:
        counted = {f: c for f, c in comparison.figures.items() if f is not Figure.DECODE_TIME}
        assert all(compared.agrees for compared in counted.values()), comparison


_plain = st.builds(
    Request, start=st.floats(0.1, 200), length=st.floats(0.01, 20), prompt=st.integers(1, 5000),
    output=st.integers(1, 2000), counted=st.floats(0, 1),
)  # fmt: skip


@given(st.lists(_plain, max_size=12))
def test_between_two_quiet_samples_figures_are_equal(requests: list[Request]) -> None:
    """No tolerance is needed, and none is given."""
    total = 0
    for comparison in World(requests).run(400).seen:
        if comparison.straddlers:
            continue
        for figure in (Figure.REQUESTS, Figure.PROMPT_TOKENS, Figure.OUTPUT_TOKENS):
            compared = comparison.figures[figure]
            assert compared.sidecar == compared.engine == compared.low == compared.high
        total += comparison.figures[Figure.REQUESTS].sidecar
        assert comparison.causes == ()
    assert total <= len(requests)


@given(st.lists(_plain, max_size=12))
def test_every_request_is_in_one_span(requests: list[Request]) -> None:
    """Spans follow each other without a hole, once all is quiet."""
    world = World(requests).run(400)
    exact = sum(
        c.figures[Figure.REQUESTS].sidecar for c in world.seen if Figure.REQUESTS in c.figures
    )
    straddlers = sum(c.straddlers for c in world.seen)
    assert len(requests) - straddlers <= exact <= len(requests) + straddlers
    for before, after in zip(world.seen, world.seen[1:], strict=False):
        assert before.until_ns <= after.since_ns


def test_a_request_around_the_sidecar_is_named() -> None:
    """All connections were observed, and the engine counted one request more."""
    world = World([Request(7, 1), Request(8, 1, around=True)]).run(60)
    (comparison,) = world.seen
    assert comparison.figures[Figure.REQUESTS][:2] == (1, 2)
    assert comparison.causes == (DifferenceCause.NOT_THROUGH_SIDECAR,)
    assert not comparison.agrees


def test_requests_around_the_sidecar_alone_are_named_too() -> None:
    """The sidecar saw nothing at all."""
    world = World([Request(7, 1, around=True)]).run(60)
    assert [c.causes for c in world.seen] == [(DifferenceCause.NOT_THROUGH_SIDECAR,)]


def test_what_was_not_observed_is_no_proof_of_a_way_around() -> None:
    """A connection of which bytes are missing may have carried it."""
    world = World([Request(7, 1), Request(8, 1, around=True)])
    world.unobserved = Unobserved(0, 1)
    assert world.run(60).seen[0].causes == (DifferenceCause.NOT_OBSERVED,)


def test_an_engine_that_runs_on_for_who_left_is_named() -> None:
    """Only its output is more than the client's leaving allows."""
    left = Request(7, 1, output=5, left=True)
    world = World([left, Request(9, 1)])
    left.exchange()
    comparison = next(iter(_with_output(world, left, 50_000).run(60).seen))
    assert comparison.causes == (DifferenceCause.CLIENTS_LEFT, DifferenceCause.ENGINE_RAN_ON)


def _with_output(world: World, request: Request, tokens: int) -> World:
    """The engine makes so many tokens of a request that the sidecar saw five of."""
    seen = request.exchange
    request.exchange = seen  # type: ignore[method-assign]
    sidecars = request.exchange()
    request.output = tokens
    request.exchange = lambda: sidecars  # type: ignore[method-assign]
    return world


def test_cached_tokens_that_the_engine_leaves_out_are_named() -> None:
    """Its prompts are less by what its answers said came from the cache."""
    request = Request(7, 1, prompt=100)
    exchange = request.exchange()
    exchange.cached_tokens = 60
    request.prompt = 40
    request.exchange = lambda: exchange  # type: ignore[method-assign]
    (comparison,) = World([request]).run(60).seen
    assert comparison.figures[Figure.PROMPT_TOKENS][:2] == (100, 40)
    assert comparison.causes == (DifferenceCause.CACHED_NOT_COUNTED,)


def test_a_restart_of_the_engine_ends_no_span() -> None:
    """Its counters fell; what came before is given up, what comes after is compared anew."""
    requests = [Request(7, 1), Request(12, 30), Request(50, 1)]
    world = World(requests).run(120, restarted_at=22)
    assert world.reconciler.restarts == 1
    assert all(comparison.agrees for comparison in world.seen)
    assert world.seen[-1].since_ns > ns(22)


@pytest.mark.parametrize("counter", COUNTERS)
def test_counters_that_fall_within_a_process_are_a_restart(counter: str) -> None:
    """An engine core that begins anew behind a server that stays."""
    name, before, after = counter, 9.0, 3.0
    fields = ({name: before}, {name: after})
    if counter == "requests":
        fields = ({"finished": {"stop": before}}, {"finished": {"stop": after}})  # type: ignore[dict-item]
    first, second = (
        EngineSample(asked_ns=at, at_ns=at, started_at=7.0, **said)  # type: ignore[arg-type]
        for at, said in enumerate(fields)
    )
    assert restarted(first, second)
    assert not restarted(second, first)
    assert not restarted(first, first)


@pytest.mark.parametrize("took_none", [True, False])
def test_a_restart_that_the_counters_do_not_show_ends_no_span(took_none: bool) -> None:
    """A young engine that fell and has counted more since than before: it took no connection
    meanwhile, and does not say when it began. Without that sign it is a difference.
    """
    world = World([Request(7, 1), Request(23, 1, prompt=100, output=50), Request(60, 1)])
    samples = itertools.count()
    world.reconciler = Reconciler(
        lambda: Unobserved(refused=int(took_none and next(samples) >= ns(25) // ns(STEP)))
    )
    world.run(120, restarted_at=22)
    assert world.reconciler.restarts == 0
    assert all(comparison.agrees for comparison in world.seen) == took_none
    assert len(world.seen) == (2 if took_none else 3)


def test_the_first_span_ends_as_soon_as_all_is_quiet_and_later_ones_are_longer() -> None:
    """So that there is soon something to say, and then not something else at every moment."""
    requests = [Request(at + 0.5, 0.2) for at in range(1, 200)]
    seen = World(requests).run(250).seen
    assert seen[0].until_ns <= ns(15)
    for comparison in seen[1:-1]:
        assert comparison.until_ns - comparison.since_ns >= ns(EXACT_SECONDS)
        assert comparison.agrees


def test_a_load_that_never_pauses_is_compared_with_the_bounds_of_what_straddles() -> None:
    """Eight at once, for ten minutes: spans of some minutes, and they hold."""
    requests = [
        Request(0.1 + slot * 0.7 + number * 6, 6.5, counted=slot / 8, prompt=100, output=200)
        for slot in range(8)
        for number in range(100)
    ]
    seen = World(requests).run(590).seen
    assert seen
    for comparison in seen:
        assert comparison.straddlers
        assert comparison.until_ns - comparison.since_ns >= ns(LONG_SECONDS)
        compared = comparison.figures[Figure.OUTPUT_TOKENS]
        assert compared.agrees
        assert compared.high - compared.low < 0.2 * compared.engine
        assert DifferenceCause.IN_FLIGHT_AT_ENDS in comparison.causes


def test_an_old_agreement_is_not_claimed_of_traffic_that_nobody_compares() -> None:
    """The engine's page is gone, or a request never ends: after half an hour of traffic without a
    comparison there is none. A quiet night is no such time, nor its end.
    """
    world = World([Request(7, 1)]).run(60)
    reconciler = world.reconciler
    assert reconciler.fresh is reconciler.last is not None
    night = 60 + 10 * STALE_SECONDS
    for at, claimed in ((0, True), (STALE_SECONDS - 60, True), (STALE_SECONDS + 60, False)):
        exchange = Request(night + at, 0.5).exchange()
        reconciler.started(exchange)
        reconciler.finished(exchange)
        reconciler.counted(exchange)
        assert (reconciler.fresh is not None) == claimed
    text = ReconciliationCollector(reconciler).collect()
    agree = next(family for family in text if family.name == "sidelight_reconciliation_agree")
    assert agree.samples == []
    assert reconciliation_of(reconciler).compared == 0
    assert reconciliation_of(reconciler).spans_agreed == 1
    compared = World([Request(7, 1)]).run(60).seen[0]
    reconciler._keep(compared)
    assert reconciler.fresh is compared


def test_a_request_that_never_ends_holds_a_bounded_amount() -> None:
    """It lies across every sample; nothing is compared, and nothing grows."""
    world = World([Request(1, 10_000), *[Request(at, 0.1) for at in range(2, 3000, 2)]])
    world.run(3000)
    ledger = world.reconciler._ledger
    assert len(ledger._cells) <= MAX_MARKS * MAX_MARKS
    assert ledger.newest - ledger.oldest < MAX_MARKS
    assert world.seen == []


def test_an_engine_that_stops_answering_costs_a_bounded_amount() -> None:
    """Exchanges go on and no sample comes: they are added up more and more coarsely."""
    world = World([Request(7, 1)]).run(10)
    for number in range(5000):
        exchange = Request(20 + number, 0.5).exchange()
        world.reconciler.started(exchange)
        world.reconciler.finished(exchange)
        world.reconciler.counted(exchange)
    assert len(world.reconciler._ledger._recent) <= MAX_RECENT + 1


def test_without_samples_nothing_is_kept() -> None:
    """An engine without metrics costs nothing."""
    world = World([])
    for number in range(100):
        exchange = Request(number, 0.5).exchange()
        world.reconciler.started(exchange)
        world.reconciler.counted(exchange)
    ledger = world.reconciler._ledger
    assert (ledger._recent, ledger._cells, ledger._open) == ({}, {}, {})
