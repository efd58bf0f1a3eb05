"""What goes into a decision, and what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sidelight_contract.engines import EngineType
from sidelight_contract.names import InterceptionMode, Reason
from sidelight_contract.spec import ObservedModelSpec

Json = dict[str, Any]
"""A Kubernetes object as it is on the wire."""


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """What matters of a pod's namespace."""

    labels: Mapping[str, str] = field(default_factory=dict)
    limit_ranges: Sequence[Json] = ()
    """Its LimitRanges, as the API has them."""
    quotas: Sequence[Json] = ()
    """Its ResourceQuotas."""


@dataclass(frozen=True, slots=True)
class ObservedModelView:
    """An ObservedModel of the pod's namespace."""

    name: str
    spec: ObservedModelSpec
    breaker: frozenset[str] = frozenset()
    """Workloads that the circuit breaker keeps Sidelight out of, such as `deployment/chat`."""


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """What the installation decides.

    Memory: the relay has 12 MiB, the observer 45 MiB idle and dies at 256 MiB by its own limit, so
    that the container's limit is never what ends the relay. No CPU limit: throttling the relay
    would slow the model's traffic.
    """

    sidecar_image: str
    image_pull_policy: str = "IfNotPresent"
    cpu_request: str = "50m"
    memory_request: str = "96Mi"
    memory_limit: str = "384Mi"
    capture_memory_request: str = "64Mi"
    """More, where `spec.export` has sinks: the capture process has 45 MiB idle."""
    capture_memory_limit: str = "224Mi"
    """The same of the limit; it dies at 192 MiB by its own."""
    nvml_memory: str = "64Mi"
    """More of both, where `spec.gpu.source` is NVML: a process of its own reads the driver."""
    allow_unsafe_visible_all: bool = False
    """Whether an ObservedModel may have sidecars see every GPU of their node."""
    native_sidecar: bool = True
    """Kubernetes 1.29 or later; False: a regular container."""
    pull_secrets: tuple[str, ...] = ()
    """Secrets, in the pods' own namespaces, that the image's registry asks for."""


class Outcome(StrEnum):
    """What becomes of a pod."""

    INJECT = "inject"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether and how a pod is injected, and why."""

    outcome: Outcome
    reason: Reason
    message: str
    """What, where, and what to do, in a sentence for the pod's owner."""
    model: str = ""
    mode: InterceptionMode | None = None
    mode_reason: Reason | None = None
    mode_message: str = ""
    engine: EngineType | None = None
    engine_container: str = ""
    port: int = 0
    weights: str = ""
    """Why weights are not read although it was asked for (a `WeightsState`); empty: none of it."""
    weights_message: str = ""
    """The same in a sentence, or what is mounted for it."""
    gpu: str = ""
    """Why the sidecar gets to no driver, where it is to (a `Reason`); empty: none of it."""
    gpu_message: str = ""
    """The same in a sentence, or by what it may."""
    patched: Json | None = None
    """The whole pod with the sidecar; None when it is left alone."""


class RefusedError(Exception):
    """The pod is left alone, for this reason."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
