"""A whole sidecar, and what its sinks are sent of its metrics."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from prometheus_client.parser import text_string_to_metric_families
from real_engine import free_port, get
from receiver import Posted, Receiver, plain, receiver
from relay_harness import wait_for

Sample = tuple[str, frozenset[tuple[str, object]]]
NO_RECORDS = {
    "keep": {
        "errors": False, "abandoned": False, "truncated": False, "slowest": False, "share": 0,
    }
}  # fmt: skip
MOVING = tuple(
    f"sidelight_{part}_" for part in ("process", "capture", "sink", "relay", "engine", "tokenizer")
)
"""What goes on without requests."""


async def chat_engine(request: web.BaseRequest) -> web.StreamResponse:
    """Streams two pieces; then an error, if it is asked to."""
    asked = json.loads(await request.content.read() or b"{}")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number, piece in enumerate([{"content": "one"}, {"content": "two"}, {}]):
        choice = {"index": 0, "delta": piece, "finish_reason": None if number < 2 else "stop"}
        event: dict[str, Any] = {"id": "c-1", "model": "m", "choices": [choice]}
        if number == 2:
            event["usage"] = {"prompt_tokens": 5, "completion_tokens": 7}
            if asked.get("fail"):
                event = {"error": {"message": "no more", "code": 500}}
        await response.write(b"data: %s\n\n" % json.dumps(event).encode())
        await asyncio.sleep(0.02)
    await response.write(b"data: [DONE]\n\n")
    return response


@dataclass
class Sidecar:
    """A running one."""

    process: subprocess.Popen[bytes]
    port: int
    admin: int

    def ask(self, **more: object) -> None:
        """Send one chat through it."""
        body = {"stream": True, "messages": [{"role": "user", "content": "x"}], **more}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions", json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()

    def metrics(self) -> dict[Sample, float]:
        """What /metrics says."""
        found = {}
        for family in text_string_to_metric_families(get(self.admin, "/metrics").decode()):
            for sample in family.samples:
                labels = {k: float(v) if k == "le" else v for k, v in sample.labels.items()}
                found[sample.name, frozenset(labels.items())] = sample.value
        return found

    async def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.wait, 30)


@asynccontextmanager
async def sidecar(
    directory: Path, sink: dict[str, Any], capture: dict[str, Any] | None = None
) -> AsyncIterator[Sidecar]:
    """One with an engine; without `capture` its records would go nowhere, for none is kept."""
    port, admin = free_port(), free_port()
    config = directory / "config.json"
    config.write_text(
        json.dumps(
            {
                "version": 1, "model": "chat", "engine": "VLLM",
                "capture": NO_RECORDS if capture is None else capture,
                "export": {"sinks": [{"kind": "otlp", "name": "otlp", **sink}]},
            }
        )
    )  # fmt: skip
    async with receiver(chat_engine) as engine:
        process = subprocess.Popen(  # noqa: ASYNC220 - it takes no time
            [
                sys.executable, "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
                "--engine", engine.url.removeprefix("http://"), "--admin", f"127.0.0.1:{admin}",
                "--config", str(config), "--records", str(directory),
                "--spool", str(directory / "spool"), "--secrets", str(directory / "secrets"),
            ],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        running = Sidecar(process, port, admin)
        try:
            await asyncio.to_thread(
                wait_for,
                lambda: b"sidelight_capture_running 1.0" in get(admin, "/metrics"),
                "it captures",
            )
            yield running
        finally:
            await running.end()


def metrics_in(posted: Posted) -> dict[str, Metric]:
    """By name."""
    assert posted.path == "/v1/metrics"
    (resource,) = ExportMetricsServiceRequest.FromString(posted.data).resource_metrics
    attributes = plain(resource.resource.attributes)
    assert (attributes["service.name"], attributes["sidelight.engine"]) == ("chat", "VLLM")
    return {one.name: one for scope in resource.scope_metrics for one in scope.metrics}


def flat(metrics: dict[str, Metric]) -> Iterator[tuple[Sample, float]]:
    """As Prometheus' text has it."""
    for name, metric in metrics.items():
        for number in (*metric.sum.data_points, *metric.gauge.data_points):
            yield (name, frozenset(plain(number.attributes).items())), number.as_double
        for point in (*metric.summary.data_points, *metric.histogram.data_points):
            labels = plain(point.attributes)
            yield (f"{name}_sum", frozenset(labels.items())), point.sum
            yield (f"{name}_count", frozenset(labels.items())), point.count
        for point in metric.histogram.data_points:
            labels = plain(point.attributes)
            bounds = [*point.explicit_bounds, float("inf")]
            for bound, below in zip(bounds, accumulate(point.bucket_counts), strict=True):
                yield (f"{name}_bucket", frozenset({**labels, "le": bound}.items())), below


def requests_in(metrics: dict[str, Metric]) -> float:
    """How many have ended."""
    if "sidelight_requests_total" not in metrics:
        return 0
    return sum(point.as_double for point in metrics["sidelight_requests_total"].sum.data_points)


def settled(samples: dict[Sample, float]) -> dict[Sample, float]:
    """What changes with requests alone."""
    return {key: value for key, value in samples.items() if not key[0].startswith(MOVING)}


