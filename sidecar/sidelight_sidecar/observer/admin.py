"""The admin port: /metrics, /healthz, /readyz, /summary."""

import hmac
import ipaddress
import time

from aiohttp import web

from sidelight_contract.summary import encode_summary
from sidelight_sidecar.observer.files import TokenFile
from sidelight_sidecar.observer.pipeline import Pipeline

_OPENMETRICS = "application/openmetrics-text"


class Admin:
    """Answers from a pipeline's present state."""

    def __init__(self, pipeline: Pipeline, token: TokenFile) -> None:
        self._pipeline = pipeline
        self._token = token

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=1024)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._ok)
        application.router.add_get("/readyz", self._ok)
        application.router.add_get("/summary", self._summary)
        return application

    async def _ok(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.Response(text="ok\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        if _OPENMETRICS in request.headers.get("Accept", ""):
            body = self._pipeline.exposition(openmetrics=True)
            content_type = f"{_OPENMETRICS}; version=1.0.0; charset=utf-8"
        else:
            body = self._pipeline.exposition()
            content_type = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _summary(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        body = encode_summary(self._pipeline.summary(time.monotonic_ns()))
        return web.Response(body=body, content_type="application/json")

    def _refusal(self, request: web.Request) -> web.Response | None:
        if not self._token.expected:
            if ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:  # noqa: S104
                return None
            return _error(403, "without --token-file, /summary answers on this machine only")
        token = self._token.read()
        if not token:
            return _error(503, "the token file is not there yet; the kubelet brings it in a minute")
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, b"Bearer " + token):
            return _error(401, "send the ObservedModel's token: Authorization: Bearer TOKEN")
        return None


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
