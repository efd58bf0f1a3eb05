"""OTLP over gRPC, to a server of gRPC's own library."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from otlp_collector import Context, collector
from otlp_sinks import otlp_sink
from receiver import chat, entries
from tls_world import new_authority, write_serving

from sidelight_contract.export import OtlpProtocol
from sidelight_sidecar.capture.ship.policy import Outcome
from sidelight_sidecar.capture.sinks.otlp.retry_info import retry_seconds
from sidelight_sidecar.capture.sinks.otlp.unary import MAX_ANSWER_BYTES

DETAILS = "grpc-status-details-bin"


def over_grpc(address: str, secrets: Path = Path("/nowhere"), **settings: Any) -> Any:
    """A sink."""
    return otlp_sink(address, secrets, protocol=OtlpProtocol.GRPC, **settings)


async def test_batches_go_over_one_connection_compressed_with_headers_as_metadata(tmp_path: Path):
    """Names in lower case, as HTTP/2 has them."""
    (tmp_path / "token").write_text("one")
    async with (
        collector() as server,
        over_grpc(server.address, tmp_path, headers={"X-Tenant": "ml"}) as sink,
    ):
        for number in range(3):
            assert (await sink.send(entries(chat(number)))).outcome is Outcome.DELIVERED
        _, metadata = server.calls[0]
        assert metadata["x-tenant"] == "ml"
        assert metadata["authorization"] == "Bearer one"
        assert server.names == ["r-0", "r-1", "r-2"]
        assert len(set(server.peers)) == 1


async def test_a_request_larger_than_the_windows_arrives_whole():
    """A collector's 4 MiB: flow control is obeyed."""
    async with (
        collector(max_receive_message_length=64 << 20) as server,
        over_grpc(server.address, max_content_bytes=1 << 20) as sink,
    ):
        sink._transport._compressed = False
        batch = entries(*[chat(number) for number in range(2500)])
        assert await sink.send(batch) == (Outcome.DELIVERED, "", None, 0)
        assert server.names == [f"r-{number}" for number in range(2500)]
        assert max(request.ByteSize() for request, _ in server.calls) > 2 << 20


async def test_a_request_that_is_larger_than_the_server_takes_goes_in_halves():
    """RESOURCE_EXHAUSTED without a time to come back is about its size."""
    async with (
        collector(max_receive_message_length=20_000) as server,
        over_grpc(server.address) as sink,
    ):
        delivery = await sink.send(entries(*map(chat, range(100))))
        assert delivery == (Outcome.DELIVERED, "", None, 0)
        assert server.names == [f"r-{number}" for number in range(100)]
        assert len(server.calls) > 3


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (grpc.StatusCode.UNAVAILABLE, Outcome.LATER),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Outcome.LATER),
        (grpc.StatusCode.INTERNAL, Outcome.LATER),
        (grpc.StatusCode.UNAUTHENTICATED, Outcome.LATER),
        (grpc.StatusCode.UNIMPLEMENTED, Outcome.LATER),
        (grpc.StatusCode.INVALID_ARGUMENT, Outcome.REFUSED),
    ],
)
async def test_statuses_of_the_moment_are_waited_out(code: grpc.StatusCode, outcome: Outcome):
    """What the server says beside the number is not told."""

    async def answer(_request: object, context: Context) -> ExportTraceServiceResponse:
        await context.abort(code, "secret words")

    async with collector() as server, over_grpc(server.address) as sink:
        server.answer = answer
        delivery = await sink.send(entries(chat()))
        status = f"gRPC status {code.value[0]}"
        if outcome is Outcome.LATER:
            assert delivery == (Outcome.LATER, status, None, 0)
        else:
            assert delivery == (Outcome.DELIVERED, status, None, 1)
        server.answer = None
        assert (await sink.send(entries(chat()))).refused == 0


def status(seconds: int, nanos: int, kind: str = "google.rpc.RetryInfo") -> bytes:
    """A google.rpc.Status that asks to come back, with other details before and after."""
    delay = Duration(seconds=seconds, nanos=nanos).SerializeToString()
    detail = AnyMessage(
        type_url=f"type.googleapis.com/{kind}", value=b"\x0a" + bytes([len(delay)]) + delay
    ).SerializeToString()
    other = AnyMessage(type_url="type.googleapis.com/x.Y", value=b"z").SerializeToString()
    fields = [b"\x08\x08", b"\x12\x03why"]
    fields += [b"\x1a" + bytes([len(one)]) + one for one in (other, detail)]
    return b"".join(fields)


