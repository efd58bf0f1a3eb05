"""What the controller needs of a pod, so that the raw object can be let go at once.

Five thousand raw pods are some 150 MB; as `PodView` they are a few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sidelight_contract import names
from sidelight_contract.injection import InjectionRecord, decode_record
from sidelight_contract.names import Reason
from sidelight_operator.attach.plan import Candidate
from sidelight_operator.attach.taps import Tap
from sidelight_operator.controller.declared import NOTHING, Declared, declared_of
from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.version import (
    digest_of,
    engine_container,
    engine_image,
    version_of,
)
from sidelight_operator.inject.gpu import asks_for_gpu
from sidelight_operator.inject.owner import workload_of
from sidelight_operator.kube import Json


@dataclass(frozen=True, slots=True)
class Injection:
    """What the annotation of an injected pod says; empty where it cannot be read."""

    mode: str = ""
    mode_reason: str = ""
    mode_message: str = ""
    engine: str = ""
    container: str = ""
    config_hash: str = ""
    gpu: str = ""
    """Why its sidecar gets to no driver, where it is to (a `Reason`)."""
    gpu_message: str = ""
    image: str = ""
    """Of the sidecar."""
    previous_image: str = ""
    """Of the sidecar, before it was changed while the pod ran."""
    admin_port: int = names.ADMIN_PORT
    """Where the sidecar is asked for its summary."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not observed, and what to do."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Target:
    """What injection would give a pod today."""

    config_hash: str
    image: str


@dataclass(frozen=True, slots=True)
class PodView:
    """A selected pod. `model` is the ObservedModel it was injected for, "" when it was not."""

    name: str
    uid: str
    ip: str
    phase: str
    created: datetime
    model: str
    sidecar_ready: bool
    injection: Injection
    image: str
    version: str
    """"" while its engine has not started and no label names one (`version.py`)."""
    refusal: Refusal | None = None
    """Why it was not injected; None when it was."""
    workload: str = ""
    """Who makes pods like it, such as `deployment/chat`; "" for nobody."""
    ready: bool = False
    """Whether it is ready to serve, by its Ready condition."""
    never_ready: bool = False
    """Whether it was not ready even once."""
    trouble: Refusal | None = None
    """Why it does not start, when that is because of Sidelight."""
    resource_version: str = ""
    target: Target | None = None
    """What it would be given today; None when it would be left alone."""
    annotation: str = ""
    """The record of its injection, as it is written on it; kept where it may be rewritten."""
    labels: Mapping[str, str] | None = None
    """Kept where it may be disrupted without its workload."""

    @property
    def outdated(self) -> bool:
        """Whether it carries a sidecar that would be another one today."""
        if not self.model or self.tap is not None or self.target is None:
            return False
        return self.target != Target(self.injection.config_hash, self.injection.image)

    @property
    def image_outdated(self) -> bool:
        """Whether its sidecar's image is all that would be another one today."""
        known = self.target is not None and bool(self.injection.config_hash)
        same = known and self.target == Target(self.injection.config_hash, self.target_image)
        return self.outdated and same

    @property
    def target_image(self) -> str:
        """The image that its sidecar would have today; "" for a pod that would have none."""
        return self.target.image if self.target else ""

    node: str = ""
    """Where it runs."""
    tap: Tap | None = None
    """The ephemeral container that observes it, of whatever ObservedModel."""
    gpu: bool = False
    """Whether it asks for accelerators."""
    candidate: Candidate | None = None
    """What would be attached to it."""
    image_digest: str = ""
    """The start of the digest of its engine's image."""
    declared: Declared = NOTHING
    """What its spec says of its engine, where that is known; pods that say the same share it."""


def is_selected(pod: Json) -> bool:
    """Whether a matching pod counts: it has neither ended nor begun to end."""
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not ended and "deletionTimestamp" not in pod["metadata"]


def is_injected(pod: Json) -> bool:
    """Whether it carries a sidecar."""
    return (pod["metadata"].get("labels") or {}).get(names.LABEL_INJECTED) == "true"


def view_pod(
    pod: Json,
    version_labels: Sequence[str],
    refusal: Refusal | None = None,
    injection: Injection | None = None,
) -> PodView:
    """`pod` as the controller keeps it; what its troubles are is told by `trouble.py`, and of taps
    by `tapped.py`.
    """
    metadata, status = pod["metadata"], pod.get("status", {})
    labels = metadata.get("labels") or {}
    injection = injection or _injection(metadata)
    container = engine_container(pod, injection.container)
    return PodView(
        name=metadata["name"],
        uid=metadata["uid"],
        ip=status.get("podIP", ""),
        phase=status.get("phase", "Unknown"),
        created=parse_time(metadata["creationTimestamp"]),
        model=labels.get(names.LABEL_MODEL, "") if is_injected(pod) else "",
        sidecar_ready=_sidecar_ready(status),
        injection=injection,
        image=engine_image(pod, injection.container),
        version=version_of(pod, injection.container, version_labels),
        refusal=refusal,
        workload=workload_of(metadata),
        ready=is_ready(status),
        resource_version=metadata.get("resourceVersion", ""),
        node=pod.get("spec", {}).get("nodeName", ""),
        gpu=asks_for_gpu(pod.get("spec") or {}, container),
        image_digest=digest_of(pod, injection.container),
        declared=declared_of(container, injection.engine, labels),
    )


def is_ready(status: Json) -> bool:
    """Whether the status of a pod says that it is ready to serve."""
    conditions = status.get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _injection(metadata: Json) -> Injection:
    record = decode_record((metadata.get("annotations") or {}).get(names.ANNOTATION_INJECTION, ""))
    if record is None:
        return Injection()  # a label without our annotation: its owner's doing
    return injection_of(record)


def injection_of(record: InjectionRecord) -> Injection:
    """What is kept of a record."""
    return Injection(
        mode=record.mode,
        mode_reason=record.mode_reason,
        mode_message=record.mode_message,
        engine=record.engine,
        container=record.container,
        config_hash=record.config_hash,
        gpu=record.gpu,
        gpu_message=record.gpu_message,
        image=record.image,
        previous_image=record.previous_image,
        admin_port=record.admin_port,
    )


def _sidecar_ready(status: Json) -> bool:
    """Native sidecars are listed among the init containers, on older clusters among the others."""
    lists = (status.get("initContainerStatuses"), status.get("containerStatuses"))
    return any(
        item["name"] == names.SIDECAR_CONTAINER and bool(item.get("ready"))
        for statuses in lists
        for item in statuses or ()
    )
