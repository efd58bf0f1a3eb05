"""Chooses the spans over which sidecar and engine are compared, and keeps what came of it.

Rules:
1. Spans follow each other without a hole, from one sample to another.
2. A sample at which nothing was in flight is preferred: between two of them figures are exact. One
   ends the span once it is `EXACT_SECONDS` long, or at once when it is the first.
3. Where there is none for `LONG_SECONDS`, the span ends at the last sample of which all that were
   in flight have ended, and they widen the bounds.
4. An engine without metrics is held against the times in its own answers (`own_words`).
5. A span in which neither side saw anything is none. One across a restart of the engine is given
   up; so is one in which it took no connections, if it does not say when it began.
6. A comparison is the newest word until there has been traffic for half an hour of which nothing
   could be compared; then there is none.
7. A sample is judged by only when the one after it is there: frames come up to 50 ms late.
"""

from collections.abc import Callable
from typing import NamedTuple

from sidelight_contract.names import DifferenceCause
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.exchange import OTHER, Exchange
from sidelight_sidecar.observer.reconcile.compare import (
    Comparison,
    compare,
    restarted,
)
from sidelight_sidecar.observer.reconcile.ledger import Ledger, Mark
from sidelight_sidecar.observer.reconcile.own_words import OwnWords

SPACING_SECONDS = 4.0
"""Samples that come closer (the queue is read more often while tokens are counted) are left out."""
EXACT_SECONDS = 30.0
STALE_SECONDS = 1800.0
LONG_SECONDS = 240.0
"""Of 96 samples, one every five seconds: half of what is known."""


class Unobserved(NamedTuple):
    """What the sidecar knows that it does not see."""

    connections: int = 0
    """Connections, in all, of which not everything was observed."""
    opaque: int = 0
    """Those that are open and not read, or not read again since bytes of them were missed."""
    refused: int = 0
    """Connections, in all, that the engine did not take."""


class Reconciler(Consumer):
    """A consumer of exchanges that is also told each sample of the engine's metrics.

    Attributes:
        last: the newest comparison, however old.
        spans: how many there were, by whether they agreed.
        causes: in how many of them each cause was found.
        restarts: how often the engine was seen to have begun anew.
        samples: how many samples it was told.
        exchanges: how many exchanges of inference it was told.
    """

    def __init__(self, unobserved: Callable[[], Unobserved] = Unobserved) -> None:
        self._unobserved = unobserved
        self._ledger = Ledger()
        self._own_words = OwnWords()
        self._base = 0
        self._refused = 0
        self._uncompared_ns: tuple[int, int] | None = (
            None  # first and newest end since the last one
        )
        self.last: Comparison | None = None
        self.spans = {True: 0, False: 0}
        self.causes: dict[DifferenceCause, int] = {}
        self.restarts = 0
        self.samples = 0
        self.exchanges = 0

    @property
    def fresh(self) -> Comparison | None:
        """The newest comparison, if it still speaks of the traffic there is."""
        first, newest = self._uncompared_ns or (0, 0)
        return self.last if newest - first <= STALE_SECONDS * 1e9 else None

    # --- exchanges: all of it is the ledger's -----------------------------------------------
    def started(self, exchange: Exchange) -> None:
        """Take note."""
        self._ledger.started(exchange)

    def finished(self, exchange: Exchange) -> None:
        """Take note."""
        self._ledger.finished(exchange)
        if exchange.operation != OTHER:
            self.exchanges += 1
            first, newest = self._uncompared_ns or (exchange.stop_ns, exchange.stop_ns)
            self._uncompared_ns = first, max(newest, exchange.stop_ns)

    def counted(self, exchange: Exchange) -> None:
        """Take note."""
        self._ledger.counted(exchange)
        if not self.samples and (comparison := self._own_words.counted(exchange)) is not None:
            self._keep(comparison)

    def dropped(self, exchange: Exchange) -> None:
        """Take note."""
        self._ledger.dropped(exchange)

    # --- samples ----------------------------------------------------------------------------
    def engine_said(self, sample: EngineSample) -> None:
        """Take a sample, and compare where a span has come to its end."""
        ledger = self._ledger
        self.samples += 1
        unobserved = self._unobserved()
        if ledger.newest >= 0:
            before = ledger.mark(ledger.newest).sample
            if sample.asked_ns - before.at_ns < SPACING_SECONDS * 1e9:
                return
            if restarted(before, sample):
                self.restarts += 1
                self._base = ledger.newest + 1
            elif sample.started_at is None and unobserved.refused > self._refused:
                self._base = ledger.newest + 1  # its counters may have passed what they were
        self._refused = unobserved.refused
        ledger.add(Mark(sample, unobserved.connections, unobserved.opaque))
        self._base = max(self._base, ledger.oldest)
        end = self._end_of_span()
        if end is not None:
            self._settle(end)
        ledger.forget(self._base)

    def _end_of_span(self) -> int | None:
        """The sample at which the span that began at the base is to end; None: not yet."""
        ledger = self._ledger
        loose = None
        for number in range(ledger.newest - 1, self._base, -1):
            if ledger.open_across(number):
                continue
            loose = number if loose is None else loose
            if not ledger.across(number):
                enough = self.last is None or self._seconds_to(number) >= EXACT_SECONDS
                return number if enough else None
        if loose is not None and self._seconds_to(loose) >= LONG_SECONDS:
            return loose
        return None

    def _seconds_to(self, number: int) -> float:
        since, until = self._ledger.mark(self._base), self._ledger.mark(number)
        return (until.sample.at_ns - since.sample.at_ns) / 1e9

    def _settle(self, end: int) -> None:
        ledger = self._ledger
        first, last = ledger.mark(self._base), ledger.mark(end)
        comparison = compare(first, last, ledger.between(self._base, end))
        self._base = end
        if not any(figure.engine or figure.high for figure in comparison.figures.values()):
            return
        self._keep(comparison)

    def _keep(self, comparison: Comparison) -> None:
        self.last = comparison
        self._uncompared_ns = None
        self.spans[comparison.agrees] += 1
        for cause in comparison.causes:
            self.causes[cause] = self.causes.get(cause, 0) + 1
