"""The capture process: takes what the observer hands over, masks it, and ships records to sinks.

Rules:
1. It begins with the settings that come first, and ends with them: other settings mean another
   process, which the observer starts once this one has ended.
2. It ends when the observer closes the socket: what waits is shipped within `drain_seconds`.
3. Nothing that passes is logged: events and counts only.
"""

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from sidelight_contract.export import SPOOL_DIRECTORY, SinkSettings, SpoolSettings
from sidelight_sidecar.capture.link import Observer
from sidelight_sidecar.capture.recorder import Recorder, Redactor
from sidelight_sidecar.capture.ship.policy import ShipSettings
from sidelight_sidecar.capture.ship.shipper import Shipper, Sink
from sidelight_sidecar.capture.ship.snapshots import SnapshotShipper
from sidelight_sidecar.capture.ship.time_left import Clock
from sidelight_sidecar.capture.spool.disk import DiskSpool
from sidelight_sidecar.capture.spool.queue import MemorySpool, Spool
from sidelight_sidecar.records.handover import (
    Captured,
    HandoverError,
    Settings,
    SinkState,
    SpansState,
    ToCapture,
    encode,
)
from sidelight_sidecar.records.metrics import Snapshot

STATE_SECONDS = 1.0
OWNED_SECONDS = 15.0
"""How long a spool may be another's. Default 15: whoever had it drains for 8, and is killed after
12."""
TRY_SECONDS = 0.1
TURN_SECONDS = 0.002
"""Exchanges are masked so long before sinks have their turn."""


@runtime_checkable
class Rotating(Protocol):
    """A sink whose files end by age, too."""

    def end_old_file(self) -> None:
        """End what is old enough, though nothing comes."""


class Running(Protocol):
    """What ships something."""

    async def run(self) -> None:
        """Ship until `end`."""

    def end(self, within_seconds: float) -> None:
        """Ship what waits, and return from `run` when that is done or time is up."""

    async def close(self) -> None:
        """Let go of all it holds; after `run`."""


class PassedOn(Running, Protocol):
    """The engine's own spans."""

    @property
    def listening(self) -> bool | None:
        """Whether the engine can send; None: it is not known yet."""

    @property
    def results(self) -> Mapping[str, int]:
        """Exports, by what became of them."""

    def of_sink(self, name: str) -> SpansState | None:
        """How they do at a sink; None: it wants none."""


