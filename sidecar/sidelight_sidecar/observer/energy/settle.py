"""One interval's energy, split: idle, unowned, and the shares of those that ran. Pure.

Rules:
1. Idle is the idle power for as long as the interval is, but no more than there was.
2. With nothing in flight all is idle; what is beyond `CALM` times the idle power is unowned.
3. The rest is shared by the work that the model of work weighs. What is beyond `BEYOND` times that
   model is work that is not known, and shared by the time in flight.
4. An interval longer than `most_ns` says nothing of who ran in it: its rest is unowned. Neither its
   tokens are counted, nor those of one whose energy is not known whole: tokens and the joules that
   they are held against are of the same time.
"""

from collections.abc import Sequence

from sidelight_sidecar.observer.energy.idle import IdlePower
from sidelight_sidecar.observer.energy.intervals import Interval
from sidelight_sidecar.observer.energy.model import WorkModel
from sidelight_sidecar.observer.energy.shares import shares
from sidelight_sidecar.observer.energy.told import Estimate
from sidelight_sidecar.observer.energy.totals import Totals
from sidelight_sidecar.observer.energy.track import Done, Track

CALM = 1.25
"""Default 1.25: idle power wanders by some percent, and is a low quantile."""
BEYOND = 1.25
DENSE_NS = 500_000_000
"""`REQUEST_LEVEL_SECONDS`: a longer interval tells nothing of a single request. What was done in it
is looked at in slices of this length all the same."""


class Settler:
    """See the module; it keeps what it learns."""

    def __init__(self, totals: Totals, most_ns: int) -> None:
        self.idle = IdlePower()
        self.model = WorkModel()
        self._totals = totals
        self._most_ns = most_ns

    def settle(self, interval: Interval, tracks: Sequence[Track]) -> None:
        """Split it among those of `tracks` that ran in it."""
        if interval.until_ns - interval.since_ns > self._most_ns:
            self.unknown(interval)
            return
        self._totals.uncovered_ns += interval.uncovered_ns
        if ran := _ran(interval, tracks):
            self._busy(interval, ran)
        else:
            self._quiet(interval)

    def unknown(self, interval: Interval) -> None:
        """Nobody knows who ran in it."""
        self._totals.uncovered_ns += interval.uncovered_ns
        idle = self._idle_mj(interval)
        self.idle.broken()
        self._totals.settled.unseen_mj += interval.millijoules
        self._rest(interval, idle)

    def _rest(self, interval: Interval, idle: int) -> None:
        self.model.broken()
        self._totals.settled.idle_mj += idle
        self._totals.settled.unowned_mj += interval.millijoules - idle

    @property
    def idle_power(self) -> Estimate | None:
        """As measured at rest, else as fitted; None: not known."""
        return self.idle.estimate or self.model.idle_watts

    def _idle_mj(self, interval: Interval) -> int:
        estimate = self.idle_power
        watts = estimate.value if estimate is not None else 0.0
        span_ns = interval.until_ns - interval.since_ns
        return min(interval.millijoules, round(watts * span_ns / 1e6))

    def _quiet(self, interval: Interval) -> None:
        """Nothing was in flight."""
        idle = self._idle_mj(interval)
        if self.idle_power is None or interval.millijoules <= CALM * idle:
            idle = interval.millijoules
        if not interval.uncovered_ns:
            seconds = (interval.until_ns - interval.since_ns) / 1e9
            self.idle.add(interval.millijoules, seconds)
        self._rest(interval, idle)

    def _busy(self, interval: Interval, ran: dict[Track, Done]) -> None:
        self.idle.broken()
        span_ns = interval.until_ns - interval.since_ns
        prefill = decode = context = steps = present_ns = 0.0
        for done in ran.values():
            prefill += done.prefill
            decode += done.decode
            context += done.context
            steps += done.steps
            present_ns += done.present_ns
        if present_ns and not interval.uncovered_ns:
            joules, work = interval.millijoules / 1000, (prefill, decode, context, steps)
            self.model.add(joules, span_ns / 1e9, work, self.idle.watts)
        else:
            self.model.broken()
        idle = self._idle_mj(interval)
        self._totals.settled.idle_mj += idle
        parts = shares(interval.millijoules - idle, self._weights(interval, idle, ran))
        sparse, covered = span_ns > DENSE_NS, not interval.uncovered_ns
        if not covered:  # its tokens have not all of their joules
            self._totals.settled.unseen_mj += interval.millijoules
        models: dict[str, list[float]] = {}
        for (track, done), part in zip(ran.items(), parts, strict=True):
            track.settled_mj += part
            if sparse:
                track.sparse_ns += done.present_ns
            if covered:
                track.covered_ns += done.present_ns
            sums = models.get(track.model)
            if sums is None:
                sums = models[track.model] = [0, 0.0, 0.0]
            sums[0] += part
            if covered:
                sums[1] += done.prefill
                sums[2] += done.output
        for model, (millijoules, prompt, output) in models.items():
            self._totals.shared(model, int(millijoules), prompt, output)

    def _weights(self, interval: Interval, idle: int, ran: dict[Track, Done]) -> list[float]:
        """The joules that the model expects of each, and what is far beyond by the time."""
        prefill, decode, context, step = self.model.joules_each
        weights = [
            prefill * done.prefill
            + decode * done.decode
            + context * done.context
            + step * done.steps
            for done in ran.values()
        ]
        joules = (interval.millijoules - idle) / 1000
        beyond = joules - BEYOND * sum(weights)
        if beyond > 0 or not joules:
            flight_ns = sum(done.flight_ns for done in ran.values())
            each = max(beyond, 1.0) / flight_ns
            weights = [w + each * d.flight_ns for w, d in zip(weights, ran.values(), strict=True)]
        return weights


def _ran(interval: Interval, tracks: Sequence[Track]) -> dict[Track, Done]:
    """What each that was in flight did. A step of decoding brings each request a token: there were
    as many as the one with most tokens got, and they belong to all in proportion to theirs.
    """
    ran: dict[Track, Done] = {}
    since_ns = interval.since_ns
    while since_ns < interval.until_ns:
        until_ns = min(since_ns + DENSE_NS, interval.until_ns)
        most = all_of_them = 0.0
        decoded: list[tuple[Done, float]] = []
        for track in tracks:
            if track.begin_ns < until_ns and track.end_ns > since_ns:
                done = ran.get(track)
                if done is None:
                    done = ran[track] = Done()
                tokens = track.did(since_ns, until_ns, done)
                if tokens:
                    decoded.append((done, tokens))
                    all_of_them += tokens
                    most = max(most, tokens)
        for done, tokens in decoded:
            done.steps += most * tokens / all_of_them
        since_ns = until_ns
    return ran
