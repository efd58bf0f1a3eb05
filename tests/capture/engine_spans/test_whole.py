"""A whole capture process that an engine sends its spans to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from engine_export import engine_span, export_of, free_port, leaking_span, status
from prometheus_client.core import CounterMetricFamily
from receiver import receiver

from sidelight_contract.capture import CaptureSettings, Payloads
from sidelight_contract.export import ExportSettings, OtlpSinkSettings
from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.capture.child import CaptureChild
from sidelight_sidecar.observer.metrics.capture import CaptureCollector
from sidelight_sidecar.records.handover import Settings, SpansState
from sidelight_sidecar.records.record import Origin


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)


class NoOffers:
    """Nothing was decided."""

    kept = passed = beyond = no_room = 0


async def test_an_engine_sends_to_a_whole_process_and_a_backend_has_them_masked(tmp_path: Path):
    """State and metrics say so; what waits when the observer ends is sent before it does."""
    port = free_port()
    async with receiver() as server:
        sink = OtlpSinkSettings(name="traces", endpoint=server.url, engine_spans=True)
        settings = Settings(
            CaptureSettings(Payloads.REDACTED), ExportSettings([sink]), Origin(pod="chat-0")
        )
        child = CaptureChild("--records", str(tmp_path), "--engine-spans-port", str(port))
        child.configure(settings)
        url = f"http://127.0.0.1:{port}/v1/traces"
        async with asyncio.TaskGroup() as group:
            task = group.create_task(child.run())
            await until(lambda: child.state.engine_spans_taken)
            body = export_of(engine_span(1), leaking_span()).SerializeToString()
            assert await status(url, body) == 200
            assert await status(url, b"\xff") == 200
            await until(lambda: child.state.sinks["traces"].engine_spans == SpansState(delivered=2))
            await until(lambda: child.state.engine_exports == {"taken": 2, "malformed": 1})
            collector = CaptureCollector(NoOffers(), Budget(1), child)  # type: ignore[arg-type]
            found = {
                (sample.name, *sample.labels.values()): sample.value
                for family in collector.collect()
                if isinstance(family, CounterMetricFamily) or "taken" in family.name
                for sample in family.samples
            }
            assert await status(url, export_of(engine_span(3)).SerializeToString()) == 200
            task.cancel()
    assert found[("sidelight_sink_engine_spans_total", "traces", "otlp", "delivered")] == 2
    assert found[("sidelight_capture_engine_exports_total", "malformed")] == 1
    assert found[("sidelight_capture_engine_spans_taken",)] == 1
    assert [span.span_id[-1] for span in server.spans] == [1, 2, 3]
    assert not any(b"anna" in posted.data for posted in server.posted)


async def test_hostile_exports_leave_the_process_within_its_memory(tmp_path: Path):
    """Each of what takes most: it is the same process afterwards, and takes the next."""
    port = free_port()
    bare = export_of(*(engine_span(n, {}) for n in range(1, 4096)))
    deep = export_of(*(engine_span(n, {f"n{k}": k for k in range(7)}) for n in range(1, 4000)))
    async with receiver() as server:
        sink = OtlpSinkSettings(name="traces", endpoint=server.url, engine_spans=True)
        settings = Settings(CaptureSettings(), ExportSettings([sink]), Origin(pod="chat-0"))
        child = CaptureChild("--records", str(tmp_path), "--engine-spans-port", str(port))
        child.configure(settings)
        url = f"http://127.0.0.1:{port}/v1/traces"
        async with asyncio.TaskGroup() as group:
            task = group.create_task(child.run())
            await until(lambda: child.state.engine_spans_taken)
            for _ in range(3):
                assert await status(url, deep.SerializeToString()) == 200
                assert await status(url, bare.SerializeToString()) == 200
            assert await status(url, export_of(engine_span(9999)).SerializeToString()) == 200
            await until(lambda: child.state.engine_exports.get("taken") == 7)
            last = (9999).to_bytes(8, "big")
            await until(lambda: server.posted and server.spans[-1].span_id == last)
            assert child.restarts == 0
            task.cancel()
