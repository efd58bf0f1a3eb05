"""From the engine to a backend, in one process's parts: whatever comes, by mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from engine_export import PLAIN, SECRET, engine_span, export_of, free_port, leaking_span, status
from receiver import Receiver, plain, receiver

from sidelight_contract.capture import CaptureSettings, Payloads
from sidelight_contract.export import ExportSettings, OtlpDialect, OtlpSinkSettings
from sidelight_sidecar.capture.app import Capture
from sidelight_sidecar.capture.make import Places, make_capture
from sidelight_sidecar.records.handover import Settings, SpansState
from sidelight_sidecar.records.record import Origin

ORIGIN = Origin(namespace="ml", pod="chat-0", observed_model="chat", engine="VLLM", release="1")


@asynccontextmanager
async def engine_spans(
    payloads: Payloads, *sinks: OtlpSinkSettings
) -> AsyncIterator[tuple[Capture, str]]:
    """Parts as the capture process makes them, and where an engine sends its spans to."""
    port = free_port()
    settings = Settings(CaptureSettings(payloads), ExportSettings(list(sinks)), ORIGIN)
    nowhere = Path("/nowhere")
    capture = make_capture(settings, Places(nowhere, nowhere, nowhere, port))
    assert capture.engine_spans is not None
    async with asyncio.TaskGroup() as group:
        group.create_task(capture.engine_spans.run())
        await until(lambda: capture.engine_spans and capture.engine_spans.listening)
        yield capture, f"http://127.0.0.1:{port}/v1/traces"
        capture.engine_spans.end(10)
    await capture.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.005)


def sink(server: Receiver, **more: object) -> OtlpSinkSettings:
    return OtlpSinkSettings(name="traces", endpoint=server.url, engine_spans=True, **more)  # type: ignore[arg-type]


async def test_no_content_reaches_a_backend_but_in_full():
    """The whole way, byte by byte; our own place is said in each."""
    body = export_of(engine_span(1), leaking_span()).SerializeToString()
    for payloads in Payloads:
        async with receiver() as server, engine_spans(payloads, sink(server)) as (_, url):
            assert await status(url, body) == 200
            await until(lambda server=server: server.posted)
        (posted,) = server.posted
        assert (SECRET.encode() in posted.data) is (payloads is Payloads.FULL)
        assert posted.spans[0].name == "llm_request"
        assert plain(posted.spans[0].attributes) == PLAIN
        found = plain(posted.otlp.resource_spans[0].resource.attributes)
        assert found["service.name"] == "chat"
        assert found["k8s.pod.name"] == "chat-0"
        assert found["vllm.process_id"] == "7"


async def test_hostile_exports_are_counted_and_the_next_one_goes():
    """Broken protobuf, a million spans in two megabytes, 4 MiB of one text."""
    empty = b"\x12\x00" * 1_000_000
    size = len(empty)
    prefix = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    scopes = b"\x12" + prefix + empty
    size = len(scopes)
    prefix = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    many = b"\x0a" + prefix + scopes
    long = export_of(engine_span(1, {"a": "x" * (3 << 20)}, name="y" * 900_000))
    async with receiver() as server, engine_spans(Payloads.REDACTED, sink(server)) as (made, url):
        for body in (b"\x0a\x05abc", b"\xff" * 1000, many, b"", long.SerializeToString()):
            assert await status(url, body) == 200
        assert await status(url, export_of(engine_span(7)).SerializeToString()) == 200
        await until(lambda: len(server.spans) == 2)
        assert made.engine_spans is not None
        assert made.engine_spans.results == {"taken": 6, "malformed": 2, "too_many": 1}
    assert [span.span_id[-1] for span in server.spans] == [1, 7]
    assert len(server.posted[0].data) < 2000


async def test_each_sink_that_asks_has_them_and_a_down_one_keeps_none_from_another():
    """And one that does not ask has none, and says so."""
    async with receiver() as down:
        gone = down.url
    async with receiver() as first, receiver() as second:
        sinks = [
            OtlpSinkSettings(name="a", endpoint=gone, engine_spans=True),
            OtlpSinkSettings(
                name="b", endpoint=first.url, engine_spans=True, dialect=OtlpDialect.GALILEO,
                headers={"project": "chat"},
            ),
            OtlpSinkSettings(name="c", endpoint=second.url),
        ]  # fmt: skip
        async with engine_spans(Payloads.OFF, *sinks) as (capture, url):
            assert await status(url, export_of(engine_span()).SerializeToString()) == 200
            await until(lambda: first.posted)
            assert capture.engine_spans is not None
            await until(lambda: capture.engine_spans.of_sink("b") == SpansState(delivered=1))
            assert capture.engine_spans.of_sink("a") == SpansState()
            assert capture.engine_spans.of_sink("c") is None
            capture.engine_spans._sinks[0].end(0)  # else it is tried for as long as there is
        (posted,) = first.posted
    assert posted.path == "/otel/traces"
    assert plain(posted.spans[0].attributes)["galileo.project.name"] == "chat"
    assert not second.posted


def test_nothing_listens_where_no_sink_asks():
    """The default."""
    settings = Settings(
        CaptureSettings(), ExportSettings([OtlpSinkSettings(name="a", endpoint="http://a")]), ORIGIN
    )
    assert make_capture(settings, Places()).engine_spans is None
