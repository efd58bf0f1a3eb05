"""Metrics on their way to a backend, over HTTP and gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from receiver import plain, receiver

from sidelight_contract.export import METRICS_DIALECTS, OtlpDialect, OtlpProtocol, OtlpSinkSettings
from sidelight_sidecar.capture.ship.policy import Outcome
from sidelight_sidecar.capture.sinks.otlp.dialects import DIALECTS
from sidelight_sidecar.capture.sinks.otlp_metrics.sender import (
    OtlpMetrics,
    make_otlp_metrics,
    metrics_address,
)
from sidelight_sidecar.records.metrics import Family, Point, Snapshot
from sidelight_sidecar.records.record import Origin

ORIGIN = Origin("ml", "chat-0", "chat", "v1", "VLLM", "0.1.0")
SNAPSHOT = Snapshot(
    1,
    2,
    [Family("sidelight_requests_total", "counter", "", ["model"], [], [Point(["m"], 7.0)])],
    [],
)
REJECTED = ExportMetricsServiceResponse(
    partial_success=ExportMetricsPartialSuccess(rejected_data_points=3, error_message="secret")
).SerializeToString()


@asynccontextmanager
async def metrics_to(
    endpoint: str, secrets: Path = Path("/nowhere"), **settings: Any
) -> AsyncIterator[OtlpMetrics]:
    made = make_otlp_metrics(
        OtlpSinkSettings(name="otlp", endpoint=endpoint, metrics=True, **settings), ORIGIN, secrets
    )
    try:
        yield made
    finally:
        await made.close()


async def test_they_are_posted_with_the_sinks_headers_secret_and_resource(tmp_path: Path):
    """Zipped, to the path of metrics."""
    (tmp_path / "token").write_text("one")
    async with (
        receiver() as server,
        metrics_to(
            server.url, tmp_path, headers={"X-Tenant": "ml"}, resource={"team": "b"}
        ) as metrics,
    ):
        assert await metrics.send(SNAPSHOT) == (Outcome.DELIVERED, "", None, 0)
        (posted,) = server.posted
    assert posted.path == "/v1/metrics"
    assert posted.headers["Content-Type"] == "application/x-protobuf"
    assert posted.headers["Content-Encoding"] == "gzip"
    assert (posted.headers["X-Tenant"], posted.headers["Authorization"]) == ("ml", "Bearer one")
    (resource,) = ExportMetricsServiceRequest.FromString(posted.data).resource_metrics
    assert plain(resource.resource.attributes) == {
        "service.name": "chat", "service.namespace": "ml", "service.version": "v1",
        "service.instance.id": "chat-0", "k8s.namespace.name": "ml", "k8s.pod.name": "chat-0",
        "sidelight.engine": "VLLM", "sidelight.release": "0.1.0", "team": "b",
    }  # fmt: skip
    (point,) = resource.scope_metrics[0].metrics[0].sum.data_points
    assert point.as_double == 7.0


async def test_coralogix_has_its_names_of_application_and_subsystem():
    """As for spans."""
    async with (
        receiver() as server,
        metrics_to(server.url, dialect=OtlpDialect.CORALOGIX) as metrics,
    ):
        assert (await metrics.send(SNAPSHOT)).outcome is Outcome.DELIVERED
        (posted,) = server.posted
    (resource,) = ExportMetricsServiceRequest.FromString(posted.data).resource_metrics
    attributes = plain(resource.resource.attributes)
    assert (attributes["cx.application.name"], attributes["cx.subsystem.name"]) == ("ml", "chat")


@pytest.mark.parametrize("dialect", METRICS_DIALECTS)
def test_dialects_that_take_metrics_differ_in_nothing_that_metrics_have(dialect: OtlpDialect):
    """Path and protocols are the standard's."""
    table = DIALECTS[dialect]
    assert (table.path, table.grpc, table.on_spans) == ("/v1/traces", True, False)


@pytest.mark.parametrize("dialect", sorted(set(OtlpDialect) - set(METRICS_DIALECTS)))
def test_the_other_dialects_send_none(dialect: OtlpDialect):
    """Though the configuration asks for it."""
    assert not OtlpSinkSettings(name="x", endpoint="y", metrics=True, dialect=dialect).sends_metrics


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://collector:4318", "http://collector:4318/v1/metrics"),
        ("http://collector:4318/", "http://collector:4318/v1/metrics"),
        ("https://x.example.org/otlp/v1/traces", "https://x.example.org/otlp/v1/metrics"),
    ],
)
def test_an_endpoint_of_traces_is_one_of_metrics_too(endpoint: str, address: str):
    """It is the same backend."""
    assert metrics_address(endpoint) == address


async def test_what_the_backend_rejects_is_counted_and_its_words_are_not_told():
    """Its message could hold anything."""
    answer = web.Response(body=REJECTED, content_type="application/x-protobuf")
    async with receiver() as server, metrics_to(server.url) as metrics:
        server.answers.append(answer)
        assert await metrics.send(SNAPSHOT) == (
            Outcome.DELIVERED,
            "data points rejected",
            None,
            3,
        )


@pytest.mark.parametrize(
    ("status", "outcome"), [(400, Outcome.REFUSED), (404, Outcome.LATER), (503, Outcome.LATER)]
)
async def test_a_failure_is_said_by_its_status(status: int, outcome: Outcome):
    """It is not repeated: the shipper sends the next."""
    async with receiver() as server, metrics_to(server.url) as metrics:
        server.answers.append(web.Response(status=status))
        delivery = await metrics.send(SNAPSHOT)
        assert (delivery.outcome, delivery.why) == (outcome, f"status {status}")
        assert len(server.posted) == 1


async def test_nobody_there_is_said():
    """In a word of ours."""
    async with metrics_to("http://127.0.0.1:9") as metrics:
        assert await metrics.send(SNAPSHOT) == (Outcome.LATER, "no connection", None, 0)


async def test_over_grpc_they_go_to_the_metrics_service():
    """A server of gRPC's own library, which takes no other method."""
    calls: list[ExportMetricsServiceRequest] = []

    async def export(
        request: ExportMetricsServiceRequest, _context: object
    ) -> ExportMetricsServiceResponse:
        calls.append(request)
        return ExportMetricsServiceResponse.FromString(REJECTED)

    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        export,
        request_deserializer=ExportMetricsServiceRequest.FromString,
        response_serializer=ExportMetricsServiceResponse.SerializeToString,
    )
    name = "opentelemetry.proto.collector.metrics.v1.MetricsService"
    handlers = grpc.method_handlers_generic_handler(name, {"Export": method})
    server.add_generic_rpc_handlers((handlers,))
    address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        async with metrics_to(address, protocol=OtlpProtocol.GRPC) as metrics:
            delivery = await metrics.send(SNAPSHOT)
    finally:
        await server.stop(0)
    assert (delivery.outcome, delivery.refused) == (Outcome.DELIVERED, 3)
    ((resource,),) = [call.resource_metrics for call in calls]
    assert resource.scope_metrics[0].metrics[0].name == "sidelight_requests_total"
