"""What is asked of the engine itself, off the path: its queue, its tokenizer, who it is.

One question at a time, whoever has it. A fault ends the questions of its kind and nothing else:
without those of queue and tokenizer tokens are estimates, without the others no identity is told.
"""

import logging
from collections.abc import Callable

from sidelight_sidecar.observer.engine.client import EngineClient
from sidelight_sidecar.observer.engine.known import Known, KnownEngine
from sidelight_sidecar.observer.engine.worker import EngineWorker
from sidelight_sidecar.observer.identity.reader import IdentityReader, WeightsFiles
from sidelight_sidecar.observer.pipeline import Pipeline

log = logging.getLogger("sidelight.observer")


class Asking:
    """All questions to the engine of one pipeline.

    Args:
        pipeline: gets what comes of them.
        client: asks.
        known: what is known of the engine.
        now_ns: the frames' clock.
        unix: seconds of the day.
        files: what came of reading the weights' files; returns at once.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        client: EngineClient,
        known: Known,
        *,
        now_ns: Callable[[], int],
        unix: Callable[[], float],
        files: Callable[[], WeightsFiles] = WeightsFiles,
    ) -> None:
        self._pipeline = pipeline
        self._counts = self._identifies = True
        self.worker = EngineWorker(
            KnownEngine(client, known),
            pipeline.counter,
            now_ns,
            pipeline.read_queue,
            pipeline.engine_said,
        )
        self.reader = IdentityReader(
            client,
            self.worker,
            pipeline.engine_watch,
            now_ns=now_ns,
            unix=unix,
            files=files,
        )

    async def step(self) -> None:
        """Do what is due."""
        if self._counts:
            try:
                await self._count()
            except Exception as error:  # noqa: BLE001 - see above
                self._counts = False
                self.worker.allow(tokenizer=False)
                self._pipeline.context.keep_text = False
                self._pipeline.counter.stop_waiting()
                _log_end("tokenizer", error)
        if self._identifies:
            try:
                await self._identify()
            except Exception as error:  # noqa: BLE001 - see above
                self._identifies = False
                _log_end("identity", error)

    async def _count(self) -> None:
        pipeline, worker = self._pipeline, self.worker
        worker.allow(tokenizer=pipeline.config.tokenizer == "Auto")
        pipeline.context.keep_text = not worker.hopeless
        await worker.step(pipeline.flows.engine_address, in_flight=pipeline.tally.in_flight)

    async def _identify(self) -> None:
        pipeline = self._pipeline
        await self.reader.step(
            pipeline.flows.engine_address,
            engine=pipeline.context.engine,
            restarts=pipeline.engine_restarts,
        )
        if (identity := self.reader.identity()) != pipeline.identity:
            pipeline.identity = identity


def _log_end(kind: str, error: Exception) -> None:
    """The kind of the error alone, for its message could hold what passed."""
    fault = {"kind": kind, "error": type(error).__name__}
    log.error("engine_questions_ended", extra={"fields": fault})
