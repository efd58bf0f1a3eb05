"""Ships the newest snapshot of the observer's metrics to one sink.

Rules:
1. Each is sent once. One that came while another was under way replaces what waits; one that
   failed is counted and not repeated, for the next says all that it said.
2. None is kept for longer than it takes to send it: a process has the snapshots of one observer,
   and ends with it.
"""

import asyncio
import contextlib
from typing import Protocol

from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.ship.shipper import CLOSE_SECONDS
from sidelight_sidecar.capture.ship.time_left import Clock, TimeLeft
from sidelight_sidecar.records.handover import MetricsState
from sidelight_sidecar.records.metrics import Snapshot

SEND_SECONDS = 10.0
"""For one snapshot. Default 10: some kilobytes, and what waits at the end has no more time."""
DOWN_AFTER = 3
"""So many that fail in a row mean that metrics do not arrive. Default 3: a restarted backend misses
one or two."""
_FOREVER = 3600.0


class MetricsSink(Protocol):
    """Where metrics go."""

    name: str

    async def send(self, snapshot: Snapshot) -> Delivery:
        """Send one; `refused` of the answer is how many points the sink would not have."""

    async def close(self) -> None:
        """Let go of connections."""


class SnapshotShipper:
    """One sink's."""

    def __init__(self, sink: MetricsSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._wake = asyncio.Event()
        self._newest: Snapshot | None = None
        self._left = TimeLeft(clock)
        self._delivered = self._partial = self._failed = 0
        self._in_a_row = 0
        self._why = ""

    @property
    def name(self) -> str:
        """The sink's."""
        return self._sink.name

    @property
    def state(self) -> MetricsState:
        """How it does."""
        down = self._in_a_row >= DOWN_AFTER
        return MetricsState(self._delivered, self._partial, self._failed, down, self._why)

    def take(self, snapshot: Snapshot) -> None:
        """Here is a newer one."""
        self._newest = snapshot
        self._wake.set()

    def end(self, within_seconds: float) -> None:
        """Send what waits, and return from `run` when that is done or time is up."""
        self._left.end(within_seconds)
        self._wake.set()

    async def run(self) -> None:
        """Ship until `end`."""
        while True:
            self._wake.clear()
            snapshot, self._newest = self._newest, None
            if snapshot is not None:
                self._settle(await self._send(snapshot))
            elif self._left.ending:
                return
            else:
                await self._clock.sleep(_FOREVER, self._wake)

    async def close(self) -> None:
        """Close the sink, whatever it says; after `run`."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._sink.close()

    async def _send(self, snapshot: Snapshot) -> Delivery:
        try:
            async with self._left.limit(SEND_SECONDS):
                return await self._sink.send(snapshot)
        except TimeoutError:
            return Delivery(Outcome.LATER, "timed out")
        except Exception as error:  # noqa: BLE001 - a sink's fault is not to end the others
            return Delivery(Outcome.LATER, type(error).__name__)

    def _settle(self, delivery: Delivery) -> None:
        self._why = delivery.why
        if delivery.outcome is not Outcome.DELIVERED:
            self._failed += 1
            self._in_a_row += 1
            return
        self._in_a_row = 0
        if delivery.refused:
            self._partial += 1
        else:
            self._delivered += 1
