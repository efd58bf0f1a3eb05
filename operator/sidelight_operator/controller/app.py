"""The controller role, put together: kopf's watch, the loop and the HTTP port, side by side."""

import asyncio
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from sidelight_operator import __version__
from sidelight_operator.controller.breaker import Installed
from sidelight_operator.controller.collect import Collector
from sidelight_operator.controller.decision import injection_settings, planner
from sidelight_operator.controller.exporters import Exporters
from sidelight_operator.controller.health import TICK_SECONDS, Pulse, health_app
from sidelight_operator.controller.lease import Lease, LeaseKube
from sidelight_operator.controller.logs import configure_logging
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.own_objects import OwnObjects
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.controller.settings import Settings, parse_settings
from sidelight_operator.controller.watch import Changes, make_registry
from sidelight_operator.kube import KubeError
from sidelight_operator.kube.api import connect
from sidelight_operator.kube.following import follow, run_kopf, take_signals, watch_settings

logger = logging.getLogger("sidelight.controller")

YOUNG_OBJECTS = 50_000
"""Between two walks of the garbage collector. A round reads millions of objects (pods, summaries)
that are gone before it ends, without any cycle: walked over every 700, as is usual, they took a
third of all processor time."""
SETTLE_SECONDS = 0.2
"""Between a change and the round that follows it: a `kubectl apply` of ten models is one round."""


def run(argv: list[str]) -> int:
    """Run the controller until SIGTERM or SIGINT; the exit status."""
    settings = parse_settings(argv)
    configure_logging(settings.log_level)
    if settings.kubeconfig:
        os.environ["KUBECONFIG"] = settings.kubeconfig  # kopf's login reads nothing else
    gc.freeze()  # what was imported stays
    gc.set_threshold(YOUNG_OBJECTS)
    status = 0
    try:
        asyncio.run(_main(settings))
    except* KubeError as errors:
        for error in errors.exceptions:
            logger.error("controller stopped", extra={"error": str(error)})  # noqa: TRY400
        status = 1
    return status


async def _main(settings: Settings) -> None:
    pulse = Pulse(settings.interval_seconds, time.monotonic)
    changes = Changes()
    connector = aiohttp.TCPConnector(limit=settings.sidecars_at_once)
    async with (
        connect(settings.kubeconfig, settings.namespaces) as kube,
        aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
    ):
        metrics = Metrics()
        metrics.watch_age_seconds.set_function(lambda: time.monotonic() - changes.last_event)
        kube.observe = metrics.api_request
        own = OwnObjects(kube, settings.installation, clock=_now, metrics=metrics)
        lease = lease_of(kube, settings)
        kube.may_write = _leads(lease)
        reconciler = Reconciler(
            kube=kube,
            collector=Collector(session, settings.sidecars_at_once),
            plan=planner(settings),
            installed=Installed(__version__, settings.sidecar_image, _now()),
            clock=_now,
            models_at_once=settings.models_at_once,
            allow_full=settings.allow_full_payloads,
            allow_visible_all=settings.allow_unsafe_visible_all,
            exporters=Exporters(
                kube,
                settings.exporters,
                settings.namespaces,
                failed=lambda: metrics.errors.labels("Exporters").inc(),
            ),
            metrics=metrics,
            tokens=own.tokens,
            injection=injection_settings(settings),
            ended=pulse.beat,
        )
        runner = web.AppRunner(
            health_app(metrics, pulse, lambda: own.kept, reconciler.scrapes), access_log=None
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, port=settings.http_port).start()
            async with asyncio.TaskGroup() as tasks:
                stopping, wanted = asyncio.Event(), Changes()
                take_signals(stopping.set)
                leads = _leads(lease)
                polling = poll(
                    reconciler, changes, pulse, settings.interval_seconds,
                    lambda: leads() and own.has_key,
                )  # fmt: skip
                others = [tasks.create_task(tick(pulse, metrics)), tasks.create_task(polling)]
                others.append(tasks.create_task(own.run(wanted, leads)))
                if lease is not None:
                    others.append(tasks.create_task(lease.run()))

                async def watch() -> None:
                    await run_kopf(
                        make_registry(changes, wanted), watch_settings(), stopping,
                        settings.namespaces,
                    )  # fmt: skip

                tasks.create_task(_until_stopped(follow(watch, stopping), others))
            if lease is not None:
                await lease.release()
        finally:
            await runner.cleanup()


def lease_of(kube: LeaseKube, settings: Settings) -> Lease | None:
    """The Lease of this installation; None outside a cluster, where nobody else runs."""
    if (found := settings.installation) is None:
        return None
    holder = os.environ.get("HOSTNAME") or socket.gethostname()
    where = (found.namespace, found.lease)
    return Lease(kube, where, holder, clock=_now, monotonic=time.monotonic)


def _now() -> datetime:
    return datetime.now(UTC)


async def _until_stopped(
    watch: Coroutine[Any, Any, None], others: Sequence[asyncio.Task[None]]
) -> None:
    """Kopf takes SIGTERM and SIGINT for itself and returns then."""
    await watch
    for task in others:
        task.cancel()


def _leads(lease: Lease | None) -> Callable[[], bool]:
    return lambda: lease is None or lease.held


async def poll(
    reconciler: Reconciler,
    changes: Changes,
    pulse: Pulse,
    interval_seconds: float,
    may: Callable[[], bool],
) -> None:
    """Round after round while it may, until cancelled. An API server that is away is waited for."""
    while True:
        started, wait = time.monotonic(), interval_seconds
        try:
            if may():
                await _round(reconciler, changes, pulse)
            else:
                wait = SETTLE_SECONDS
        except KubeError as error:
            reconciler.metrics.errors.labels("ListModels").inc()
            logger.warning("round failed", extra={"error": str(error)})
        pulse.beat()
        await changes.wait(max(wait - (time.monotonic() - started), SETTLE_SECONDS))
        await asyncio.sleep(SETTLE_SECONDS)


async def _round(reconciler: Reconciler, changes: Changes, pulse: Pulse) -> None:
    await reconciler.round(due=changes.taken())
    behind = changes.behind(reconciler.generations)
    pulse.watch(behind=behind)
    reconciler.metrics.watch_behind.set(behind)
    pulse.ready = True


async def tick(pulse: Pulse, metrics: Metrics) -> None:
    """Look at the clock again and again: how late that is says how busy the event loop is."""
    while True:
        metrics.loop_lag_seconds.set(pulse.tick())
        await asyncio.sleep(TICK_SECONDS)
