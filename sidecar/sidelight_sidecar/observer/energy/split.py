"""Shares the devices' energy among requests by the work they did. A consumer; pure.

Whoever has a source gives `samples`, and calls `step` every second or so until it says that nothing
is left; both may be late. Rules:
1. Energy is measured, never made up; only its split is modelled. Every millijoule is in exactly one
   place: idle, a request, unowned (above idle with nothing in flight), or open (not split yet).
2. Counts of tokens are known late: time is settled when all that ran in it are counted, or after
   `HOLD_SECONDS` with what is known by then.
3. Samples farther apart than `REQUEST_LEVEL_SECONDS` tell of models, not of single requests.
4. Devices that others use, too, are left out: their joules are not this pod's alone.
5. Bounded: at most `MAX_TRACKS` exchanges are followed; those beyond have no share, and what they
   did is in the others'.

It stands before consumers that look at `exchange.energy`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

from sidelight_sidecar.observer.accelerators.source import REQUEST_LEVEL_SECONDS, Sample
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.energy.intervals import STEP_NS, Interval, Meter
from sidelight_sidecar.observer.energy.rates import RatesByModel
from sidelight_sidecar.observer.energy.settle import Settler
from sidelight_sidecar.observer.energy.told import Fitted, Outcome, Quality, Settled, Share, Told
from sidelight_sidecar.observer.energy.totals import Totals, unbalanced
from sidelight_sidecar.observer.energy.track import Track
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, OTHER, Exchange
from sidelight_sidecar.observer.metrics.labels import Labels

HOLD_SECONDS = 120
"""Default 120: nearly all answers are shorter, and what is learned later changes little."""
GRACE_NS = 2_000_000_000
"""Samples come straight from the device, frames through a pipe: what lies so near is not looked at
yet."""
MAX_TRACKS = 8192
_BATCH = 8
"""Intervals that are settled together."""
_AT_ONCE = 1024
"""Intervals, times exchanges in them, of one step: some 3 ms."""
_COVERED = 0.95
_SPARSE = 0.1
"""A share of which more than a tenth of the time is in long intervals is none."""


class EnergySplit(Consumer):
    """See the module.

    Args:
        labels: names of models.
        step_ns: the shortest interval.
    """

    def __init__(self, labels: Labels, step_ns: int = STEP_NS) -> None:
        self._labels = labels
        self._meter = Meter(step_ns)
        self._rates = RatesByModel()
        self._totals = Totals()
        self._settler = Settler(self._totals, HOLD_SECONDS * 1_000_000_000)
        self._listeners: list[Callable[[Settled], None]] = []
        self._flying: dict[int, Track] = {}
        self._unmeasured: dict[int, Exchange] = {}
        """They are in flight, and nothing was measured when they began."""
        self._waiting: list[Track] = []
        """They are counted, and some of their time is not settled."""
        self._pending: deque[Interval] = deque()
        self._pending_mj = 0
        self._most_pending = 2 * HOLD_SECONDS * 1_000_000_000 // step_ns
        self._max_cells = HOLD_SECONDS * 1_000_000_000 // step_ns
        self._settled_ns = 0
        self._dense = 0.0
        """Share of the last intervals that were short, about."""
        self._integrated = False
        self._virtual = 0.0
        self._virtual_ns = 0
        self._running = 0

    def on_settled(self, listener: Callable[[Settled], None]) -> None:
        """Have `listener` told of each exchange that has a share, when that does not change any
        more: seconds after its end, at most some minutes.
        """
        self._listeners.append(listener)

    def samples(self, samples: Sequence[Sample]) -> None:
        """Take what a source gave, in the order of the times of each device."""
        intervals = self._meter.take(samples)
        if self._unmeasured and self._meter.newest_ns:
            self._adopt()
        for interval in intervals:
            self._pending.append(interval)
            self._pending_mj += interval.millijoules
            short = interval.until_ns - interval.since_ns <= REQUEST_LEVEL_SECONDS * 1e9
            self._dense += (short - self._dense) / 16
            self._integrated |= interval.integrated
        while len(self._pending) > self._most_pending:  # nobody calls `step`, or it lags
            oldest = self._pending.popleft()
            self._settler.unknown(oldest)
            self._pending_mj -= oldest.millijoules
            self._settled_ns = oldest.until_ns

    # --- exchanges --------------------------------------------------------------------------
    def started(self, exchange: Exchange) -> None:
        """Follow it, if anything is measured; else when something is."""
        if exchange.operation == OTHER:
            return
        if self._measured(exchange):
            self._follow(exchange)
        elif len(self._unmeasured) < MAX_TRACKS:
            self._unmeasured[id(exchange)] = exchange

    def _adopt(self) -> None:
        """A source begins, or is back, in the middle of these: without them it would seem that the
        devices rest at full power.
        """
        for exchange in self._unmeasured.values():
            if (track := self._follow(exchange)) is not None:
                track.adopted(exchange)
        self._unmeasured.clear()

    def _measured(self, exchange: Exchange) -> bool:
        newest_ns = self._meter.newest_ns
        return newest_ns > 0 and exchange.start_ns - newest_ns < HOLD_SECONDS * 1_000_000_000

    def _follow(self, exchange: Exchange) -> Track | None:
        if len(self._flying) + len(self._waiting) >= MAX_TRACKS:
            return None
        track = Track(exchange, self._meter.step_ns, self._max_cells)
        self._flying[id(exchange)] = track
        exchange.energy = track.share
        self._pass_to(exchange.start_ns)
        self._running += 1
        track.virtual = self._virtual
        return track

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Note when its output came."""
        track = self._flying.get(id(exchange))
        if track is not None:
            track.arrived(exchange, gaps)

    def finished(self, exchange: Exchange) -> None:
        """Its times are known, its tokens perhaps not yet."""
        self._unmeasured.pop(id(exchange), None)
        track = self._flying.get(id(exchange))
        if track is None and exchange.operation != OTHER and self._measured(exchange):
            track = self._follow(exchange)  # only its answer told what it is
        if track is None:
            return
        self._ended(track, exchange.stop_ns)
        if exchange.operation == OTHER:  # its answer told that it is no inference
            del self._flying[id(exchange)]
            self._totals.ended(track.model, Outcome.COMPLETE, track.settled_mj)
        elif not exchange.generating and exchange.prompt_tokens is None:
            self._resolve(track, exchange, exchange.stop_ns)  # nobody counts its tokens

    def counted(self, exchange: Exchange) -> None:
        """All is known."""
        track = self._flying.get(id(exchange))
        if track is not None:
            self._resolve(track, exchange, exchange.stop_ns)
        if self._meter.newest_ns and not exchange.error and exchange.operation != OTHER:
            self._rates.learn(self._labels.model(exchange), exchange)

    def dropped(self, exchange: Exchange) -> None:
        """It was lost sight of: what was seen counts."""
        self._unmeasured.pop(id(exchange), None)
        track = self._flying.get(id(exchange))
        if track is None:
            return
        seen_ns = max(
            exchange.last_output_ns, exchange.response_start_ns, exchange.request_end_ns,
            exchange.start_ns,
        )  # fmt: skip
        self._ended(track, seen_ns)
        self._resolve(track, exchange, seen_ns, Outcome.LOST)

    def _ended(self, track: Track, at_ns: int) -> None:
        self._pass_to(at_ns)
        self._running -= 1
        track.virtual = self._virtual - track.virtual
        track.over = True

    def _pass_to(self, at_ns: int) -> None:
        """Time passes for all in flight alike: each has its part of it."""
        if at_ns > self._virtual_ns:
            if self._running:
                self._virtual += (at_ns - self._virtual_ns) / 1e9 / self._running
            self._virtual_ns = at_ns

    def _resolve(
        self, track: Track, exchange: Exchange, at_ns: int, outcome: Outcome | None = None
    ) -> None:
        del self._flying[id(exchange)]
        self._name(track, exchange)
        track.read(exchange, self._rates.of(track.model), at_ns)
        track.resolve(outcome or _outcome(exchange))
        if not track.begin_ns:
            return
        self._waiting.append(track)
        if self._provided(track.end_ns):
            track.share.millijoules = self._expected(track)
            track.share.quality = Quality.PROVISIONAL

    def _name(self, track: Track, exchange: Exchange) -> None:
        track.model = self._labels.model(exchange)
        track.operation = exchange.operation

    def _provided(self, at_ns: int) -> bool:
        """Whether there are samples dense enough, and a model of them."""
        fresh = at_ns - self._meter.newest_ns < 2 * GRACE_NS
        return fresh and self._dense > 0.5 and self._settler.model.fitted

    def _expected(self, track: Track) -> int:
        """What the model of work says of all that it did."""
        prefill, decode, context, step = self._settler.model.joules_each
        tokens, later, with_context, steps = track.work()
        whole_ns = track.end_ns - track.begin_ns
        together = track.virtual * 1e9 / whole_ns if whole_ns > 0 else 1.0
        steps *= min(1.0, together)
        return round(
            1000 * (prefill * tokens + decode * later + context * with_context + step * steps)
        )

    def of(self, exchange: Exchange) -> Share:
        """The share of an exchange as far as it is known now; `exchange.energy` is the same object
        for good, but brought up to date only here, when it is counted, and when it settles.
        """
        track = self._flying.get(id(exchange))
        if track is None:
            return exchange.energy or Share()
        now_ns = exchange.stop_ns or max(exchange.last_output_ns, self._meter.newest_ns)
        track.read(exchange, self._rates.of(track.model), now_ns)
        if track.begin_ns and self._provided(now_ns):
            since = track.virtual
            if not track.over:
                track.virtual = self._virtual - since
            track.share.millijoules = self._expected(track)
            track.share.quality = Quality.PROVISIONAL
            track.virtual = since
        return track.share

    # --- settling ---------------------------------------------------------------------------
    def step(self, now_ns: int) -> bool:
        """Settle what can be, by the frames' clock, but no longer than some milliseconds; True:
        there is more to do, at once.
        """
        forced_ns = now_ns - HOLD_SECONDS * 1_000_000_000
        until_ns = max(min(now_ns - GRACE_NS, self._frontier()), forced_ns)
        pending, left = self._pending, _AT_ONCE
        most = max(1, min(_BATCH, _AT_ONCE // (len(self._flying) + len(self._waiting) + 1)))
        while pending and pending[0].until_ns <= until_ns and left > 0:
            batch: list[Interval] = []
            while pending and pending[0].until_ns <= until_ns and len(batch) < most:
                batch.append(pending.popleft())
            left -= len(batch) * max(1, self._settle(batch, now_ns))
        more = bool(pending) and pending[0].until_ns <= until_ns
        if not more:
            self._report(max(self._settled_ns, forced_ns - GRACE_NS))
        return more

    def _frontier(self) -> int:
        """Since when something runs whose tokens are not known."""
        begins = [
            exchange.request_end_ns or exchange.start_ns
            for track in self._flying.values()
            if (exchange := track.exchange) is not None
            and (exchange.request_end_ns or exchange.response_start_ns or exchange.stop_ns)
        ]
        return min(begins, default=1 << 62)

    def _settle(self, batch: list[Interval], now_ns: int) -> int:
        """Settle them; give how many exchanges were looked at for each."""
        since_ns, until_ns = batch[0].since_ns, batch[-1].until_ns
        for track in self._flying.values():
            exchange = track.exchange
            if exchange is not None and exchange.request_end_ns < until_ns:
                self._name(track, exchange)
                track.read(exchange, self._rates.of(track.model), now_ns)
        tracks = [
            track
            for group in (self._waiting, self._flying.values())
            for track in group
            if 0 < track.begin_ns < until_ns and track.end_ns > max(since_ns, track.begin_ns)
        ]
        for interval in batch:
            self._settler.settle(interval, tracks)
            self._pending_mj -= interval.millijoules
        self._settled_ns = until_ns
        return len(tracks)

    def _report(self, until_ns: int) -> None:
        """Tell of those whose time is settled whole."""
        left: list[Track] = []
        for track in self._waiting:
            if track.end_ns > until_ns:
                left.append(track)
            else:
                self._settled(track)
        self._waiting = left

    def _settled(self, track: Track) -> None:
        share = track.share
        share.millijoules = track.settled_mj
        covered = track.covered_ns >= _COVERED * track.computing_ns
        dense = track.sparse_ns <= _SPARSE * track.computing_ns
        known = covered and dense and self._settled_ns >= track.end_ns
        share.quality = Quality.SETTLED if known else Quality.NONE
        self._totals.ended(track.model, track.outcome, track.settled_mj)
        if known and track.computing_ns:
            told = Settled(
                track.model, track.operation, track.outcome, share, track.tokens_in,
                track.tokens_out,
            )  # fmt: skip
            for listener in self._listeners:
                listener(told)

    # --- told -------------------------------------------------------------------------------
    def told(self) -> Told:
        """All there is to tell, since the start."""
        model = self._settler.model
        prefill, decode, context, step = model.estimates()
        total = self._totals.total(self._meter.device_mj, self._pending_mj + self._meter.tail_mj)
        return Told(
            total=total,
            by_model=self._totals.models(),
            by_outcome=self._totals.outcomes(),
            level=self._level(),
            integrated=self._integrated,
            residual=model.residual,
            fitted=Fitted(self._settler.idle_power, prefill, decode, context, step),
            unbalanced_mj=unbalanced(total),
            uncovered_seconds=self._totals.uncovered_ns / 1e9,
        )

    def _level(self) -> Literal["", "request", "version"]:
        if not self._meter.device_mj:
            return ""
        return "request" if self._dense > 0.5 else "version"


def _outcome(exchange: Exchange) -> Outcome:
    if exchange.code == CLIENT_LEFT:
        return Outcome.ABANDONED
    return Outcome.FAILED if exchange.error or exchange.code >= 400 else Outcome.COMPLETE
