"""The engine's spans from port to sinks: taken, measured, cut to what the mode lets through, and
passed on.
"""

import asyncio
from collections.abc import Mapping, Sequence

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sidelight_sidecar.capture.engine_spans.allowed import Allowed
from sidelight_sidecar.capture.engine_spans.intake import Intake
from sidelight_sidecar.capture.engine_spans.passing import Passing, Waiting
from sidelight_sidecar.capture.engine_spans.weigh import WeightError, spans_in
from sidelight_sidecar.records.handover import SpansState


class EngineSpans:
    """All of it, for one set of settings.

    Args:
        intake: where the engine sends to.
        allowed: what is passed on; None: all, as it is (payloads Full).
        sinks: those that ask for them.
    """

    def __init__(self, intake: Intake, allowed: Allowed | None, sinks: Sequence[Passing]) -> None:
        self._intake = intake
        self._allowed = allowed
        self._sinks = sinks
        self._ended = False
        self._within = 0.0

    @property
    def listening(self) -> bool | None:
        """Whether the engine can send; None: it is not known yet."""
        return self._intake.listening

    @property
    def results(self) -> Mapping[str, int]:
        """Exports, by what became of them."""
        return self._intake.results

    def of_sink(self, name: str) -> SpansState | None:
        """How spans do at a sink; None: it wants none."""
        return next((one.state for one in self._sinks if one.name == name), None)

    async def run(self) -> None:
        """Take and pass on until `end`."""
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(self._intake.serve())
            passing = [group.create_task(one.run()) for one in self._sinks]
            while not self._ended:
                self._intake.wake.clear()
                await self._pass_all_on()
                if not self._ended:
                    await self._intake.wake.wait()
            serving.cancel()
            await self._pass_all_on()
            for one in self._sinks:
                one.end(self._within)
            await asyncio.gather(*passing)

    async def _pass_all_on(self) -> None:
        while (body := self._intake.next()) is not None:
            await self._pass_on(body)

    async def _pass_on(self, body: bytes) -> None:
        try:
            export = await asyncio.to_thread(self._looked_at, body)
        except WeightError as error:
            self._intake.results[error.why] += 1
        except DecodeError:
            self._intake.results["malformed"] += 1
        except Exception:  # noqa: BLE001 - what cannot be judged is not passed on
            self._intake.results["fault"] += 1
        else:
            for one in self._sinks if export.spans else ():
                one.put(export)

    def _looked_at(self, body: bytes) -> Waiting:
        """What of an export is passed on."""
        spans = spans_in(body)
        if self._allowed is None:
            ExportTraceServiceRequest.FromString(body)
            return Waiting(body, spans)
        kept = self._allowed.of(ExportTraceServiceRequest.FromString(body))
        count = sum(len(some.spans) for one in kept.resource_spans for some in one.scope_spans)
        return Waiting(kept.SerializeToString(), count)

    def end(self, within_seconds: float) -> None:
        """Take nothing more; send what waits, within a time."""
        self._ended, self._within = True, within_seconds
        self._intake.wake.set()

    async def close(self) -> None:
        """Let go of connections; after `run`."""
        for one in self._sinks:
            await one.close()
