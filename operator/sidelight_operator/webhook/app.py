"""The webhook's process: kopf's admission server, unmanaged, and health and metrics beside it."""

import argparse
import asyncio
import logging
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import kopf
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.aiohttp import make_aiohttp_handler

from sidelight_contract import names
from sidelight_operator.certificates.expiry import expiry_gauge
from sidelight_operator.controller.logs import configure_logging
from sidelight_operator.inject import InjectionSettings
from sidelight_operator.inject.bounds import KINDS
from sidelight_operator.inject.breaker import open_breakers
from sidelight_operator.kube import KubeError
from sidelight_operator.kube.api import connect
from sidelight_operator.kube.following import follow, run_kopf, watch_settings
from sidelight_operator.options import flag
from sidelight_operator.webhook import HANDLER_ID
from sidelight_operator.webhook.admission import Admission
from sidelight_operator.webhook.bounds import Bounds
from sidelight_operator.webhook.certificate import Certificate
from sidelight_operator.webhook.drain import Drain
from sidelight_operator.webhook.readiness import Readiness
from sidelight_operator.webhook.server import AdmissionServer
from sidelight_operator.webhook.view import ClusterView
from sidelight_operator.webhook.whole import LIST_SECONDS, keep_whole

logger = logging.getLogger("sidelight.webhook")

LABEL_SECONDS = 5.0
"""How often a namespace's labels are read where they cannot be watched. A Pod Security level that
was tightened just before may refuse a pod for what is added to it; its owner tries again."""


