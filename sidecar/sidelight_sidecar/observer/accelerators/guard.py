"""A mistake of Sidelight's own in figures of devices ends these figures alone: it is logged once,
and everything else goes on.
"""

import logging
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sidelight_contract.gpu import GpuSource
from sidelight_contract.names import Reason
from sidelight_sidecar.observer.accelerators.source import SourceState
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import Exchange

Result = TypeVar("Result")
BROKEN = SourceState(
    GpuSource.AUTO, fresh=False, reason=Reason.GPU_STALE,
    message="an error of Sidelight's own ended figures of GPUs; the sidecar's log has it",
)  # fmt: skip

log = logging.getLogger("sidelight.observer")


class Guard:
    """Calls until the first error.

    Attributes:
        broken: there was one.
    """

    def __init__(self) -> None:
        self.broken = False

    def call(self, work: Callable[[], Result], otherwise: Result) -> Result:
        """What `work` returns; after an error, `otherwise` for good."""
        if self.broken:
            return otherwise
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - see the module
            self.breaks(error)
            return otherwise

    def breaks(self, error: Exception) -> None:
        """There was an error."""
        self.broken = True
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        frame = traceback.extract_tb(error.__traceback__)[-1:]
        where = f"{Path(frame[0].filename).name}:{frame[0].lineno}" if frame else ""
        fields = {"error": type(error).__name__, "where": where}
        log.error("gpu_figures_ended", extra={"fields": fields})


class Guarded(Consumer):
    """Passes on to a consumer until there is an error."""

    def __init__(self, guard: Guard, consumer: Consumer) -> None:
        self._guard = guard
        self._consumer = consumer

    def started(self, exchange: Exchange) -> None:
        """Pass on."""
        self._guard.call(lambda: self._consumer.started(exchange), None)

    def finished(self, exchange: Exchange) -> None:
        """Pass on."""
        self._guard.call(lambda: self._consumer.finished(exchange), None)

    def counted(self, exchange: Exchange) -> None:
        """Pass on."""
        self._guard.call(lambda: self._consumer.counted(exchange), None)

    def dropped(self, exchange: Exchange) -> None:
        """Pass on."""
        self._guard.call(lambda: self._consumer.dropped(exchange), None)


class GuardedWithOutput(Guarded):
    """The same for one that is told of output: for every few chunks of every stream."""

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Pass on."""
        if not self._guard.broken:
            try:
                self._consumer.arrived(exchange, gaps)
            except Exception as error:  # noqa: BLE001 - see the module
                self._guard.breaks(error)
