"""A source that reads the exporter on the pod's node.

Rules:
1. It reads whom it was told of: the operator knows the node's exporter and says so with each
   request for the summary. Until then, and when it is told that there is none, it waits.
2. Every `READ_SECONDS`, a little more or less so that the pods of a node do not come at once; one
   read at a time, and less often where an answer is large. An exporter collects more rarely: what
   becomes a sample is for `exporter_pace` to say.
3. An answer is read in small pieces, between which others have their turn; only the rows of this
   pod are kept.
4. An answer that is not whole tells nothing: a device whose rows did not come yet would be missing.
5. A failure is told when it lasts: figures stay fresh for three of the exporter's periods. Counters
   are passed on as they are, an exporter's restart included.
"""

import asyncio
import random
import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, Literal, NamedTuple

from sidelight_contract.gpu import GpuSource
from sidelight_contract.names import Reason
from sidelight_sidecar.observer.accelerators.amd import Amd
from sidelight_sidecar.observer.accelerators.dcgm import Dcgm
from sidelight_sidecar.observer.accelerators.exporter_client import ExporterClient, ExporterError
from sidelight_sidecar.observer.accelerators.exporter_pace import Pace
from sidelight_sidecar.observer.accelerators.exporter_rows import Vendor
from sidelight_sidecar.observer.accelerators.exporter_text import (
    MAX_TEXT_BYTES,
    ExporterText,
    Scrape,
)
from sidelight_sidecar.observer.accelerators.source import Sample, SourceState

READ_SECONDS: Final = 5.0
"""A collection is found at most so late; the exporter asks the kubelet at each read, so not more
often."""
LARGE_BYTES: Final = 4 << 20
LARGE_READ_SECONDS: Final = 15.0
"""After an answer that large: half the exporter's usual period."""
JITTER: Final = 0.1
"""Share of the pause by which it is longer or shorter."""
STALE_SECONDS: Final = 90.0
"""Three periods of dcgm-exporter as it comes."""
STALE_PERIODS: Final = 3
UNTOLD_SECONDS: Final = 60.0
"""The operator asks each sidecar every 10 s or so."""
KEPT_SAMPLES: Final = 1024
"""For whoever takes them: eight devices for ten minutes."""
Kind = Literal["dcgm", "amd"]
_VENDORS: Final[dict[str, tuple[GpuSource, Vendor]]] = {
    "dcgm": (GpuSource.DCGM, Dcgm()),
    "amd": (GpuSource.AMD, Amd()),
}
_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
_TOLD: Final = (
    "utilization", "sm_active", "tensor_active", "dram_active", "memory_used_bytes", "power_watts",
    "energy_joules", "temperature_celsius", "clock_hertz", "clock_events", "throttled_seconds",
    "ecc_errors", "nvlink_bytes", "pcie_bytes",
)  # fmt: skip
"""Figures that are missed where no device tells them."""


class _Target(NamedTuple):
    source: GpuSource
    vendor: Vendor
    address: str

    def sentence(self, rest: str) -> str:
        """About it."""
        return f"The {self.vendor.named} at {self.address} {rest}."


class _Trouble(NamedTuple):
    reason: Reason
    message: str


