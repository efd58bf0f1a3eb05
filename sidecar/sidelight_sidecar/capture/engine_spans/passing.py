"""Passes engine's spans on to one sink.

Rules:
1. What waits is in memory, `MAX_BYTES` at most; the oldest goes first, and is counted. It is on no
   disk: spans are no records, and a collector that is down for long is to cost nothing.
2. What cannot be sent now is tried again, later and later, as records are; what of an export is
   sent is not sent again.
3. Endpoint, headers, Secret and size limits are those of the sink's own spans.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sidelight_contract.export import OtlpProtocol, OtlpSinkSettings
from sidelight_sidecar.capture.engine_spans.requests import Ready, requests_of
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome, ShipPolicy, ShipSettings
from sidelight_sidecar.capture.ship.shipper import CLOSE_SECONDS, Clock
from sidelight_sidecar.capture.sinks.credentials import CredentialsReader
from sidelight_sidecar.capture.sinks.otlp.dialects import DIALECTS
from sidelight_sidecar.capture.sinks.otlp.encode import resource_of
from sidelight_sidecar.capture.sinks.otlp.exported import Transport
from sidelight_sidecar.capture.sinks.otlp.http import HttpTransport, address_of
from sidelight_sidecar.capture.sinks.otlp.sink import sent_headers
from sidelight_sidecar.capture.sinks.posting import PostError
from sidelight_sidecar.capture.sinks.secret import SecretError
from sidelight_sidecar.records.handover import SpansState
from sidelight_sidecar.records.record import Origin

MAX_BYTES = 4 << 20
"""Default 4 MiB: half a minute of 100 requests a second, at a kilobyte and a half each."""
HOW = ShipSettings(linger_seconds=0.0)
"""At once: exporters gather spans for 5 seconds already."""
_FOREVER = 3600.0


class Waiting(NamedTuple):
    """One export, of what is passed on alone."""

    body: bytes
    spans: int


class Passing:
    """To one sink.

    Args:
        settings: the sink's.
        origin: where this is.
        credentials: the sink's Secret.
        transport: how requests get there.
        clock: time.
        chance: draws from [0, 1).
    """

    def __init__(
        self,
        settings: OtlpSinkSettings,
        origin: Origin,
        credentials: CredentialsReader,
        transport: Transport,
        *,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._dialect = DIALECTS[settings.dialect]
        self._origin = origin
        self._credentials = credentials
        self._transport = transport
        self._clock = clock
        self._policy = ShipPolicy(HOW, chance)
        self._wake = asyncio.Event()
        self._end_at: float | None = None
        self._queue: deque[Waiting] = deque()
        self._bytes = 0
        self._taken = 0
        """Bytes of the export that is under way."""
        self._ready: deque[Ready] = deque()
        self._delivered = self._refused = self._lost = 0

    @property
    def state(self) -> SpansState:
        """How it does."""
        return SpansState(self._delivered, self._refused, self._lost)

    @property
    def waiting_bytes(self) -> int:
        """Of what waits, that under way included."""
        return self._bytes + self._taken

    def put(self, export: Waiting) -> None:
        """Here is one more."""
        while self._queue and self.waiting_bytes + len(export.body) > MAX_BYTES:
            self._lose(self._queue.popleft())
        self._queue.append(export)
        self._bytes += len(export.body)
        if self.waiting_bytes > MAX_BYTES:  # what is under way leaves no room
            self._lose(self._queue.pop())
        self._wake.set()

    def _lose(self, export: Waiting) -> None:
        self._bytes -= len(export.body)
        self._lost += export.spans

    def end(self, within_seconds: float) -> None:
        """Send what waits, and return from `run` when that is done or time is up."""
        self._end_at = self._clock.now() + within_seconds
        self._wake.set()

    async def close(self) -> None:
        """Let go of connections; after `run`."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._transport.close()

    async def run(self) -> None:
        """Pass on until `end`."""
        while self._end_at is None or self._may_go_on(self._end_at):
            self._wake.clear()
            now = self._clock.now()
            waiting = len(self._queue) + len(self._ready)
            draining = self._end_at is not None
            plan = self._policy.plan(now, waiting=waiting, size=0, waited=0.0, draining=draining)
            if plan.most:
                await self._next()
            else:
                wait = plan.wait_seconds if waiting else _FOREVER
                await self._clock.sleep(self._within(wait), self._wake)

    def _may_go_on(self, end_at: float) -> bool:
        return bool(self._queue or self._ready) and self._clock.now() < end_at

    def _within(self, seconds: float) -> float:
        if self._end_at is None:
            return seconds
        return max(0.0, min(seconds, self._end_at - self._clock.now()))

    async def _next(self) -> None:
        """Send one request, and say what came of it."""
        delivery = await self._tried()
        if delivery is None:
            return
        if delivery.outcome is Outcome.LATER:
            self._policy.failed(self._clock.now(), delivery)
            return
        spans = self._ready.popleft().spans
        refused = spans if delivery.outcome is Outcome.REFUSED else min(spans, delivery.refused)
        self._delivered += spans - refused
        self._refused += refused
        self._policy.delivered()
        if not self._ready:
            self._taken = 0

    async def _tried(self) -> Delivery | None:
        """None: there is nothing to send."""
        try:
            headers = sent_headers(self._settings, self._dialect, self._credentials.read())
            if not self._ready and not await self._begin(headers):
                return None
            async with asyncio.timeout(self._within(HOW.timeout_seconds)):
                result = await self._transport.export(self._ready[0].body, headers)
        except TimeoutError:
            return Delivery(Outcome.LATER, "timed out")
        except (PostError, SecretError) as error:
            return Delivery(Outcome.LATER, str(error))
        except Exception as error:  # noqa: BLE001 - its fault is not to end the others
            return Delivery(Outcome.LATER, type(error).__name__)
        return Delivery(result.outcome, result.why, result.after_seconds, result.rejected)

    async def _begin(self, headers: dict[str, str]) -> bool:
        """Make requests of the oldest export; False: there is none to be made."""
        export = self._queue.popleft()
        self._bytes -= len(export.body)
        self._taken = len(export.body)
        try:
            # Once more the limit's bytes, and beside the loop: others want their turn.
            self._ready.extend(await asyncio.to_thread(self._requests, export.body, headers))
        except Exception:  # noqa: BLE001 - the next time it would be the same
            self._refused += export.spans
        if not self._ready:
            self._taken = 0
        return bool(self._ready)

    def _requests(self, body: bytes, headers: dict[str, str]) -> list[Ready]:
        of_dialect = self._dialect.resource(self._origin, headers)
        resource = resource_of(self._origin, {**of_dialect, **self._settings.resource})
        more = of_dialect if self._dialect.on_spans else {}
        export = ExportTraceServiceRequest.FromString(body)
        return list(requests_of(export, resource, more, self._dialect.max_request_bytes))


def make_passing(
    settings: OtlpSinkSettings,
    origin: Origin,
    secret: Path,
    clock: Clock,
) -> Passing:
    """Over the transport that the sink's settings name, with its Secret's folder."""
    dialect = DIALECTS[settings.dialect]
    transport: Transport
    if settings.protocol is OtlpProtocol.GRPC:
        from sidelight_sidecar.capture.sinks.otlp.grpc import (  # noqa: PLC0415 - h2 for who asks
            GrpcTransport,
        )

        credentials = CredentialsReader(secret, ("h2",))
        transport = GrpcTransport(settings.endpoint, credentials, compressed=dialect.gzip)
    else:
        credentials = CredentialsReader(secret)
        address = address_of(settings.endpoint, dialect.path)
        transport = HttpTransport(address, credentials, compressed=dialect.gzip)
    return Passing(settings, origin, credentials, transport, clock=clock)
