"""Which exporter of GPU figures is on which node.

Rules:
1. They are asked of the API server at most every `FRESH_SECONDS`, all models together, and only
   while there are pods with GPUs; a node gets or loses an exporter seldom. A request that fails
   changes nothing and ends no round.
2. An exporter counts while it runs and is ready. Of several on a node the first rule's is taken, of
   one rule's the newest: that is the one which is being rolled out.
3. What is told to sidecars is an address as the API server has it and a port of the installation's:
   nothing that a pod may write itself.
"""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from sidelight_contract.gpu import GpuSource
from sidelight_contract.spec_gpu import Gpu
from sidelight_operator.controller.pods import is_ready, is_selected
from sidelight_operator.kube import Json, KubeClient, KubeError

logger = logging.getLogger("sidelight.controller")

FRESH_SECONDS = 30.0
LOOK_SECONDS = 5.0
"""For all of it, for a round waits: what was not read by then is asked for another time."""
_PATIENCE = 2
"""Looks that fail before it is said that there is nothing, as far as can be seen."""
NO_EXPORTER = "none"
"""Told where there is none on the pod's node."""
MAX_RULES = 16
_KINDS: Mapping[GpuSource, tuple[str, ...]] = {
    GpuSource.AUTO: ("dcgm", "amd"),
    GpuSource.DCGM: ("dcgm",),
    GpuSource.AMD: ("amd",),
    GpuSource.NVML: ("dcgm",),
    GpuSource.NONE: (),
}
"""Which kinds a source reads, the first before the second. NVML: where the sidecar sees all devices
of its node, the exporter tells which are the pod's."""


def asks_exporters(gpu: Gpu) -> bool:
    """Whether sidecars are to be told of exporters."""
    through_driver = gpu.source is GpuSource.NVML and not gpu.nvml.unsafe_visible_all
    return bool(_KINDS[gpu.source]) and not through_driver


class ExporterRule(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"selector": "labelSelector"}
):
    """By what exporters of one kind are known: an entry of the chart's `gpu.exporters`."""

    kind: Literal["dcgm", "amd"]
    selector: str
    """A label selector, as kubectl's `-l` has it."""
    port: int
    namespace: str = ""
    """Empty: any, or any that is watched."""


def parse_rules(text: str) -> tuple[ExporterRule, ...]:
    """The rules in a JSON list.

    Raises:
        ValueError: it is none.
    """
    try:
        found = msgspec.json.decode(text, type=tuple[ExporterRule, ...])
    except msgspec.DecodeError as error:
        raise ValueError(f"not a list of exporters: {error}") from error
    for rule in found:
        if not rule.selector or not 0 < rule.port < 1 << 16:
            raise ValueError("each exporter needs a labelSelector and a port from 1 to 65535")
    if len(found) > MAX_RULES:
        raise ValueError(f"{len(found)} exporters; at most {MAX_RULES} are looked for")
    return found


@dataclass(frozen=True, slots=True)
class _Found:
    """An exporter, and its place among those of its node: the largest is taken."""

    order: tuple[int, str, str]
    address: str


class Exporters:
    """Remembers what was found, by node and kind."""

    def __init__(
        self,
        kube: KubeClient,
        rules: Sequence[ExporterRule],
        namespaces: Sequence[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._kube = kube
        self._rules = rules
        self._namespaces = namespaces
        self._monotonic = monotonic
        self._count_failure = failed
        self._due = float("-inf")
        self._known: dict[tuple[int, str], dict[tuple[str, str], _Found]] = {}
        """By rule and namespace, which are asked for and fail one by one; None was asked yet."""
        self._nodes: dict[tuple[str, str], _Found] = {}
        self._failed = 0
        """Looks in a row that were not whole."""
        self.problem = ""
        """Why the last look was not whole; empty: it was."""

    async def refresh(self) -> None:
        """Look again, if it is time. Raises nothing."""
        if self._monotonic() < self._due:
            return
        self._due = self._monotonic() + FRESH_SECONDS
        problem = ""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                for place, rule in enumerate(self._rules):
                    for namespace in self._places(rule):
                        problem = await self._look_again(place, rule, namespace) or problem
        except TimeoutError:
            problem = f"pods were not listed within {LOOK_SECONDS:g} s"
        except Exception as error:  # a fault of ours must not end the round of a model
            problem = type(error).__name__
            logger.exception("exporters not listed")
        self._failed = self._failed + 1 if problem else 0
        if problem:
            self._count_failure()
        self.problem = problem
        nodes: dict[tuple[str, str], _Found] = {}
        for found in self._known.values():
            _keep_best(nodes, found)
        self._nodes = nodes

    async def _look_again(self, place: int, rule: ExporterRule, namespace: str) -> str:
        """Why it failed; empty: it did not."""
        try:
            self._known[place, namespace] = await self._look(place, rule, namespace)
        except KubeError as error:
            logger.warning(
                "exporters not listed", extra={"selector": rule.selector, "error": str(error)}
            )
            return str(error)
        return ""

    def told(self, node: str, gpu: Gpu) -> str:
        """What a sidecar on `node` is to be told; empty: nothing, for nobody asks or nothing is
        known yet.
        """
        if not node or not asks_exporters(gpu):
            return ""
        for kind in _KINDS[gpu.source]:
            if (found := self._nodes.get((node, kind))) is not None:
                return f"{kind}={found.address}"
        return NO_EXPORTER if self._whole() or self._failed >= _PATIENCE else ""

    def _whole(self) -> bool:
        """Whether all that is to be looked for was looked for once: before, `none` may be wrong."""
        return all(
            (place, namespace) in self._known
            for place, rule in enumerate(self._rules)
            for namespace in self._places(rule)
        )

    def _places(self, rule: ExporterRule) -> Sequence[str]:
        return (rule.namespace,) if rule.namespace else self._namespaces or ("",)

    async def _look(
        self, place: int, rule: ExporterRule, namespace: str
    ) -> dict[tuple[str, str], _Found]:
        found: dict[tuple[str, str], _Found] = {}
        async for pod in self._kube.list_exporters(namespace, rule.selector):
            _keep_best(found, dict(_exporter(place, rule, pod)))
        return found


def _keep_best(
    nodes: dict[tuple[str, str], _Found], more: Mapping[tuple[str, str], _Found]
) -> None:
    for key, found in more.items():
        if key not in nodes or found.order > nodes[key].order:
            nodes[key] = found


def _exporter(
    place: int, rule: ExporterRule, pod: Json
) -> Iterator[tuple[tuple[str, str], _Found]]:
    metadata, status = pod["metadata"], pod.get("status") or {}
    node = (pod.get("spec") or {}).get("nodeName")
    if not node or status.get("phase") != "Running" or not is_selected(pod) or not is_ready(status):
        return
    try:
        address = ipaddress.ip_address(str(status.get("podIP")))
    except ValueError:
        return
    host = f"[{address}]" if address.version == 6 else str(address)
    order = (-place, str(metadata.get("creationTimestamp")), str(metadata.get("name")))
    yield (node, rule.kind), _Found(order, f"{host}:{rule.port}")