def parse_settings(argv: list[str]) -> argparse.Namespace:
    """Arguments, each with a twin in the environment."""
    parser = argparse.ArgumentParser(
        prog="sidelight-operator webhook", description="Adds the sidecar to pods at creation."
    )

    def add(flag: str, default: str, text: str, kind: Any = str) -> None:
        variable = "SIDELIGHT_" + flag.strip("-").upper().replace("-", "_")
        value = os.environ.get(variable, default)
        parser.add_argument(flag, default=value, type=kind, help=f"{text} [{variable}]")

    add("--port", "9443", "port of the admission server", int)
    add("--http-port", "8080", "port of /metrics, /healthz and /readyz", int)
    add("--certificate-poll-seconds", "5", "how often its files are looked at", float)
    add("--watch-namespaces", "", "the only namespaces to watch, with commas; empty: all", _names)
    add("--drain-seconds", "10", "go on answering for so long after SIGTERM", float)
    add("--tls-dir", "/etc/sidelight/tls", "folder with tls.crt and tls.key", Path)
    add("--sidecar-image", "", "image to inject")
    add("--sidecar-pull-policy", "IfNotPresent", "pull policy of that image")
    add("--sidecar-pull-secrets", "", "names of Secrets for its registry, with commas")
    add("--nvml-memory", "64Mi", "more memory for a sidecar that reads GPUs' driver")
    add("--allow-unsafe-visible-all", "false", "let sidecars see every GPU of a node", flag)
    add("--kubeconfig", "", "kubeconfig file; empty: the pod's own service account")
    add("--log-level", "INFO", "DEBUG, INFO, WARNING or ERROR")
    settings = parser.parse_args(argv)
    if not settings.sidecar_image:
        parser.error("--sidecar-image is missing: without it there is nothing to inject")
    return settings


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def make_registry(
    view: ClusterView, admission: Admission, *, watch_namespaces: bool = True
) -> kopf.OperatorRegistry:
    """The handlers: watches that write nothing, and the review."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, id="login")
    def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(names.GROUP, names.API_VERSION, names.PLURAL, registry=registry, id="model")
    async def model(event: Any, meta: Any, spec: Any, status: Any, **_: Any) -> None:
        breaker = open_breakers(status, meta.get("generation", 1))
        view.model_event(event["type"], meta["namespace"], meta["name"], spec, breaker)

    for kind in KINDS:
        _watch_bounds(registry, view.bounds, kind)

    if watch_namespaces:

        @kopf.on.event("v1", "namespaces", registry=registry, id="namespace")
        async def namespace(event: Any, meta: Any, **_: Any) -> None:
            view.namespace_event(event["type"], meta["name"], meta.get("labels") or {})

    @kopf.on.mutate("v1", "pods", operations={"CREATE"}, registry=registry, id=HANDLER_ID)
    async def inject(body: Any, namespace: Any, patch: Any, warnings: Any, **_: Any) -> None:
        admission.review(body, namespace or "default", patch.fns.append, warnings)

    return registry


def _watch_bounds(registry: kopf.OperatorRegistry, bounds: Bounds, kind: str) -> None:
    """Where the right to is missing, kopf asks again and again, and all else goes on."""

    @kopf.on.event("v1", kind, registry=registry, id=kind)
    async def bound(event: Any, **_: Any) -> None:
        bounds.event(event["type"], kind, event["object"])


def make_kopf_settings(server: AdmissionServer) -> kopf.OperatorSettings:
    """Kopf that writes nothing and leaves the listening to `server`."""
    settings = watch_settings()
    settings.admission.server = server
    return settings


def health_app(registry: CollectorRegistry, readiness: Readiness) -> web.Application:
    """The HTTP side: /metrics, /healthz, /readyz."""
    Gauge(
        "sidelight_webhook_ready", "1 while this replica takes reviews, as /readyz says.",
        registry=registry,
    ).set_function(lambda: float(readiness.ready))  # fmt: skip

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if readiness.ready:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="ending, or without a view of the cluster yet\n")

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", make_aiohttp_handler(registry))
    return application


async def follow_labels(
    kubeconfig: str | None, namespaces: Sequence[str], view: ClusterView
) -> None:
    """Read the labels of some namespaces again and again: a Role lets nobody watch them."""
    async with connect(kubeconfig) as kube:
        while True:
            for name in namespaces:
                try:
                    view.namespace_event(None, name, await kube.get_namespace_labels(name))
                except KubeError as error:
                    logger.warning("labels not read", extra={"error": str(error)})
            complete = view.seen_namespaces >= set(namespaces)
            await asyncio.sleep(LABEL_SECONDS if complete else LIST_SECONDS)


async def follow_certificate(certificate: Certificate, expiry: Gauge, poll_seconds: float) -> None:
    """Load it again whenever its files change."""
    while True:
        certificate.poll()
        if certificate.ends is not None:
            expiry.labels("served").set(certificate.ends.timestamp())
        await asyncio.sleep(poll_seconds)


async def _until_stopped(
    watch: Coroutine[Any, Any, None], others: list[asyncio.Task[None]]
) -> None:
    """Kopf ends when the drain is over, or a signal comes before it listens; then all ends."""
    await watch
    for task in others:
        task.cancel()


async def serve(settings: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    kubeconfig, namespaces = settings.kubeconfig or None, settings.watch_namespaces
    registry = CollectorRegistry()
    view = ClusterView()
    injection = InjectionSettings(
        settings.sidecar_image,
        settings.sidecar_pull_policy,
        nvml_memory=settings.nvml_memory,
        allow_unsafe_visible_all=settings.allow_unsafe_visible_all,
        pull_secrets=tuple(name for name in settings.sidecar_pull_secrets.split(",") if name),
    )
    Gauge(
        "sidelight_webhook_bounds_known",
        "Whether LimitRanges and ResourceQuotas could be read; where not, it injects as if there "
        "were none.",
        registry=registry,
    ).set_function(lambda: float(bool(view.bounds.known)))
    certificate = Certificate(settings.tls_dir)
    certificate.poll()
    drain = Drain(settings.drain_seconds)
    server = AdmissionServer(settings.port, certificate.context, drain, registry)
    readiness = Readiness(view, certificate, drain, lambda: server.listening)
    runner = web.AppRunner(health_app(registry, readiness), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=settings.http_port).start()
        async with asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(
                    follow_certificate(
                        certificate, expiry_gauge(registry), settings.certificate_poll_seconds
                    )
                ),
                tasks.create_task(keep_whole(kubeconfig, namespaces, readiness, view)),
            ]
            if namespaces:
                others.append(tasks.create_task(follow_labels(kubeconfig, namespaces, view)))
            handlers = make_registry(
                view, Admission(view, injection, registry), watch_namespaces=not namespaces
            )

            async def watch() -> None:
                await run_kopf(handlers, make_kopf_settings(server), drain.over, namespaces)

            tasks.create_task(_until_stopped(follow(watch, drain.over, drain.begin), others))
    finally:
        await runner.cleanup()


def run(argv: list[str]) -> int:
    """Run the webhook; the exit status."""
    settings = parse_settings(argv)
    configure_logging(settings.log_level)
    if settings.kubeconfig:
        os.environ["KUBECONFIG"] = settings.kubeconfig
    status = 0
    try:
        asyncio.run(serve(settings))
    except* KubeError as errors:
        for error in errors.exceptions:
            logger.error("webhook stopped", extra={"error": str(error)})  # noqa: TRY400
        status = 1
    return status
