"""The listener for reviews, in the place of kopf's own, which has three faults here: it refuses
bodies above 1 MiB (a pod may be larger), closes idle connections before the API server does (a
review sent at that moment is lost), and ends at once.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator

import kopf
from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram

from sidelight_operator.webhook.drain import Drain

logger = logging.getLogger("sidelight.webhook")

MAX_BODY_BYTES = 4 << 20
"""Of one review. The API server takes objects up to 3 MiB and adds a little; etcd's limit is half
of that. A larger one is refused, and its pod admitted as it is (`failurePolicy: Ignore`)."""
KEEPALIVE_SECONDS = 300.0
"""For an idle connection: longer than the API server's own 90, so that it is always the API server
that closes one, and never while it sends a review."""
REVIEW_SECONDS = 30.0
"""From a request's head to its answer: the longest `timeoutSeconds` that Kubernetes allows. After
it nobody waits for the answer."""
REVIEWS_AT_ONCE = 32
"""Bodies held at the same time: with the limit above 128 MiB at the very most, in practice 1."""
CLOSING_SECONDS = 5.0
"""For reviews that are still being answered when the drain is over."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class AdmissionServer:
    """What kopf calls a webhook server."""

    def __init__(
        self, port: int, context: ssl.SSLContext, drain: Drain, registry: CollectorRegistry
    ) -> None:
        self._port = port
        self._seconds = Histogram(
            "sidelight_webhook_review_duration_seconds",
            "From a review's head to its answer.", buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        self._context = context
        self._drain = drain
        self._slots = asyncio.Semaphore(REVIEWS_AT_ONCE)
        self.listening = False
        """Whether reviews are taken; for a while not, when kopf failed and begins again."""

    async def __call__(self, review: kopf.WebhookFn) -> AsyncIterator[kopf.WebhookClientConfig]:
        """Listen until cancelled; `review` is kopf's part."""

        async def answer(request: web.Request) -> web.Response:
            try:
                with self._seconds.time():
                    async with asyncio.timeout(REVIEW_SECONDS), self._slots:
                        response = await self._answer(review, request)
            except TimeoutError:
                response = web.Response(status=408, text="the body did not come in time\n")
            if self._drain.begun:
                response.force_close()
            return response

        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_post("/{id:.*}", answer)
        runner = web.AppRunner(
            application, handle_signals=False, access_log=None,
            keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=CLOSING_SECONDS,
        )  # fmt: skip
        await runner.setup()
        try:
            # No address: every one, of IPv4 and of IPv6.
            await web.TCPSite(runner, port=self._port, ssl_context=self._context).start()
            self._drain.take_signals()
            self.listening = True
            yield {"url": f"https://localhost:{self._port}"}  # unmanaged: nobody reads it
            await asyncio.Event().wait()
        finally:
            self.listening = False
            await runner.cleanup()

    async def _answer(self, review: kopf.WebhookFn, request: web.Request) -> web.Response:
        try:
            answer = await review(
                json.loads(await request.read()),
                webhook=request.match_info["id"], headers=dict(request.headers),
            )  # fmt: skip
        except web.HTTPException:
            raise
        except Exception:
            # No review, or a defect. To the API server a call that failed: the pod comes in.
            logger.exception("review not answered")
            return web.Response(status=500, text="not understood; see the webhook's log\n")
        answer["response"]["allowed"] = True  # kopf refuses after an error; Sidelight never does
        return web.json_response(answer)