async def test_a_server_that_is_full_says_when_to_come_back():
    """RetryInfo: the batch waits, whole."""

    async def answer(_request: object, context: Context) -> ExportTraceServiceResponse:
        context.set_trailing_metadata(((DETAILS, status(7, 500_000_000)),))
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")

    async with collector() as server, over_grpc(server.address) as sink:
        server.answer = answer
        delivery = await sink.send(entries(*map(chat, range(4))))
        assert delivery == (Outcome.LATER, "gRPC status 8", 7.5, 0)
        assert len(server.calls) == 1


@pytest.mark.parametrize(
    "data", [b"", b"\x1a", b"\x1a\x7f", b"\xff" * 40, b"\x0d123", status(1, 0, "x.Y")]
)
def test_details_that_are_none_ask_for_nothing(data: bytes):
    """Whatever a server sends."""
    assert retry_seconds(data) is None


async def test_spans_that_were_rejected_are_counted_and_not_resent():
    """As over HTTP."""

    async def answer(_request: object, _context: Context) -> ExportTraceServiceResponse:
        partial = ExportTracePartialSuccess(rejected_spans=1, error_message="words")
        return ExportTraceServiceResponse(partial_success=partial)

    async with collector() as server, over_grpc(server.address) as sink:
        server.answer = answer
        delivery = await sink.send(entries(chat(1), chat(2)))
        assert delivery == (Outcome.DELIVERED, "spans rejected", None, 1)


async def test_a_server_that_came_back_gets_the_batch_over_a_new_connection():
    """The kept one had ended; nobody notices."""
    async with collector() as server:
        port = int(server.address.rpartition(":")[2])
        sink_of = over_grpc(server.address)
        sink = await sink_of.__aenter__()
        assert (await sink.send(entries(chat(1)))).outcome is Outcome.DELIVERED
    down = await sink.send(entries(chat(2)))
    assert down == (Outcome.LATER, "no connection", None, 0)
    async with collector(port=port) as again:
        assert (await sink.send(entries(chat(2)))).outcome is Outcome.DELIVERED
        assert again.names == ["r-2"]
    async with collector(port=port) as third:
        assert (await sink.send(entries(chat(3)))).outcome is Outcome.DELIVERED
        assert third.names == ["r-3"]
        await sink.close()


async def test_tls_trusts_the_secrets_authority(tmp_path: Path):
    """Without it, the server is not trusted."""
    authority = new_authority()
    write_serving(tmp_path, authority)
    pair = ((tmp_path / "tls.key").read_bytes(), (tmp_path / "tls.crt").read_bytes())
    (tmp_path / "tls.key").unlink()
    (tmp_path / "tls.crt").unlink()
    (tmp_path / "ca.crt").write_text(authority.certificate.pem)
    async with collector(credentials=grpc.ssl_server_credentials([pair])) as server:
        async with over_grpc(server.address) as stranger:
            assert (await stranger.send(entries(chat()))).why == "TLS failed"
        async with over_grpc(server.address, tmp_path) as sink:
            assert (await sink.send(entries(chat()))).outcome is Outcome.DELIVERED
        assert server.names == ["r-1"]


async def test_a_server_that_is_no_grpc_is_said():
    """One that speaks HTTP/1.1, one that goes at once."""
    said = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""]
    gone = asyncio.Semaphore(0)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said.pop(0))
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.release()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with over_grpc(f"http://127.0.0.1:{port}") as sink:
            assert (await sink.send(entries(chat()))).why == "no gRPC"
            assert (await sink.send(entries(chat()))).why == "no connection"
        await gone.acquire()
        await gone.acquire()


async def test_an_answer_without_end_costs_no_memory():
    """It is given up, and so is the connection."""

    async def answer(_request: object, _context: Context) -> ExportTraceServiceResponse:
        partial = ExportTracePartialSuccess(error_message="x" * (3 * MAX_ANSWER_BYTES))
        return ExportTraceServiceResponse(partial_success=partial)

    async with collector() as server, over_grpc(server.address) as sink:
        server.answer = answer
        assert (await sink.send(entries(chat()))).why == "answer too long"
        server.answer = None
        assert (await sink.send(entries(chat()))).outcome is Outcome.DELIVERED


async def test_a_call_that_was_cancelled_leaves_nothing_behind():
    """The shipper's time-out: the next batch has a connection of its own."""
    reached, held = asyncio.Event(), asyncio.Event()

    async def answer(_request: object, _context: Context) -> ExportTraceServiceResponse:
        reached.set()
        await held.wait()
        return ExportTraceServiceResponse()

    async with collector() as server, over_grpc(server.address) as sink:
        server.answer = answer
        async with asyncio.TaskGroup() as group:
            task = group.create_task(sink.send(entries(chat())))
            await reached.wait()
            task.cancel()
        server.answer = None
        assert (await sink.send(entries(chat()))).outcome is Outcome.DELIVERED
        assert len(set(server.peers)) == 2
        held.set()
