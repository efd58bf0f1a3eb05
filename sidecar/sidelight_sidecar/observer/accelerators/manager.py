"""Which source of device figures is read now: started, changed and ended as it is configured.

Rules:
1. `Auto` is an exporter that was told of, DCGM's before AMD's, and never the driver itself. Where
   nobody told of any, and with `None`, nothing is started, and nothing is told.
2. NVML that may see all of a node's devices reads only those that are the pod's: by their UUIDs in
   the environment, else by an exporter that was told of, which is read until it has named them. A
   pod that shares a claim sees no others, whatever its model's pods may.
3. A change of the configuration, or of what is told, ends one source before it starts another.
4. An error of Sidelight's own ends figures of devices for good, is logged once, and harms nothing
   else.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import msgspec

from sidelight_contract.gpu import GpuSettings, GpuSource
from sidelight_contract.names import Reason
from sidelight_sidecar.observer.accelerators.guard import BROKEN
from sidelight_sidecar.observer.accelerators.source import AcceleratorSource, Sample, SourceState
from sidelight_sidecar.observer.accelerators.telling import KIND_OF, KINDS, Addresses, Told
from sidelight_sidecar.observer.pipeline import Pipeline

log = logging.getLogger("sidelight.observer")

LOOK_SECONDS = 0.5
END_SECONDS = 3.0
"""How long a source may take to end; what takes longer is left alone."""
_SOURCE_OF = {kind: source for source, kind in KIND_OF.items()}


class Choice(NamedTuple):
    """What is to be read."""

    source: GpuSource
    """DCGM, AMD or NVML."""
    address: str = ""
    """Of an exporter."""
    visible_all: bool = False
    own: tuple[str, ...] = ()
    """UUIDs of the pod's devices, where NVML sees all."""
    shared: bool = False
    """Other pods use them, too: the driver itself does not tell."""


Starter = Callable[[Choice], AcceleratorSource]


def choose(
    settings: GpuSettings,
    told: Addresses | None,
    own: tuple[str, ...],
    *,
    shared: bool = False,
) -> Choice | None:
    """What is to be read; None: nothing."""
    source = GpuSource(settings.source)
    if source is GpuSource.NVML:
        visible_all = settings.unsafe_visible_all
        named = own if visible_all else ()
        return Choice(source, visible_all=visible_all, own=named, shared=shared)
    kinds = KINDS if source is GpuSource.AUTO else (KIND_OF.get(source, ""),)
    for kind in kinds:
        if kind in (told or {}):
            return Choice(_SOURCE_OF[kind], (told or {})[kind])
    return None


def why_nothing(settings: GpuSettings, told: Addresses | None) -> SourceState | None:
    """Why nothing is read; None: nothing is to be, as far as is known."""
    source = GpuSource(settings.source)
    if source is GpuSource.NONE or (source is GpuSource.AUTO and told is None):
        return None
    if told is None:
        message = "nobody has told where the node's exporter is, or not lately"
        return SourceState(source, fresh=False, reason=Reason.GPU_SOURCE_STARTING, message=message)
    message = "there is no exporter on the node"
    return SourceState(source, fresh=False, reason=Reason.NO_EXPORTER_FOUND, message=message)


class Manager:
    """See the module.

    Args:
        pipeline: whose configuration is in force, and that takes samples.
        told: where exporters are.
        own: UUIDs of the pod's devices, where its environment has them.
        claimed: whether it sees its pod's devices alone, by a claim.
        shared: whether that claim is one that other pods may have, too.
        start: makes a source.
        now_ns: the frames' clock.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        told: Told,
        own: tuple[str, ...],
        start: Starter,
        now_ns: Callable[[], int],
        *,
        claimed: bool = False,
        shared: bool = False,
    ) -> None:
        self._pipeline = pipeline
        self._told = told
        self._own = own
        self._claimed = claimed
        self._shared = shared
        self._named: tuple[str, ...] = ()
        self._start = start
        self._now_ns = now_ns
        self._current: Choice | None = None
        self._source: AcceleratorSource | None = None
        self._task: asyncio.Task[None] | None = None
        self._helper: AcceleratorSource | None = None
        self._helper_task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until cancelled, or an error of our own."""
        guard = self._pipeline.gpu_guard
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    while not guard.broken:
                        await self.step(group)
                        await asyncio.sleep(LOOK_SECONDS)
                finally:  # before a source takes its time to end: the capture process ends, too
                    self._pipeline.settle_no_records()
                await self._stop()
        except Exception as error:  # noqa: BLE001 - see the module
            guard.breaks(error)
        finally:
            with suppress(Exception):
                self._pipeline.devices_silent(BROKEN if guard.broken else None)

    async def step(self, group: asyncio.TaskGroup) -> None:
        """Do what is due."""
        settings, told = self._pipeline.config.gpu, self._told.now()
        if self._claimed:
            settings = msgspec.structs.replace(settings, unsafe_visible_all=False)
        self._pipeline.accelerators.words_refused = self._told.refused
        choice = choose(settings, told, self._own or self._named, shared=self._shared)
        if choice != self._current:
            await self._change(choice, group)
        if self._source is None:
            state = why_nothing(settings, told)
            if state != self._pipeline.accelerators.state:
                self._pipeline.devices_silent(state)
            return
        self._pipeline.devices_said(self._source.take(), self._source.state, self._now_ns())
        more = True
        while more:
            await asyncio.sleep(0)  # some milliseconds at a time: frames wait for nobody
            more = self._pipeline.accelerators.energy.step(self._now_ns())
        if choice is not None and choice.visible_all and not choice.own:
            self._look_for_names(told or {}, group)

    async def _change(self, choice: Choice | None, group: asyncio.TaskGroup) -> None:
        await self._stop()
        self._current = choice
        fields = {"source": choice.source.value if choice is not None else "none"}
        log.info("gpu_source", extra={"fields": fields})
        if choice is not None:
            self._source = self._start(choice)
            self._pipeline.accelerators.begin(self._source.state)
            self._task = group.create_task(self._source.run())

    async def _stop(self) -> None:
        """End what runs."""
        tasks = {task for task in (self._task, self._helper_task) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=END_SECONDS)
        self._source = self._task = self._helper = self._helper_task = None

    def _look_for_names(self, told: Addresses, group: asyncio.TaskGroup) -> None:
        """Have an exporter name the pod's devices; the next step reads them."""
        kind = KINDS[0]
        if self._helper is None:
            if kind in told:
                self._helper = self._start(Choice(_SOURCE_OF[kind], told[kind]))
                self._helper_task = group.create_task(self._helper.run())
            return
        samples = self._helper.take()
        self._named = names_in(samples)
        self._shared |= any(sample.device.shared for sample in samples)


def names_in(samples: list[Sample]) -> tuple[str, ...]:
    """UUIDs of the devices, each once."""
    return tuple(sorted({sample.device.uuid for sample in samples}))
