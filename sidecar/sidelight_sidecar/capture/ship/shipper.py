"""Ships what one sink has not had yet, until told to end; then what is left, within a time."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Protocol

from sidelight_sidecar.capture.ship.policy import Delivery, Outcome, ShipPolicy, ShipSettings
from sidelight_sidecar.capture.spool.queue import Entry, Spool

_ALL = 1 << 62
CLOSE_SECONDS = 2.0
"""How long a sink may take to close. Default 2: what it had to ship it has shipped."""


class Clock(Protocol):
    """Time, so that tests have their own."""

    def now(self) -> float:
        """Seconds, monotonic."""

    def unix(self) -> float:
        """Seconds since 1970."""

    async def sleep(self, seconds: float, wake: asyncio.Event) -> None:
        """Wait so long, or until `wake` is set."""


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


class WallClock:
    """The machine's."""

    def now(self) -> float:
        """Seconds, monotonic."""
        return asyncio.get_running_loop().time()

    def unix(self) -> float:
        """Seconds since 1970."""
        return time.time()

    async def sleep(self, seconds: float, wake: asyncio.Event) -> None:
        """Wait so long, or until `wake` is set."""
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            return


class Shipper:
    """One sink's.

    Attributes:
        delivered: records that the sink has.
        refused: records that it would not have.
    """

    def __init__(
        self,
        sink: Sink,
        spool: Spool,
        policy: ShipPolicy,
        settings: ShipSettings,
        clock: Clock,
    ) -> None:
        self._sink = sink
        self._spool = spool
        self._policy = policy
        self._settings = settings
        self._clock = clock
        self._wake = asyncio.Event()
        self._end_at: float | None = None
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
        oldest = self._spool.oldest(self.name)
        return 0.0 if oldest is None else max(self._clock.unix() - oldest, 0.0)

    def added(self, size: int) -> None:
        """A record of `size` bytes was put into the spool."""
        self._bytes += size
        full = self._bytes >= self._settings.most_bytes
        if full or self._spool.waiting(self.name) >= self._settings.most:
            self._wake.set()

    def end(self, within_seconds: float) -> None:
        """Ship what is left, at once, and return from `run` when that is done or time is up."""
        self._end_at = self._clock.now() + within_seconds
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
            plan = self._policy.plan(
                self._clock.now(),
                waiting=self._spool.waiting(self.name),
                size=self._bytes,
                waited=self.lag_seconds(),
                draining=self._end_at is not None,
            )
            if plan.most:
                await self._ship(plan.most, plan.most_bytes)
            else:
                await self._clock.sleep(self._within(plan.wait_seconds), self._wake)

    def _over(self) -> bool:
        if self._end_at is None:
            return False
        return self._clock.now() >= self._end_at or not self._spool.waiting(self.name)

    def _within(self, seconds: float) -> float:
        if self._end_at is None:
            return seconds
        return max(0.0, min(seconds, self._end_at - self._clock.now()))

    async def _ship(self, most: int, most_bytes: int) -> None:
        entries = self._spool.read(self.name, most=most, most_bytes=most_bytes)
        if not entries:  # what waited cannot be read any more
            self._spool.done(self.name, _ALL)
            return
        delivery = await self._send(entries)
        if delivery.outcome is Outcome.LATER:
            self._policy.failed(self._clock.now(), delivery)
            return
        if delivery.outcome is Outcome.DELIVERED:
            self.delivered += len(entries) - delivery.refused
            self.refused += delivery.refused
            self._policy.delivered(delivery.why)
        elif self._policy.refused(len(entries), delivery):
            self.refused += 1
        else:
            return
        self._spool.done(self.name, entries[-1].number)
        self._bytes = max(0, self._bytes - sum(len(entry.record) for entry in entries))

    async def _send(self, entries: Sequence[Entry]) -> Delivery:
        try:
            async with asyncio.timeout(self._within(self._settings.timeout_seconds)):
                return await self._sink.send(entries)
        except TimeoutError:
            return Delivery(Outcome.LATER, "timed out")
        except Exception as error:  # noqa: BLE001 - a sink's fault is not to end the others
            return Delivery(Outcome.LATER, type(error).__name__)
