"""The admin port: metrics, probes and the summary; what an attached tap can be told, too."""

import ipaddress
import time
from functools import partial

from aiohttp import web

from sidelight_contract.config import MAX_CONFIG_BYTES
from sidelight_contract.gpu import EXPORTER_HEADER
from sidelight_contract.summary import encode_summary
from sidelight_sidecar.observer.accelerators.telling import Told
from sidelight_sidecar.observer.attached import InlineConfig, Lease, TokenHash
from sidelight_sidecar.observer.configuring import configure
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.observer.tokens import SummaryTokens

_OPENMETRICS = "application/openmetrics-text"
_BEARER = b"Bearer "
_CHUNK = 16 * 1024


class Admin:
    """Answers from a pipeline's present state.

    Args:
        pipeline: what is asked of.
        token: who may ask.
        lease: of an attached tap, which can be told to end, and other tokens.
        told: of an attached tap without a file, which can be told another configuration, too;
            else there is to be one source of it.
        exporters: is told where the node's exporters of device figures are.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        token: SummaryTokens | TokenHash,
        lease: Lease | None = None,
        *,
        told: InlineConfig | None = None,
        exporters: Told | None = None,
    ) -> None:
        if lease is not None and not isinstance(token, TokenHash):
            raise ValueError("a lease is for a tap that knows the token's hash")
        self._pipeline = pipeline
        self._token = token
        self._lease = lease
        self._told = told
        self._exporters = exporters

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=1024)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._ok)
        application.router.add_get("/readyz", self._ok)
        application.router.add_get("/summary", self._summary)
        if self._lease is not None:
            application.router.add_post("/end", self._end)
            application.router.add_put("/tokens", self._tokens)
            if self._told is not None:
                application.router.add_put("/config", self._config)
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
        if self._lease is not None:
            self._lease.renew()
        self._take_exporters(request)
        strata = request.query.get("strata") == "1"
        history = request.query.get("slo_history") == "1"
        told = self._pipeline.summary(time.monotonic_ns(), strata=strata, slo_history=history)
        body = encode_summary(told)
        return web.Response(body=body, content_type="application/json")

    def _take_exporters(self, request: web.Request) -> None:
        """Only of who has a token: it says where this process connects to."""
        said = request.headers.get(EXPORTER_HEADER)
        if said is not None and self._exporters is not None and self._token.expected:
            self._exporters.tell(said)

    async def _end(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        assert self._lease is not None
        self._lease.end((await request.content.read(1024)).decode(errors="replace"))
        return web.Response(status=202, text="ending\n")

    async def _tokens(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        assert isinstance(self._token, TokenHash)
        try:
            self._token.replace((await request.content.read(1024)).decode("ascii"))
        except ValueError as error:
            return _error(400, str(error))
        return web.Response(text="ok\n")

    async def _config(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        assert self._told is not None
        body = bytearray()
        async for chunk in request.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > MAX_CONFIG_BYTES:
                break  # that is too much, whatever follows
        if why := configure(self._pipeline, partial(self._told.told, bytes(body))):
            return _error(400, why)
        return web.Response(text="ok\n")

    def _refusal(self, request: web.Request) -> web.Response | None:
        if not self._token.expected:
            if ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:  # noqa: S104
                return None
            return _error(403, "there is no token yet, so /summary answers on this machine only")
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        accepted = self._token.accepts(given.removeprefix(_BEARER))
        if accepted is None:
            return _error(503, "the token file is not there yet; the kubelet brings it in a minute")
        if not (accepted and given.startswith(_BEARER)):
            return _error(401, "send the ObservedModel's token: Authorization: Bearer TOKEN")
        return None


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
