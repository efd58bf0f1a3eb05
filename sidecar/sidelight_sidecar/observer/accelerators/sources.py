"""The sources that there are, made as they are chosen. Nothing of them is there before."""

from collections.abc import AsyncGenerator, Callable

from sidelight_contract.gpu import GpuSource
from sidelight_sidecar.observer.accelerators.exporter_client import (
    ExporterClient,
    http_exporter_client,
)
from sidelight_sidecar.observer.accelerators.exporter_reader import ExporterSource
from sidelight_sidecar.observer.accelerators.manager import Choice
from sidelight_sidecar.observer.accelerators.nvml import NvmlSource
from sidelight_sidecar.observer.accelerators.source import AcceleratorSource, Sample, SourceState
from sidelight_sidecar.observer.accelerators.telling import KIND_OF


class _Opened:
    """A client that is there while its source runs."""

    def __init__(self) -> None:
        self.client: ExporterClient | None = None

    def read(self, address: str) -> AsyncGenerator[bytes, None]:
        """See `ExporterClient`."""
        assert self.client is not None
        return self.client.read(address)


class OneExporter:
    """Reads the one exporter that was chosen, with a session of its own; an `AcceleratorSource`."""

    def __init__(self, namespace: str, pod: str, choice: Choice, now_ns: Callable[[], int]) -> None:
        self._opened = _Opened()
        self._reader = ExporterSource(namespace, pod, choice.source, self._opened, now_ns=now_ns)
        self._reader.tell(KIND_OF[choice.source], choice.address)

    async def run(self) -> None:
        """See `AcceleratorSource`."""
        async with http_exporter_client() as client:
            self._opened.client = client
            await self._reader.run()

    def take(self) -> list[Sample]:
        """See `AcceleratorSource`."""
        return self._reader.take()

    @property
    def state(self) -> SourceState:
        """See `AcceleratorSource`."""
        return self._reader.state


def sources_of(
    namespace: str, pod: str, now_ns: Callable[[], int]
) -> Callable[[Choice], AcceleratorSource]:
    """What makes the sources of a pod."""

    def start(choice: Choice) -> AcceleratorSource:
        if choice.source is GpuSource.NVML:
            return NvmlSource(
                choice.own,
                visible_all=choice.visible_all,
                shared=choice.shared,
                now_ns=now_ns,
            )
        return OneExporter(namespace, pod, choice, now_ns)

    return start
