"""What controllers cost with so many pods, and whether two of them share the work cleanly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import cpu_seconds
from benchmarks.scale.plane import Json, until
from benchmarks.scale.release import Program, Release
from benchmarks.scale.world import World

LIMIT_SECONDS = 120
CHANGES = 3
"""Times that every sidecar has something new to tell; the slowest counts."""


@dataclass(frozen=True)
class Cost:
    """Of one controller, or of the dearest of some."""

    complete_s: float
    """From the start of the process until every status says what all sidecars say."""
    behind_s: float
    """From a change in all sidecars until it is in every status, at worst."""
    cores: float
    """On average while every status changes in every round."""
    quiet_cores: float
    """The same while none does."""
    rss_mb: float
    """The most it ever held."""
    quiet_writes: int
    """Statuses written while nothing changed."""


async def cost(world: World, releases: Sequence[Release], interval: float, quiet: float) -> Cost:
    """Start the controllers of these releases, measure, and end them."""
    world.say_more()
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        programs = [
            await stack.enter_async_context(release.running("controller")) for release in releases
        ]
        await _complete(world)
        complete = time.monotonic() - begun
        await asyncio.sleep(interval + 1)  # a round that begins after it
        versions = await _versions(world)
        quiet_cores = await _cores(programs, asyncio.sleep(quiet))
        writes = sum(new != old for new, old in zip(await _versions(world), versions, strict=True))
        delays: list[float] = []
        cores = await _cores(programs, _changes(world, delays))
        rss = max(_most_resident(program.pid) for program in programs)
    return Cost(complete, max(delays), cores, quiet_cores, rss, writes)


async def _complete(world: World) -> None:
    await until(world.complete, LIMIT_SECONDS, "every status is complete")


async def _changes(world: World, delays: list[float]) -> None:
    for _ in range(CHANGES):
        world.say_more()
        begun = time.monotonic()
        await _complete(world)
        delays.append(time.monotonic() - begun)


async def _cores(programs: Sequence[Program], meanwhile: Awaitable[object]) -> float:
    """Of the one that used most, while something else happens."""
    used, begun = [cpu_seconds(one.pid) for one in programs], time.monotonic()
    await meanwhile
    took = time.monotonic() - begun
    return max(cpu_seconds(one.pid) - u for one, u in zip(programs, used, strict=True)) / took


async def _versions(world: World) -> list[tuple[str, str]]:
    metadata = [model["metadata"] for model in await world.listed()]
    return sorted((one["name"], one["resourceVersion"]) for one in metadata)


def _most_resident(pid: int) -> float:
    """MB of 10^6 bytes, by the kernel's high-water mark."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


@dataclass(frozen=True)
class Writers:
    """Which ObservedModels had their status written, and by how many of the controllers."""

    by_one: int
    by_two: int
    by_none: int
    by_the_wrong_one: int


def writers(entries: Sequence[Json], owners: dict[str, str]) -> Writers:
    """From the API server's audit log; `owners` has each model's own user."""
    users: dict[str, set[str]] = {model: set() for model in owners}
    for entry in entries:
        where = entry["objectRef"]
        if where.get("subresource") == "status" and entry["responseStatus"]["code"] < 300:
            users[where["name"]].add(entry["user"]["username"])
    return Writers(
        by_one=sum(len(found) == 1 for found in users.values()),
        by_two=sum(len(found) > 1 for found in users.values()),
        by_none=sum(not found for found in users.values()),
        by_the_wrong_one=sum(bool(users[model] - {owner}) for model, owner in owners.items()),
    )
