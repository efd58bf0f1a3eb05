"""The controller's own HTTP port: /metrics, /healthz, /readyz, and /targets for Prometheus.

`/healthz` fails for what a restart may mend: rounds that do not end, an event loop that stands
still, a watch that brings nothing while the API server's lists have something new. An API server
that is away is none of these.
"""

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.scraped import Scrapes, target_groups

STUCK_INTERVALS = 3
"""Intervals without a round's end after which the loop counts as stuck."""
LONGEST_ROUND_SECONDS = 60.0
"""Never called stuck before this: a first round over a large fleet takes its time."""


WATCH_SECONDS = 120.0
"""For that long the watch may lack what lists have: kopf opens it anew within 70 seconds."""
TICK_SECONDS = 1.0
"""Between two looks at the clock."""
LOOP_SECONDS = 30.0
"""For that long the event loop may stand still."""


class Pulse:
    """When things last happened that must go on happening."""

    def __init__(self, interval_seconds: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._limit = max(STUCK_INTERVALS * interval_seconds, LONGEST_ROUND_SECONDS)
        self._last = self._ticked = monotonic()
        self._behind_since: float | None = None
        self.ready = False
        """Whether the API server ever gave an answer."""

    def beat(self) -> None:
        """A round has ended, well or not."""
        self._last = self._monotonic()

    def tick(self) -> float:
        """The event loop is alive; by how many seconds this is late."""
        now = self._monotonic()
        late, self._ticked = max(now - self._ticked - TICK_SECONDS, 0.0), now
        return late

    def watch(self, *, behind: bool) -> None:
        """Whether the watch lacks something that the last list had."""
        if not behind:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = self._monotonic()

    @property
    def stuck(self) -> str:
        """What stands still; "" for nothing."""
        now = self._monotonic()
        if now - self._last > self._limit:
            return "the rounds: none has ended for too long"
        if now - self._ticked > LOOP_SECONDS:
            return "the event loop: it was busy for too long"
        if self._behind_since is not None and now - self._behind_since > WATCH_SECONDS:
            return "the watch of ObservedModels: it lacks what lists have"
        return ""


def health_app(
    metrics: Metrics,
    pulse: Pulse,
    installed: Callable[[], bool] = lambda: True,
    scrapes: Scrapes | None = None,
) -> web.Application:
    """The application behind `--http-port`.

    Args:
        metrics: for /metrics.
        pulse: for /healthz, and whether anything was read yet.
        installed: whether the webhook can be asked.
        scrapes: for /targets.
    """

    async def healthz(_: web.Request) -> web.Response:
        if pulse.stuck:
            return web.Response(status=503, text=f"{pulse.stuck}\n")
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
    app.router.add_get("/targets", _targets(scrapes or Scrapes()))
    return app


def _targets(scrapes: Scrapes) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Service discovery. While nothing is known, an error: then Prometheus keeps what it has."""

    async def targets(request: web.Request) -> web.Response:
        if not scrapes.known:
            return web.Response(status=503, text="no round has ended yet\n")
        attached = request.query.get("attached", "false")
        if attached not in ("true", "false"):
            return web.Response(status=400, text="attached is neither true nor false\n")
        groups = target_groups(scrapes.listed(attached_only=attached == "true"))
        return web.Response(body=msgspec.json.encode(groups), content_type="application/json")

    return targets
