"""A record that a real server always answers 500 to: the others arrive, and it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from otlp_collector import collector
from receiver import Posted, chat, encode_record, plain, receiver, spans_in

from sidelight_contract.export import (
    CloudEventsSinkSettings,
    OtlpProtocol,
    OtlpSinkSettings,
    SinkSettings,
    SpoolSettings,
)
from sidelight_sidecar.capture.make import Places, make_sink
from sidelight_sidecar.capture.ship.policy import ShipSettings
from sidelight_sidecar.capture.ship.shipper import Shipper, Sink
from sidelight_sidecar.capture.ship.time_left import WallClock
from sidelight_sidecar.capture.spool.queue import MemorySpool

HOW = ShipSettings(most=20, linger_seconds=0.01, first_seconds=0.005, most_seconds=0.02)
BAD = "r-7"


class Taken:
    """A server that falls over one record; the ids that it has."""

    def __init__(self) -> None:
        self.had: set[str] = set()

    def takes(self, ids: list[str]) -> bool:
        if BAD in ids:
            return False
        self.had |= set(ids)
        return True

    async def spans(self, request: web.BaseRequest) -> web.Response:
        posted = Posted("", request.headers, await request.content.read())
        ids = [str(plain(span.attributes)["sidelight.request.id"]) for span in posted.spans]
        return web.Response(status=200 if self.takes(ids) else 500)

    async def events(self, request: web.BaseRequest) -> web.Response:
        await request.content.read()
        return web.Response(status=200 if self.takes([request.headers["Ce-Id"]]) else 500)

    async def calls(
        self, request: ExportTraceServiceRequest, context: grpc.aio.ServicerContext
    ) -> ExportTraceServiceResponse:
        ids = [str(plain(one.attributes)["sidelight.request.id"]) for one in spans_in(request)]
        if not self.takes(ids):
            await context.abort(grpc.StatusCode.INTERNAL, "words")
        return ExportTraceServiceResponse()


@asynccontextmanager
async def serving(kind: str) -> AsyncIterator[tuple[Taken, SinkSettings]]:
    """A server, and the settings of a sink that sends there."""
    taken = Taken()
    if kind == "grpc":
        async with collector() as calls:
            calls.answer = taken.calls
            protocol = OtlpProtocol.GRPC
            yield taken, OtlpSinkSettings(name="a", endpoint=calls.address, protocol=protocol)
        return
    handler = taken.events if kind == "cloudEvents" else taken.spans
    async with receiver(handler) as server:
        if kind == "cloudEvents":
            yield taken, CloudEventsSinkSettings(name="a", url=server.url)
        else:
            yield taken, OtlpSinkSettings(name="a", endpoint=server.url)


@pytest.mark.parametrize("kind", ["otlp", "grpc", "cloudEvents"])
async def test_all_others_arrive_and_it_is_counted(kind: str):
    """Ten wait when the server is met, the rest comes while the one is tried again."""
    async with serving(kind) as (taken, settings):
        sink: Sink
        sink, _ = make_sink(settings, Places(secrets=Path("/nowhere")), SpoolSettings())
        spool = MemorySpool(["a"], 1 << 24)
        shipper = Shipper(sink, spool, HOW, WallClock(), lambda: 0.5)

        def add(number: int) -> None:
            line = encode_record(chat(number))
            spool.append(line, WallClock().unix())
            shipper.added(len(line))

        for number in range(10):
            add(number)
        number = 10
        async with asyncio.timeout(50), asyncio.TaskGroup() as group:
            running = group.create_task(shipper.run())
            while not shipper.refused:
                add(number)
                number += 1
                await asyncio.sleep(0.01)
            shipper.end(20)
            await running
        await shipper.close()
    assert taken.had == {f"r-{one}" for one in range(number)} - {BAD}
    assert (shipper.refused, shipper.delivered) == (1, number - 1)
    assert "words" not in shipper.why
