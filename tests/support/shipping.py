"""Records on their way to a sink under test: a spool, a shipper, and patience for real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from sidelight_sidecar.capture.ship.policy import ShipSettings
from sidelight_sidecar.capture.ship.shipper import Shipper, Sink
from sidelight_sidecar.capture.ship.time_left import WallClock
from sidelight_sidecar.capture.spool.queue import Entry, MemorySpool
from sidelight_sidecar.records.record import Origin, Record, Times, encode_record

BEGAN = 1_764_000_000
"""2025-11-24 16:00:00 UTC."""
ORIGIN = Origin(namespace="ml", pod="chat-0", observed_model="chat", version="v1")


def record(number: int, origin: Origin = ORIGIN, *, start: float = BEGAN, text: str = "") -> bytes:
    """One whose id and request id tell its number."""
    times = Times(int(start * 1e9), 0.5)
    made = Record(
        f"{number:032x}", f"r-{number}", origin, times, "chat", "Off", model=text, code=200
    )
    return encode_record(made)


def entries(records: Iterable[bytes]) -> list[Entry]:
    """As the shipper sends them."""
    return [Entry(number, line, 0.0) for number, line in enumerate(records)]


class Shipping:
    """A spool that fills, and what became of it."""

    def __init__(self, sink: Sink, settings: ShipSettings) -> None:
        self.spool = MemorySpool([sink.name], 32 << 20)
        self.shipper = Shipper(sink, self.spool, settings, WallClock(), lambda: 0.5)

    def add(self, numbers: Iterable[int]) -> None:
        """Let these records wait."""
        for number in numbers:
            line = record(number)
            self.spool.append(line, WallClock().unix())
            self.shipper.added(len(line))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for it."""
        try:
            async with asyncio.timeout(60):
                while not condition():  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(
                f"not in 60 s: {what}; sink: down={self.shipper.down} {self.shipper.why!r}"
            ) from None


@asynccontextmanager
async def shipping(sink: Sink, settings: ShipSettings) -> AsyncIterator[Shipping]:
    """Ship to `sink` until the block ends; it ends when all is there, or fails."""
    world = Shipping(sink, settings)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(world.shipper.run())
        try:
            yield world
            world.shipper.end(60)
            await running
        finally:
            running.cancel()
            await world.shipper.close()
    assert world.spool.waiting(sink.name) == 0


def write_secret(folder: Path, **values: str) -> None:
    """A new version of a Secret, as the kubelet writes it: beside the old, then a link is swapped.
    Keys may have `__` where a file's name has a dot.
    """
    folder.mkdir(exist_ok=True)
    version = folder / f"..version_{len(list(folder.iterdir()))}"
    version.mkdir()
    for key, value in values.items():
        (version / key.replace("__", ".")).write_text(value)
        link = folder / key.replace("__", ".")
        if not link.is_symlink():
            link.symlink_to(Path("..data") / link.name)
    new = folder / "..new"
    new.symlink_to(version.name)
    new.replace(folder / "..data")
