"""Hands the metrics over now and then, where a sink wants them; and once more at the end.

Nothing waits for it, and a fault of it is told and harms nobody.
"""

import asyncio
import logging
import time

from sidelight_contract.export import metrics_seconds
from sidelight_sidecar.observer.capture.child import CaptureChild
from sidelight_sidecar.observer.capture.snapshot import snapshot_of
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.records.handover import encode

LOOK_SECONDS = 0.5
MAX_BYTES = 4 << 20
"""Of a snapshot. Default 4 MiB: labels are bounded so that it is not a quarter of that, and it is
not to take the room of exchanges."""

log = logging.getLogger("sidelight.observer")


class Measuring:
    """Of one observer."""

    def __init__(self, pipeline: Pipeline, child: CaptureChild) -> None:
        self._pipeline = pipeline
        self._child = child
        child.last_words = self.message

    @property
    def seconds(self) -> float | None:
        """How often; None: no sink wants metrics."""
        return metrics_seconds(self._pipeline.config.export)

    def message(self) -> bytes:
        """All metrics now; empty: no sink wants them, or they are too much."""
        if self.seconds is None:
            return b""
        try:
            message = encode(snapshot_of(self._pipeline, time.time_ns()))
        except Exception as error:  # noqa: BLE001 - see the module
            fields = {"error": type(error).__name__}
            log.error("metrics_not_sent", extra={"fields": fields})  # noqa: TRY400
            return b""
        if len(message) > MAX_BYTES:
            log.error("metrics_too_large", extra={"fields": {"bytes": len(message)}})
            return b""
        return message

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(LOOK_SECONDS if self.seconds is None else self._wait(last))
            if self.seconds is None or not self._child.running:
                last = loop.time()
            elif loop.time() - last >= self.seconds:
                last = loop.time()
                self._child.pass_on(self.message())

    def _wait(self, last: float) -> float:
        """Seconds until it is time, but look at the configuration meanwhile."""
        assert self.seconds is not None
        left = last + self.seconds - asyncio.get_running_loop().time()
        return min(max(left, 0.0), LOOK_SECONDS)