class ExporterSource:
    """See the module; an `AcceleratorSource`.

    Args:
        namespace, pod: whose devices are looked for.
        wanted: `DCGM` or `AMD` reads that exporter alone, `Auto` either.
        client: asks it.
        now_ns: the frames' clock.
        chance: from 0 to 1.
        every: seconds from read to read.
    """

    def __init__(
        self,
        namespace: str,
        pod: str,
        wanted: GpuSource,
        client: ExporterClient,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
        chance: Callable[[], float] = random.random,
        every: float = READ_SECONDS,
    ) -> None:
        self._namespace = namespace
        self._pod = pod
        self._wanted = wanted
        self._client = client
        self._now_ns = now_ns
        self._chance = chance
        self._every = every
        self._began_ns = now_ns()
        self._trouble: _Trouble | None = None
        self._changed = asyncio.Event()
        self._untold = True
        self._samples: deque[Sample] = deque(maxlen=KEPT_SAMPLES)
        self._aim(None)

    def tell(self, kind: str | None, address: str = "") -> None:
        """The exporter on this pod's node is there, of the kind `dcgm` or `amd`; None: there is
        none. To be told the same again changes nothing.
        """
        self._untold = False
        source, vendor = _VENDORS.get(kind or "", (GpuSource.NONE, None))
        wanted = self._wanted in {source, GpuSource.AUTO}
        target = None
        if vendor is not None and wanted and _ADDRESS.fullmatch(address):
            target = _Target(source, vendor, address)
        if target != self._target:
            self._aim(target)
            self._changed.set()

    def take(self) -> list[Sample]:
        """See `AcceleratorSource`."""
        taken = list(self._samples)
        self._samples.clear()
        return taken

    @property
    def state(self) -> SourceState:
        """See `AcceleratorSource`."""
        target = self._target
        source = target.source if target else self._wanted
        period = self._pace.period_seconds
        stale_after = max(STALE_SECONDS, STALE_PERIODS * period)
        age = (self._now_ns() - self._newest_ns) / 1e9 if self._newest_ns else None
        fresh = age is not None and age <= stale_after
        trouble = _Trouble(Reason.GPUS_SEEN, "") if fresh else self._why_not(age, stale_after)
        return SourceState(
            source=source,
            fresh=fresh,
            reason=trouble.reason,
            message=trouble.message,
            unsupported=self._unsupported,
            period_seconds=period,
        )

    async def run(self) -> None:
        """See `AcceleratorSource`."""
        while True:
            self._changed.clear()
            if self._target is None:
                await self._changed.wait()
            else:
                pause = await self.read_once() * (1 + JITTER * (2 * self._chance() - 1))
                try:
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def read_once(self) -> float:
        """Read whom it was told of, once; never raises for what the exporter does.

        Returns:
            Seconds until the next read.
        """
        target = self._target
        if target is None:
            return self._every
        text = ExporterText(
            self._namespace, self._pod, target.vendor.identity, target.vendor.marker
        )
        size = 0
        at_ns = 0
        try:
            async with aclosing(self._client.read(target.address)) as pieces:
                async for piece in pieces:
                    at_ns = at_ns or self._now_ns()
                    size += len(piece)
                    text.feed(piece)
                    if size > MAX_TEXT_BYTES:
                        break
                    await asyncio.sleep(0)
        except ExporterError as failed:
            if target is self._target:
                self._trouble = _Trouble(failed.reason, target.sentence(failed.what))
            return self._every
        if target is self._target:  # it was not told otherwise meanwhile
            self._take_in(target, text.finish(), at_ns)
        return self._every if size <= LARGE_BYTES else max(self._every, LARGE_READ_SECONDS)

    def _aim(self, target: _Target | None) -> None:
        self._target = target
        self._pace = Pace()
        self._newest_ns = 0
        self._trouble = None
        self._unsupported: tuple[str, ...] = ()

    def _take_in(self, target: _Target, scrape: Scrape, at_ns: int) -> None:
        self._trouble = self._not_of_use(target, scrape)
        if self._trouble:
            return
        samples = target.vendor.samples(scrape, at_ns)
        if not samples:
            what = "has rows of this pod, and no figure in them that is known"
            self._trouble = _Trouble(Reason.EXPORTER_NOT_UNDERSTOOD, target.sentence(what))
            return
        self._unsupported = tuple(
            name for name in _TOLD if not any(_is_told(getattr(s, name)) for s in samples)
        )
        if new := self._pace.new(samples):
            self._newest_ns = at_ns
            self._samples.extend(new)

    def _not_of_use(self, target: _Target, scrape: Scrape) -> _Trouble | None:
        if scrape.truncated:
            what = f"answers more than {MAX_TEXT_BYTES >> 20} MiB"
            return _Trouble(Reason.EXPORTER_NOT_UNDERSTOOD, target.sentence(what))
        if not scrape.known:
            what = f"answers, and has no metric whose name has {target.vendor.marker} in it"
            return _Trouble(Reason.EXPORTER_NOT_UNDERSTOOD, target.sentence(what))
        if scrape.rows:
            return None
        if scrape.others or scrape.crowded:
            what = "names other pods in its rows, and not this one"
        else:
            what = "names no pod in its rows: it must be told to look for pods"
        return _Trouble(Reason.NO_ROWS_OF_POD, target.sentence(what))

    def _why_not(self, age: float | None, stale_after: float) -> _Trouble:
        """In words that stay while it is so: they are in the status of a model."""
        if self._target is None:
            waited = (self._now_ns() - self._began_ns) / 1e9
            if self._untold and waited < UNTOLD_SECONDS:
                message = "Nobody has told yet which exporter is on this node."
                return _Trouble(Reason.GPU_SOURCE_STARTING, message)
            message = "No exporter is known on this node."
            return _Trouble(Reason.NO_EXPORTER_FOUND, message)
        if self._trouble:
            return self._trouble
        if age is None:
            message = self._target.sentence("was not read yet")
            return _Trouble(Reason.GPU_SOURCE_STARTING, message)
        message = self._target.sentence(
            f"answers, and has repeated the same figures for more than {stale_after:.0f} s"
        )
        return _Trouble(Reason.GPU_STALE, message)


def _is_told(figure: object) -> bool:
    return figure is not None and figure != {}
