"""Ships what one sink has not had yet, until told to end; then what is left, within a time.

A record at which the sink fails alone does not hold up those behind it: `aside.py`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from sidelight_sidecar.capture.ship.aside import Aside
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome, ShipPolicy, ShipSettings
from sidelight_sidecar.capture.ship.time_left import Clock, TimeLeft
from sidelight_sidecar.capture.spool.queue import Entry, Spool

_ALL = 1 << 62
FAILS_ALONE = "fails at a record, and takes others"
"""Why one was given up."""
CLOSE_SECONDS = 2.0
"""How long a sink may take to close. Default 2: what it had to ship it has shipped."""


class Sink(Protocol):
    """Where records go."""

    name: str

    async def send(self, entries: Sequence[Entry]) -> Delivery:
        """Send a batch. A number may come again after a crash; whoever reads the sink tells it by
        the record's id.
        """

    async def close(self) -> None:
        """Let go of connections and files: nothing is sent any more. Done within `CLOSE_SECONDS`,
        or it is cancelled.
        """


class Shipper:
    """One sink's.

    Args:
        sink: where to.
        spool: where records wait; the sink's name is a reader's.
        settings: how.
        clock: time.
        chance: draws from [0, 1).

    Attributes:
        delivered: records that the sink has.
        refused: records that it would not have.
    """

    def __init__(
        self,
        sink: Sink,
        spool: Spool,
        settings: ShipSettings,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._sink = sink
        self._spool = spool
        self._settings = settings
        self._clock = clock
        self._policy = ShipPolicy(settings, chance)
        self._aside = Aside(settings, chance)
        self._wake = asyncio.Event()
        self._left = TimeLeft(clock)
        self._bytes = 0
        self.delivered = 0
        self.refused = 0

    @property
    def name(self) -> str:
        """The sink's."""
        return self._sink.name

    @property
    def down(self) -> bool:
        """Whether it is taken to be down."""
        return self._policy.open

    @property
    def why(self) -> str:
        """Why the last try failed; empty: it did not."""
        return self._policy.why

    def lag_seconds(self) -> float:
        """How long the oldest record has waited; 0: none waits."""
        return self._since(self._spool.oldest(self.name))

    def added(self, size: int) -> None:
        """A record of `size` bytes was put into the spool."""
        self._bytes += size
        full = self._bytes >= self._settings.most_bytes
        if full or self._spool.unread(self.name) >= self._settings.most:
            self._wake.set()

    def end(self, within_seconds: float) -> None:
        """Ship what is left, at once, and return from `run` when that is done or time is up."""
        self._left.end(within_seconds)
        self._policy.hurry()
        self._aside.hurry()
        self._wake.set()

    async def close(self) -> None:
        """Close the sink, whatever it says; after `run`."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._sink.close()

    async def run(self) -> None:
        """Ship until `end`."""
        while not self._over():
            self._wake.clear()
            now, unread = self._clock.now(), self._spool.unread(self.name)
            number = self._aside.due(now, others=unread > 0)
            if number is not None and not self._policy.wait_seconds(now):
                await self._ship_aside(number)
                continue
            plan = self._policy.plan(
                now,
                waiting=unread,
                size=self._bytes,
                waited=self._waited(),
                draining=self._left.ending,
            )
            if plan.most:
                await self._ship(plan.most, plan.most_bytes)
            else:
                wait = self._wait(plan.wait_seconds, others=unread > 0)
                await self._clock.sleep(self._left.within(wait), self._wake)

    def _over(self) -> bool:
        nothing = self._left.ending and not self._spool.waiting(self.name)
        return nothing or self._left.over

    def _wait(self, seconds: float, *, others: bool) -> float:
        """No longer than until one of those aside may be tried."""
        now = self._clock.now()
        of_aside = self._aside.wait_seconds(now, others=others)
        if of_aside is None:
            return seconds
        return min(seconds, max(of_aside, self._policy.wait_seconds(now)))

    def _waited(self) -> float:
        """How long the oldest that is not aside has."""
        return self._since(self._spool.oldest(self.name, aside=False))

    def _since(self, unix: float | None) -> float:
        return 0.0 if unix is None else max(self._clock.unix() - unix, 0.0)

    async def _ship(self, most: int, most_bytes: int) -> None:
        entries = self._spool.read(self.name, most=most, most_bytes=most_bytes)
        if not entries:  # what waited cannot be read any more
            self._spool.done(self.name, _ALL)
            return
        delivery = await self._send(entries)
        if delivery.outcome is Outcome.LATER:
            self._failed(entries, delivery)
            return
        if delivery.outcome is Outcome.DELIVERED:
            self.delivered += len(entries) - delivery.refused
            self.refused += delivery.refused
            self._policy.delivered(delivery.why)
            if delivery.refused < len(entries):
                self._others_passed()
        elif self._policy.refused(len(entries), delivery):
            self.refused += 1
        else:
            return
        self._spool.done(self.name, entries[-1].number)
        self._behind(entries)

    def _failed(self, entries: Sequence[Entry], delivery: Delivery) -> None:
        now = self._clock.now()
        self._policy.failed(now, delivery, len(entries))
        self._aside.others_failed()
        if len(entries) == 1 and self._policy.open and not self._aside.full:
            self._spool.set_aside(self.name, entries[0].number)
            self._aside.put(entries[0].number, now)
            self._behind(entries)

    async def _ship_aside(self, number: int) -> None:
        """Try one that failed alone."""
        entry = self._spool.read_aside(self.name, number)
        if entry is None:
            self._settle(number)
            return
        delivery = await self._send([entry])
        now = self._clock.now()
        if delivery.outcome is Outcome.LATER:
            if not self._aside.failed(number, now):
                self._policy.failed(now, delivery)
            return
        refused = 1 if delivery.outcome is Outcome.REFUSED else delivery.refused
        self.delivered += 1 - refused
        self.refused += refused
        self._policy.delivered(delivery.why)
        self._settle(number)

    def _others_passed(self) -> None:
        self._aside.others_passed()
        for number in self._aside.given_up():
            if self._spool.read_aside(self.name, number) is not None:
                self.refused += 1
                self._policy.why = FAILS_ALONE
            self._settle(number)

    def _settle(self, number: int) -> None:
        self._spool.settle(self.name, number)
        self._aside.forget(number)

    def _behind(self, entries: Sequence[Entry]) -> None:
        self._bytes = max(0, self._bytes - sum(len(entry.record) for entry in entries))

    async def _send(self, entries: Sequence[Entry]) -> Delivery:
        try:
            async with self._left.limit(self._settings.timeout_seconds):
                return await self._sink.send(entries)
        except TimeoutError:
            return Delivery(Outcome.LATER, "timed out")
        except Exception as error:  # noqa: BLE001 - a sink's fault is not to end the others
            return Delivery(Outcome.LATER, type(error).__name__)