def counts(metric: Metric, *attributes: str) -> dict[tuple[object, ...], int]:
    """Values of a histogram, by attributes."""
    return {
        tuple(plain(point.attributes).get(name) for name in attributes): point.count
        for point in metric.histogram.data_points
    }


async def test_a_backend_is_sent_what_metrics_say_though_no_request_became_a_record(tmp_path: Path):
    """Bucket by bucket; what it missed at first costs nothing, and is counted."""
    async with receiver() as backend:
        backend.answers += [web.Response(status=503), web.Response(status=503)]
        sink = {"endpoint": backend.url, "metrics": True, "metrics_seconds": 0.5}
        async with sidecar(tmp_path, sink) as running:
            for number in range(6):
                await asyncio.to_thread(running.ask, fail=number == 3)
            await until(lambda: requests_in(metrics_in(backend.posted[-1])) == 6, backend)
            last, said = await same_moment(running, backend)
            first = metrics_in(backend.posted[0])
            failed = {"sink": "otlp", "kind": "otlp", "result": "failed"}
            key = ("sidelight_sink_metrics_total", frozenset(failed.items()))
            await asyncio.to_thread(
                wait_for, lambda: running.metrics().get(key) == 2, "two that failed told"
            )
        sent = dict(flat({n: one for n, one in last.items() if n.startswith("sidelight_")}))
        assert settled(sent) == said
        assert len(said) > 150
    model = ("gen_ai.request.model", "gen_ai.operation.name", "gen_ai.provider.name")
    chat = ("m", "chat", "vllm")
    assert counts(last["gen_ai.server.time_to_first_token"], *model) == {chat: 5}
    assert counts(last["gen_ai.server.time_per_output_token"], *model) == {chat: 5}
    assert counts(last["gen_ai.server.request.duration"], *model, "error.type") == {
        (*chat, None): 5,
        (*chat, "stream_error"): 1,
    }
    usage = counts(last["gen_ai.client.token.usage"], "gen_ai.token.type")
    assert usage == {("input",): 5, ("output",): 5}
    starts = {
        point.start_time_unix_nano
        for metrics in (first, last)
        for name in ("sidelight_requests_total", "sidelight_slo_requests_total")
        if name in metrics
        for point in metrics[name].sum.data_points
    }
    assert len(starts) == 1


async def test_the_last_counts_are_sent_when_the_pod_ends(tmp_path: Path):
    """Though it was not time for them."""
    async with receiver() as backend:
        sink = {"endpoint": backend.url, "metrics": True, "metrics_seconds": 3600}
        async with sidecar(tmp_path, sink) as running:
            await asyncio.to_thread(running.ask)
            assert not backend.posted
        (posted,) = backend.posted
    assert requests_in(metrics_in(posted)) == 1
    assert counts(metrics_in(posted)["gen_ai.server.time_to_first_token"]) == {(): 1}


async def test_a_sink_without_records_is_sent_metrics_alone_and_is_not_down(tmp_path: Path):
    """A backend of metrics: it would say 404 to spans."""
    async with receiver(metrics_alone) as backend:
        sink = {"endpoint": backend.url, "metrics": True, "metrics_seconds": 0.1, "records": False}
        async with sidecar(tmp_path, sink, {}) as running:
            for _ in range(3):
                await asyncio.to_thread(running.ask)
            sent = frozenset({"sink": "otlp", "kind": "otlp", "result": "delivered"}.items())
            one = frozenset({"sink": "otlp", "kind": "otlp"}.items())

            def told() -> bool:
                said = running.metrics()
                return (
                    said["sidelight_capture_records_total", frozenset()] == 3
                    and said.get(("sidelight_sink_metrics_total", sent), 0) > 1
                )

            await asyncio.to_thread(wait_for, told, "records made, metrics delivered")
            said = await asyncio.to_thread(running.metrics)
            assert said["sidelight_sink_up", one] == 1
            assert said["sidelight_sink_waiting_records", one] == 0
            assert said["sidelight_sink_records_total", sent] == 0


async def metrics_alone(request: web.BaseRequest) -> web.Response:
    """Of such a backend."""
    await request.content.read()
    return web.Response(status=200 if request.path == "/v1/metrics" else 404)


async def test_a_sink_that_does_not_want_them_is_sent_none(tmp_path: Path):
    """As by default: Prometheus has them."""
    async with receiver() as backend:
        sink = {"endpoint": backend.url, "metrics_seconds": 0.1}
        async with sidecar(tmp_path, sink) as running:
            await asyncio.to_thread(running.ask)
            metrics = await asyncio.to_thread(get, running.admin, "/metrics")
            assert b"sidelight_sink_metrics_total{" not in metrics
    assert not backend.posted


async def same_moment(
    running: Sidecar, backend: Receiver
) -> tuple[dict[str, Metric], dict[Sample, float]]:
    """What was sent, and what /metrics said before and after it."""
    async with asyncio.timeout(30):
        while True:
            before = await asyncio.to_thread(running.metrics)
            had = len(backend.posted)
            await until(lambda: len(backend.posted) > had + 1, backend)  # noqa: B023
            after = await asyncio.to_thread(running.metrics)
            if settled(before) == settled(after):
                return metrics_in(backend.posted[had + 1]), settled(after)


async def until(condition: Callable[[], bool], backend: Receiver) -> None:
    """Poll until it is true; nothing that was posted is none."""
    async with asyncio.timeout(30):
        while not (backend.posted and condition()):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)
