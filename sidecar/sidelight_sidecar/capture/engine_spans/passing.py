"""Passes engine's spans on to one sink.

Rules:
1. What waits is in memory, `MAX_BYTES` at most; the oldest goes first, and is counted. It is on no
   disk: spans are no records, and a collector that is down for long is to cost nothing.
2. What cannot be sent now is tried again, later and later, as records are; what of an export is
   sent is not sent again.
3. What is refused, or failed `TRIES_WHOLE` times, goes in halves, until the span that the sink will
   not have is alone: that one is refused. One that fails alone while others pass is set aside, as
   records are (`ship/aside.py`).
4. Endpoint, headers, Secret and size limits are those of the sink's own spans.
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
from sidelight_sidecar.capture.engine_spans.requests import Ready, halves, requests_of
from sidelight_sidecar.capture.ship.aside import Aside
from sidelight_sidecar.capture.ship.policy import (
    TRIES_WHOLE,
    Delivery,
    Outcome,
    ShipPolicy,
    ShipSettings,
)
from sidelight_sidecar.capture.ship.shipper import CLOSE_SECONDS
from sidelight_sidecar.capture.ship.time_left import Clock, TimeLeft
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
HOW = ShipSettings(linger_seconds=0.0, most_aside=16)
"""At once: exporters gather spans for 5 seconds already. Few aside: they take of the same room, and
an engine's spans are all alike."""
REFUSALS = 8
"""Refused in a row, a sink is taken to refuse all, and halves are not tried until it takes one.
Default 8: else each export of 512 spans would be a thousand requests for nothing."""
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
        self._aside = Aside(HOW, chance)
        self._wake = asyncio.Event()
        self._left = TimeLeft(clock)
        self._queue: deque[Waiting] = deque()
        self._bytes = 0
        self._ready: deque[Ready] = deque()
        """Requests of the export that is under way; the first goes next."""
        self._in_a_row = 0
        """How often that has failed."""
        self._refusals = 0
        self._set_aside: dict[int, Ready] = {}
        self._number = 0
        self._delivered = self._refused = self._lost = 0

    @property
    def state(self) -> SpansState:
        """How it does."""
        return SpansState(self._delivered, self._refused, self._lost)

    @property
    def waiting_bytes(self) -> int:
        """Of what waits, that under way included."""
        begun = (*self._ready, *self._set_aside.values())
        return self._bytes + sum(len(ready.body) for ready in begun)

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
        self._left.end(within_seconds)
        self._policy.hurry()
        self._aside.hurry()
        self._wake.set()

    async def close(self) -> None:
        """Let go of connections; after `run`."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._transport.close()

    async def run(self) -> None:
        """Pass on until `end`."""
        while not self._over():
            self._wake.clear()
            now = self._clock.now()
            waiting = len(self._queue) + len(self._ready)
            number = self._aside.due(now, others=waiting > 0)
            if number is not None and not self._policy.wait_seconds(now):
                await self._again(number)
                continue
            plan = self._policy.plan(
                now, waiting=waiting, size=0, waited=0.0, draining=self._left.ending
            )
            if plan.most:
                await self._next()
            else:
                wait = self._wait(plan.wait_seconds if waiting else _FOREVER, others=waiting > 0)
                await self._clock.sleep(self._left.within(wait), self._wake)

    def _over(self) -> bool:
        waits = self._queue or self._ready or self._set_aside
        return self._left.over or (self._left.ending and not waits)

    def _wait(self, seconds: float, *, others: bool) -> float:
        """No longer than until one of those aside may be tried."""
        now = self._clock.now()
        of_aside = self._aside.wait_seconds(now, others=others)
        if of_aside is None:
            return seconds
        return min(seconds, max(of_aside, self._policy.wait_seconds(now)))

    async def _next(self) -> None:
        """Send one request, and say what came of it."""
        headers = self._headers()
        if isinstance(headers, Delivery):
            self._policy.failed(self._clock.now(), headers)
            return
        if not self._ready and not await self._begin(headers):
            return
        first = self._ready[0]
        delivery = await self._send(first, headers)
        if delivery.outcome is Outcome.LATER:
            self._failed(first, delivery)
            return
        self._in_a_row = 0
        if delivery.outcome is Outcome.REFUSED and first.spans > 1 and self._refusals < REFUSALS:
            self._halve(first)
            return
        self._ready.popleft()
        self._settled(first, delivery)
        if delivery.outcome is Outcome.DELIVERED:
            self._aside.others_passed()
            for number in self._aside.given_up():
                self._refused += self._set_aside.pop(number).spans
                self._aside.forget(number)

    def _failed(self, first: Ready, delivery: Delivery) -> None:
        now = self._clock.now()
        self._policy.failed(now, delivery)
        self._aside.others_failed()
        self._in_a_row += 1
        if first.spans > 1 and self._in_a_row >= TRIES_WHOLE:
            self._halve(first)
        elif first.spans == 1 and self._policy.open and not self._aside.full:
            self._number += 1
            self._set_aside[self._number] = self._ready.popleft()
            self._aside.put(self._number, now)

    async def _again(self, number: int) -> None:
        """Try one that failed alone."""
        ready, headers = self._set_aside[number], self._headers()
        if isinstance(headers, Delivery):
            self._policy.failed(self._clock.now(), headers)
            return
        delivery = await self._send(ready, headers)
        now = self._clock.now()
        if delivery.outcome is not Outcome.LATER:
            del self._set_aside[number]
            self._aside.forget(number)
            self._settled(ready, delivery)
        elif not self._aside.failed(number, now):
            self._policy.failed(now, delivery)

    def _halve(self, first: Ready) -> None:
        self._ready.popleft()
        self._ready.extendleft(reversed(halves(first)))

    def _settled(self, ready: Ready, delivery: Delivery) -> None:
        refused = delivery.outcome is Outcome.REFUSED
        self._refusals = self._refusals + 1 if refused else 0
        count = ready.spans if refused else min(ready.spans, delivery.refused)
        self._delivered += ready.spans - count
        self._refused += count
        self._policy.delivered()

    def _headers(self) -> dict[str, str] | Delivery:
        """Those of each request; or why there are none."""
        try:
            return sent_headers(self._settings, self._dialect, self._credentials.read())
        except SecretError as error:
            return Delivery(Outcome.LATER, str(error))

    async def _send(self, ready: Ready, headers: dict[str, str]) -> Delivery:
        try:
            async with self._left.limit(HOW.timeout_seconds):
                result = await self._transport.export(ready.body, headers)
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
        try:
            # Once more the limit's bytes, and beside the loop: others want their turn.
            self._ready.extend(await asyncio.to_thread(self._requests, export.body, headers))
        except Exception:  # noqa: BLE001 - the next time it would be the same
            self._refused += export.spans
        return bool(self._ready)

    def _requests(self, body: bytes, headers: dict[str, str]) -> list[Ready]:
        of_dialect = self._dialect.resource(self._origin, headers)
        resource = resource_of(self._origin, {**of_dialect, **self._settings.resource})
        more = of_dialect if self._dialect.on_spans else {}
        export = ExportTraceServiceRequest.FromString(body)
        return list(requests_of(export, resource, more, self._dialect.max_request_bytes))


def make_passing(settings: OtlpSinkSettings, origin: Origin, secret: Path, clock: Clock) -> Passing:
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
