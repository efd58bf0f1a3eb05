"""The run: one API server, pods created with and without the webhook, then more and more of them
under one controller, and at last under two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from benchmarks.rounds import say
from benchmarks.scale.admission import (
    TARGET_SECONDS,
    Created,
    Reviewed,
    latency,
    with_webhook,
    without_webhook,
)
from benchmarks.scale.controllers import Cost, Writers, cost, writers
from benchmarks.scale.plane import plane
from benchmarks.scale.release import SYSTEM, Release
from benchmarks.scale.size import Size
from benchmarks.scale.world import World
from benchmarks.summary import Row, figure


def measure(workloads: Sequence[str], size: Size) -> list[Row]:
    """The rows of `admission` and `operator`, as far as they are asked for."""
    return asyncio.run(_measure(workloads, size))


async def _measure(workloads: Sequence[str], size: Size) -> list[Row]:
    rows: list[Row] = []
    say("etcd and the API server")
    async with plane() as server:
        world, release = World(server, size.models), Release(server, interval=size.interval)
        async with world.sidecars():
            await world.create_namespace(SYSTEM)
            await release.install()
            await world.create_models()
            if "admission" in workloads:
                rows += await _admission(world, release, size)
            if "operator" in workloads:
                rows += await _operator(world, release, size)
    return rows


async def _admission(world: World, release: Release, size: Size) -> list[Row]:
    label = f"{size.created} pods in {size.created_seconds:g} s"
    say(f"admission: {label}, without the webhook and with it")
    alone = await without_webhook(world, size.created, size.created_seconds)
    reviewed = await with_webhook(world, release, size.created, size.created_seconds)
    await world.run_pods(size.created)
    return [_alone_row(label, alone), _reviewed_row(label, alone, reviewed)]


def _alone_row(label: str, alone: Created) -> Row:
    return _row("admission", label, "no webhook", latency(alone), requests=len(alone.took))


def _reviewed_row(label: str, alone: Created, reviewed: Reviewed) -> Row:
    mine, others = latency(reviewed.created), latency(alone)
    webhooks, servers = reviewed.webhooks, reviewed.servers
    figures = {
        **mine,
        **{f"added_{name}": value - others[name] for name, value in mine.items()},
        "review_p50_ms": webhooks.quantile(0.5) * 1e3,
        "review_p99_ms": webhooks.quantile(0.99) * 1e3,
        "review_mean_ms": webhooks.mean * 1e3,
        "within_target": webhooks.below[TARGET_SECONDS] / webhooks.count,
        "server_mean_ms": servers.mean * 1e3,
        "server_p99_above_ms": servers.bounds(0.99)[0] * 1e3,
        "server_p99_below_ms": servers.bounds(0.99)[1] * 1e3,
        "review_cpu_ms": reviewed.cpu_ms,
        "rss_mb": reviewed.rss_mb,
    }
    missed = reviewed.created.not_injected
    found = _row("admission", label, "webhook", figures, requests=len(reviewed.created.took))
    found.counts["broken"] = missed
    found.reasons = ["not injected"] if missed else []
    return found


async def _operator(world: World, release: Release, size: Size) -> list[Row]:
    rows = []
    await release.configure()
    for count in size.pods:
        say(f"operator: creating {count - world.count} pods")
        await world.grow(count)
        say(f"operator: {count} pods, one controller")
        spent = await cost(world, [release], size.interval, size.quiet)
        rows.append(_cost_row(f"{count} pods", "one controller", spent, size, count))
    say(f"operator: {world.count} pods, two controllers")
    spent, shared = await _two(world, size)
    found = _cost_row(f"{world.count} pods", "two controllers", spent, size, world.count)
    found.counts |= {
        "written_by_one": shared.by_one,
        "broken": shared.by_two + shared.by_none + shared.by_the_wrong_one,
    }
    found.reasons = [f"written by {shared}"] if found.counts["broken"] else []
    return [*rows, found]


async def _two(world: World, size: Size) -> tuple[Cost, Writers]:
    """Two releases that share the namespaces by `watch.namespaces`."""
    half = len(world.models) // 2
    shares = {"east": world.models[:half], "west": world.models[half:]}
    releases, owners = [], {}
    for name, models in shares.items():
        release = Release(world.plane, name, models, size.interval)
        await release.install(with_crd=False)
        releases.append(release)
        owners |= dict.fromkeys(models, release.user)
    before = len(world.plane.audited())
    spent = await cost(world, releases, size.interval, size.quiet)
    return spent, writers(world.plane.audited()[before:], owners)


def _cost_row(label: str, way: str, spent: Cost, size: Size, pods: int) -> Row:
    figures = {
        "complete_s": spent.complete_s, "behind_s": spent.behind_s, "cores": spent.cores,
        "quiet_cores": spent.quiet_cores, "rss_mb": spent.rss_mb,
        "cpu_us_a_pod": spent.cores * size.interval / pods * 1e6,
    }  # fmt: skip
    return _row("operator", label, way, figures, status_writes=spent.quiet_writes)


def _row(workload: str, label: str, way: str, figures: dict[str, float], **counts: int) -> Row:
    return Row(workload, label, way, counts, {n: figure([v]) for n, v in figures.items()})
