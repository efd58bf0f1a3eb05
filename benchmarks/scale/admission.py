"""Pods created at a rate through the API server, with the webhook and without.

Three clocks. The client's has everything, exactly, but mostly the API server's own work: the same
pods without the webhook stand beside it. The API server's own histogram
(`apiserver_admission_webhook_admission_duration_seconds`) is what a pod waits for the webhook, but
knows no bound between 5 and 25 ms. The webhook's (`sidelight_webhook_review_duration_seconds`) has
one at 15, where the target is, and leaves out the way there: one connection on loopback, open
already. The target is judged by the webhook's p99; the API server's mean beside the webhook's says
what the way costs.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from benchmarks.measure import cpu_seconds, memory
from benchmarks.numbers import percentile
from benchmarks.scale.histogram import Histogram, read
from benchmarks.scale.plane import Plane, crowd, until
from benchmarks.scale.release import Program, Release
from benchmarks.scale.world import World, plain_pod

from sidelight_contract import names

SERVERS = "apiserver_admission_webhook_admission_duration_seconds"
WEBHOOKS = "sidelight_webhook_review_duration_seconds"
WARM_UP = 50
"""Creates before it counts: connections are opened, and modules loaded."""
TARGET_SECONDS = 0.015


@dataclass(frozen=True)
class Created:
    """What became of the pods; times in milliseconds, by the client."""

    took: list[float]
    not_injected: int


@dataclass(frozen=True)
class Reviewed:
    """What the webhook took for them."""

    created: Created
    servers: Histogram
    webhooks: Histogram
    cpu_ms: float
    """Of the webhook's process, for each review."""
    rss_mb: float


async def create(world: World, count: int, seconds: float, query: str = "") -> Created:
    """Create the first pods of the world evenly over some time; each is timed from when it was due.

    An open loop: what is late makes nothing else late.
    """
    bodies = [plain_pod(world.model_of(number), number) for number in range(count)]
    took: list[float] = []
    marks: list[bool] = []
    begin = time.perf_counter() + 0.2

    async def one(number: int) -> None:
        due = begin + number * seconds / count
        await asyncio.sleep(due - time.perf_counter())
        path = world.pods_path(number) + query
        answer = await world.plane.text("POST", path, bodies[number])
        took.append((time.perf_counter() - due) * 1e3)
        marks.append(names.ANNOTATION_INJECTION in json.loads(answer)["metadata"].get(
            "annotations", {}
        ))  # fmt: skip

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(number))
    return Created(sorted(took), marks.count(False))


async def without_webhook(world: World, count: int, seconds: float) -> Created:
    """The peer; its pods are gone afterwards."""
    await create(world, min(count, WARM_UP), 1, "?dryRun=All")
    found = await create(world, count, seconds)

    async def remove(model: str) -> None:
        await world.plane.call("DELETE", f"/api/v1/namespaces/{model}/pods")

    await crowd(world.models, remove)
    return found


async def with_webhook(world: World, release: Release, count: int, seconds: float) -> Reviewed:
    """The pods stay."""
    async with release.webhook() as program:

        async def asked() -> bool:
            return (await create(world, 1, 0, "?dryRun=All")).not_injected == 0

        await until(asked, 30, "the API server asks the webhook")
        await create(world, min(count, WARM_UP), 1, "?dryRun=All")
        before = await _histograms(world.plane, program)
        used = cpu_seconds(program.pid)
        created = await create(world, count, seconds)
        used = cpu_seconds(program.pid) - used
        servers, webhooks = await _histograms(world.plane, program)
        return Reviewed(
            created, servers.since(before[0]), webhooks.since(before[1]),
            used / count * 1e3, memory([program.pid]).rss,
        )  # fmt: skip


async def _histograms(plane: Plane, program: Program) -> tuple[Histogram, Histogram]:
    served = await plane.text("GET", "/metrics")
    mine = "\n".join(line for line in served.splitlines() if SERVERS in line)
    return read(mine, SERVERS, operation="CREATE"), read(await program.metrics(), WEBHOOKS)


def latency(created: Created) -> dict[str, float]:
    """Median and p99 by the client's clock."""
    return {
        "latency_p50_ms": percentile(created.took, 0.5),
        "latency_p99_ms": percentile(created.took, 0.99),
    }
