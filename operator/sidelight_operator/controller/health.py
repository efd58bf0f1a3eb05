"""The controller's own HTTP port: /metrics, /healthz, /readyz."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from sidelight_operator.controller.metrics import Metrics

STUCK_INTERVALS = 3
"""Intervals without a round's end after which the loop counts as stuck."""
LONGEST_ROUND_SECONDS = 60.0
"""Never called stuck before this: a first round over a large fleet takes its time."""


class Pulse:
    """When the loop last came round, and whether it ever got an answer from the API server."""

    def __init__(self, interval_seconds: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._limit = max(STUCK_INTERVALS * interval_seconds, LONGEST_ROUND_SECONDS)
        self._last = monotonic()
        self.ready = False

    def beat(self) -> None:
        """A round has ended, well or not."""
        self._last = self._monotonic()

    @property
    def stuck(self) -> bool:
        """Whether the loop hangs: a restart may help, unlike with an API server that is away."""
        return self._monotonic() - self._last > self._limit


def health_app(
    metrics: Metrics, pulse: Pulse, installed: Callable[[], bool] = lambda: True
) -> web.Application:
    """The application behind `--http-port`; `installed`: whether the webhook can be asked."""

    async def healthz(_: web.Request) -> web.Response:
        if pulse.stuck:
            return web.Response(status=503, text="the loop has not come round\n")
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if not pulse.ready:
            return web.Response(status=503, text="ObservedModels have not been read yet\n")
        if not installed():
            return web.Response(status=503, text="the webhook's configuration is not in order\n")
        return web.Response(text="ok\n")

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", make_aiohttp_handler(registry=metrics.registry))
    return app
