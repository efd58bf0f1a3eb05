"""Batches of spans: by bytes, in halves where they are refused, and never resent where they are
there.
"""

from __future__ import annotations

import asyncio.subprocess
import hashlib
import sys
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from otlp_sinks import otlp_sink
from receiver import REQUEST, Posted, Receiver, body, chat, entries, off, plain, receiver

from sidelight_contract.export import OtlpDialect, OtlpProtocol
from sidelight_sidecar.capture.ship.policy import Outcome
from sidelight_sidecar.capture.sinks.otlp.dialects import DIALECTS
from sidelight_sidecar.records.record import Origin, Record


def noise(number: int, size: int) -> str:
    """Text that nothing shrinks."""
    pieces = (hashlib.sha512(b"%d %d" % (number, i)).hexdigest() for i in range(size // 128))
    return "".join(pieces)


def large(number: int, size: int = 60_000) -> Record:
    """A chat with a long prompt."""
    said = [{"role": "user", "content": noise(number, size)}]
    return chat(number, request=body({**REQUEST, "messages": said}))


def names(server: Receiver) -> list[str]:
    """Request ids of all spans that came, in order."""
    return [plain(span.attributes)["sidelight.request.id"] for span in server.spans]


async def test_a_batch_is_one_request_with_where_it_was_observed():
    """Once, in the resource."""
    async with receiver() as server, otlp_sink(server.url) as sink:
        assert await sink.send(entries(*map(chat, range(50)))) == (Outcome.DELIVERED, "", None, 0)
        (posted,) = server.posted
        (resource,) = posted.otlp.resource_spans
        (scope,) = resource.scope_spans
    assert plain(resource.resource.attributes) == {
        "service.name": "chat",
        "service.namespace": "ml",
        "service.version": "v1",
        "service.instance.id": "chat-0",
        "k8s.namespace.name": "ml",
        "k8s.pod.name": "chat-0",
        "sidelight.engine": "VLLM",
        "sidelight.release": "0.1.0",
    }
    assert (scope.scope.name, scope.scope.version) == ("sidelight", "0.1.0")
    assert names(server) == [f"r-{number}" for number in range(50)]


async def test_records_of_another_version_have_a_resource_of_their_own():
    """A spool outlives a rollout."""
    other = chat(2, origin=Origin("ml", "chat-0", "chat", "v2", "VLLM", "0.1.0"))
    async with receiver() as server, otlp_sink(server.url) as sink:
        await sink.send(entries(chat(1), other))
        versions = [
            plain(posted.otlp.resource_spans[0].resource.attributes)["service.version"]
            for posted in server.posted
        ]
    assert versions == ["v1", "v2"]


async def test_a_batch_goes_in_requests_of_the_backends_size():
    """One that is too large costs the small ones with it, in many backends."""
    most = DIALECTS[OtlpDialect.DATADOG].max_request_bytes
    async with receiver() as server, otlp_sink(server.url, dialect=OtlpDialect.DATADOG) as sink:
        await sink.send(entries(*[large(number) for number in range(40)]))
        sizes = [len(posted.data) for posted in server.posted]
        assert max(sizes) <= most
        assert len(sizes) < 6
        assert names(server) == [f"r-{number}" for number in range(40)]


async def test_a_request_that_is_refused_goes_in_halves_until_one_is_alone():
    """The one that the backend will not have is refused, the nine others are there."""
    had: list[str] = []

    async def picky(request: web.BaseRequest) -> web.Response:
        posted = Posted("", request.headers, await request.content.read())
        ids = [plain(span.attributes)["sidelight.request.id"] for span in posted.spans]
        if "r-6" in ids:
            return web.Response(status=400)
        had.extend(ids)
        return web.Response()

    async with receiver(picky) as server, otlp_sink(server.url) as sink:
        delivery = await sink.send(entries(*map(chat, range(10))))
    assert delivery == (Outcome.DELIVERED, "status 400", None, 1)
    assert had == [f"r-{number}" for number in range(10) if number != 6]


async def test_spans_that_were_rejected_in_a_request_are_counted_and_not_resent():
    """`partial_success`; what the backend says of them could hold content, and is not told."""
    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="secret words")
    said = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    async with receiver() as server, otlp_sink(server.url) as sink:
        server.answers = [web.Response(body=said, content_type="application/x-protobuf")]
        delivery = await sink.send(entries(*map(chat, range(5))))
        assert delivery == (Outcome.DELIVERED, "spans rejected", None, 2)
        assert len(server.posted) == 1


@pytest.mark.parametrize(
    ("body_", "kind"),
    [
        (b'{"partialSuccess":{"rejectedSpans":"2"}}', "application/json"),
        (b"\xff\xff nonsense", "application/x-protobuf"),
        (b"", "text/plain"),
    ],
)
async def test_an_answer_that_is_no_message_rejects_nothing(body_: bytes, kind: str):
    """Two hundred is two hundred."""
    async with receiver() as server, otlp_sink(server.url) as sink:
        server.answers = [web.Response(body=body_, content_type=kind)]
        assert await sink.send(entries(chat())) == (Outcome.DELIVERED, "", None, 0)


async def test_what_went_is_not_sent_again_when_a_later_request_fails():
    """The second of several requests meets 429."""
    batch = entries(*[large(number) for number in range(40)])
    async with receiver() as server, otlp_sink(server.url, dialect=OtlpDialect.DATADOG) as sink:
        wait = web.Response(status=429, headers={"Retry-After": "3"})
        server.answers = [web.Response(), wait]
        assert await sink.send(batch) == (Outcome.LATER, "status 429", 3.0, 0)
        first = len(server.posted[0].spans)
        del server.posted[1:]
        assert await sink.send(batch) == (Outcome.DELIVERED, "", None, 0)
        assert names(server) == [f"r-{number}" for number in range(40)]
        assert first > 5


async def test_no_connection_is_later():
    """In a word."""
    async with otlp_sink("http://127.0.0.1:1") as sink:
        assert await sink.send(entries(chat())) == (Outcome.LATER, "no connection", None, 0)


async def test_a_record_that_can_be_no_span_is_refused_and_the_others_go():
    """A line of another format, and an id that is none."""
    bad, good, none = entries(
        chat(1, trace=chat().trace.__class__("not hex", "b7ad6b7169203331")), chat(2), chat(3)
    )
    async with receiver() as server, otlp_sink(server.url) as sink:
        delivery = await sink.send([bad, good, none._replace(record=b"[]")])
        assert delivery == (Outcome.DELIVERED, "no span", None, 2)
        assert names(server) == ["r-2"]
        assert await sink.send([bad]) == (Outcome.DELIVERED, "no span", None, 1)


async def test_a_dialect_that_takes_no_grpc_says_so():
    """It waits until somebody mends the spec."""
    options = {"protocol": OtlpProtocol.GRPC, "dialect": OtlpDialect.MLFLOW}
    async with otlp_sink("http://127.0.0.1:1", **options) as sink:
        delivery = await sink.send(entries(chat()))
    assert delivery == (Outcome.LATER, "MLflow takes no gRPC", None, 0)


async def test_a_secret_wins_over_the_spec_and_that_over_the_dialect(tmp_path: Path):
    """Whatever case a header is written in."""
    (tmp_path / "DD-OTLP-Source").write_text("secret")
    (tmp_path / "token").write_text("key")
    own = {"dd-otlp-source": "spec", "X-Own": "1", "DD-API-KEY": "spec"}
    async with (
        receiver() as server,
        otlp_sink(server.url, tmp_path, dialect=OtlpDialect.DATADOG, headers=own) as sink,
    ):
        await sink.send(entries(off()))
        headers = server.posted[0].headers
    assert headers.getall("dd-otlp-source") == ["secret"]  # type: ignore[attr-defined]
    assert headers.getall("dd-api-key") == ["key"]  # type: ignore[attr-defined]
    assert headers["X-Own"] == "1"


async def test_content_is_within_the_users_limit():
    """Each attribute."""
    async with receiver() as server, otlp_sink(server.url, max_content_bytes=1024) as sink:
        await sink.send(entries(large(1)))
        (span,) = server.spans
    found = plain(span.attributes)
    assert len(found["gen_ai.input.messages"].encode()) <= 1024


async def test_grpc_is_not_loaded_for_who_does_not_ask():
    """Nor anything of gRPC's own library, for anybody."""
    code = (
        "import sys; from sidelight_sidecar.capture.sinks.otlp import sink; "
        "print([m for m in ('h2', 'grpc') if m in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out == b"[]\n"