class Capture:
    """All parts of one process, for one set of settings.

    Args:
        settings: what came first.
        redact: masks bodies.
        sinks: each with how it is sent to.
        metrics: those that metrics are sent to, too.
        engine_spans: passed on to those that ask for them; None: none does.
        clock: time.
        spool_directory: where a disk spool is, if there is to be one.
    """

    def __init__(
        self,
        settings: Settings,
        redact: Redactor,
        sinks: Sequence[tuple[Sink, ShipSettings]],
        *,
        clock: Clock,
        metrics: Sequence[SnapshotShipper] = (),
        engine_spans: PassedOn | None = None,
        spool_directory: Path = Path(SPOOL_DIRECTORY),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._age_seconds = settings.export.spool.age_seconds
        self._clock = clock
        self._kinds = {sink.name: kind_of(sink) for sink in settings.export.sinks}
        names = [sink.name for sink, _ in sinks]
        self.spool, self._spool_failed = _spool(settings.export.spool, names, spool_directory)
        self.shippers = [Shipper(sink, self.spool, how, clock, chance) for sink, how in sinks]
        self.metrics = metrics
        self.engine_spans = engine_spans
        self._rotating = [sink for sink, _ in sinks if isinstance(sink, Rotating)]
        self.recorder = Recorder(redact, self.spool, self._added)

    @property
    def all_shippers(self) -> list[Running]:
        """Of records, of metrics, and of the engine's spans."""
        spans = [self.engine_spans] if self.engine_spans is not None else []
        return [*self.shippers, *self.metrics, *spans]

    def _added(self, size: int) -> None:
        for shipper in self.shippers:
            shipper.added(size)

    def take(self, captured: Captured) -> None:
        """Make a record of an exchange."""
        self.recorder.take(captured, self._clock.unix())

    def measured(self, snapshot: Snapshot) -> None:
        """Pass the observer's metrics on."""
        for shipper in self.metrics:
            shipper.take(snapshot)

    def tick(self) -> bytes:
        """Let go of what is too old, and of files that are; how it does, as a message."""
        for sink in self._rotating:
            sink.end_old_file()
        self.spool.expire(self._clock.unix() - self._age_seconds)
        damaged = self.spool.damaged if isinstance(self.spool, DiskSpool) else 0
        states = [(name, self._state(name, kind)) for name, kind in self._kinds.items()]
        state = self.recorder.state(states, damaged)
        spans = self.engine_spans
        return encode(
            msgspec.structs.replace(
                state,
                spool_failed=self._spool_failed,
                engine_exports=dict(spans.results) if spans is not None else {},
                engine_spans_taken=spans.listening if spans is not None else None,
            )
        )

    def _state(self, name: str, kind: str) -> SinkState:
        metrics = next((one.state for one in self.metrics if one.name == name), None)
        spans = self.engine_spans.of_sink(name) if self.engine_spans else None
        shipper = next((one for one in self.shippers if one.name == name), None)
        if shipper is None:  # it is sent no records
            return SinkState(kind=kind, metrics=metrics, engine_spans=spans)
        return SinkState(
            kind=kind,
            delivered=shipper.delivered,
            refused=shipper.refused,
            lost=self.spool.lost(name),
            waiting=self.spool.waiting(name),
            lag_seconds=round(shipper.lag_seconds(), 3),
            down=shipper.down,
            why=shipper.why,
            metrics=metrics,
            engine_spans=spans,
        )

    def end(self, within_seconds: float) -> None:
        """Ship what waits, within a time."""
        for shipper in self.all_shippers:
            shipper.end(within_seconds)

    async def close(self) -> None:
        """Let go of all that sinks and spool hold; nothing is shipped any more."""
        await asyncio.gather(*(one.close() for one in self.all_shippers))
        if isinstance(self.spool, DiskSpool):
            self.spool.close()


def _spool(settings: SpoolSettings, readers: Sequence[str], directory: Path) -> tuple[Spool, str]:
    """Where records wait, and why not on disk, where they were to.

    Raises:
        BlockingIOError: the process before this one still ships from there.
    """
    memory = MemorySpool(readers, settings.memory_bytes)
    if not settings.disk_bytes or not readers:
        return memory, ""
    try:
        return DiskSpool(directory, readers, settings.disk_bytes, settings.age_seconds), ""
    except BlockingIOError:
        raise
    except OSError as error:  # a pod from before there was to be a volume
        return memory, os.strerror(error.errno) if error.errno else "disk"


def kind_of(sink: SinkSettings) -> str:
    """What it is called in `spec.export`, such as `kafka`."""
    return str(sink.__struct_config__.tag)


async def run(
    observer: Observer, make: Callable[[Settings], Capture], clock: Clock, drain_seconds: float
) -> None:
    """Take and ship until the observer ends, or has other settings.

    Raises:
        HandoverError: what came is not of this format.
    """
    first: list[ToCapture] = []
    while not first:
        received = await observer.receive()
        if received is None:
            return
        first = received
    settings = first.pop(0)
    if not isinstance(settings, Settings):
        raise HandoverError("the first message is no settings")
    capture = await _made(make, settings, clock)
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(_tell(observer, capture, clock))
        shipping = [group.create_task(shipper.run()) for shipper in capture.all_shippers]
        await _take(observer, capture, settings, first)
        capture.end(drain_seconds)
        await asyncio.gather(*shipping)
        telling.cancel()
        await capture.close()
        await observer.tell(capture.tick())


async def _made(make: Callable[[Settings], Capture], settings: Settings, clock: Clock) -> Capture:
    """A whole one, as soon as the process before this one has let go of the spool. What comes
    meanwhile waits in the socket.
    """
    never, until = asyncio.Event(), clock.now() + OWNED_SECONDS
    while True:
        try:
            return make(settings)
        except BlockingIOError:
            if clock.now() > until:
                raise
            await clock.sleep(TRY_SECONDS, never)


async def _take(
    observer: Observer, capture: Capture, settings: Settings, first: list[ToCapture]
) -> None:
    now = asyncio.get_running_loop().time
    turn = now()
    received: list[ToCapture] | None = first
    while received is not None:
        for message in received:
            if isinstance(message, Captured):
                capture.take(message)
                if now() - turn > TURN_SECONDS:
                    await asyncio.sleep(0)
                    turn = now()
            elif isinstance(message, Snapshot):
                capture.measured(message)
            elif message != settings:
                return
        received = await observer.receive()


async def _tell(observer: Observer, capture: Capture, clock: Clock) -> None:
    never = asyncio.Event()
    while True:
        await observer.tell(capture.tick())
        await clock.sleep(STATE_SECONDS, never)
