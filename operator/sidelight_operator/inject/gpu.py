"""How the sidecar gets to the driver's library, where `spec.gpu.source` is NVML.

Rules:
1. It never asks for a device: a request of `nvidia.com/gpu` would take one from the model. It
   shares the claim that the engine has (dynamic resource allocation): the same devices, no others,
   and no quota counts them twice, for quotas count claims and not who shares them.
2. Where there is none, the pod is injected all the same, and the record says why nothing is read.
3. Past the scheduler's account (`unsafeVisibleAll`, with the installation's consent) the sidecar
   alone is given the variable that NVIDIA's runtime reads. The pod's `runtimeClassName` is never
   set: it is the whole pod's, CUDA's base images have `NVIDIA_VISIBLE_DEVICES=all` baked in, which
   the pod's spec does not show, and each such container would gain every GPU of the node. A pod
   that has the class has it by its owner's will, and without one the node's own default counts;
   in neither case any other container sees more than before.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sidelight_contract import names
from sidelight_contract.gpu import GpuSource
from sidelight_contract.names import Reason
from sidelight_contract.spec_gpu import Gpu
from sidelight_operator.inject.environment import Environment
from sidelight_operator.inject.types import InjectionSettings, Json

NOTHING = "void"
"""What `NVIDIA_VISIBLE_DEVICES` is for who is to see no device, whatever the runtime does."""
_UUID = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z][0-9A-Za-z/-]{7,98}")
_MAX_UUIDS = 64


@dataclass(frozen=True, slots=True)
class GpuAccess:
    """What the sidecar is given for reading the driver; as it stands: nothing, for nobody asks."""

    asked: bool = False
    """Whether it runs the process that reads the driver, which takes memory."""
    claims: tuple[Json, ...] = ()
    """Its entries of `resources.claims`."""
    claim_of_many: bool = False
    """One of these claims has a name: other pods may have it, and its devices, too."""
    visible: str = NOTHING
    """Its `NVIDIA_VISIBLE_DEVICES`."""
    uuids: tuple[str, ...] = ()
    """The engine's devices, where the pod's spec tells them."""
    reason: str = ""
    """Why it gets to no driver, a `Reason`; empty: it may, or nobody asks."""
    message: str = ""
    """The same in a sentence, or by what it may."""

    def environment(self) -> list[Json]:
        """What the sidecar's environment gets, besides `NVIDIA_VISIBLE_DEVICES`."""
        found = []
        if self.claims:
            value = names.CLAIM_OF_MANY if self.claim_of_many else "shared"
            found.append({"name": names.GPU_CLAIM_VARIABLE, "value": value})
        if self.visible != NOTHING:
            # `utility`: the library and nothing of CUDA. Device files come all the same.
            found.append({"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"})
        if self.uuids:
            found.append({"name": names.GPU_UUIDS_VARIABLE, "value": ",".join(self.uuids)})
        return found

    def resources(self, resources: Json) -> Json:
        """The sidecar's resources with its claims."""
        return {**resources, "claims": list(self.claims)} if self.claims else resources


NONE_ASKED = GpuAccess()


def gpu_of(pod: Json, container: Json, gpu: Gpu, settings: InjectionSettings) -> GpuAccess:
    """What reading the devices of the engine in `container` takes."""
    if gpu.source is not GpuSource.NVML:
        return NONE_ASKED
    claims = tuple(_claims(pod, container, gpu.nvml.claim))
    if claims:
        which = ", ".join(sorted({str(entry["name"]) for entry in claims}))
        return GpuAccess(
            asked=True,
            claims=claims,
            claim_of_many=_of_many(pod, {entry["name"] for entry in claims}),
            message=f"device claim {which} is shared",
        )
    if gpu.nvml.unsafe_visible_all and settings.allow_unsafe_visible_all:
        if not asks_for_gpu(pod["spec"], container):  # whatever it would see is another's
            return GpuAccess(
                asked=True, message="the pod asks for no GPU, so its sidecar sees none"
            )
        return _past_the_account(pod, container)
    if gpu.nvml.unsafe_visible_all:
        return GpuAccess(
            asked=True, reason=Reason.VISIBLE_ALL_NOT_ALLOWED.value, message=NOT_ALLOWED
        )
    wanted = f"claim {gpu.nvml.claim}" if gpu.nvml.claim else "device claim"
    message = (
        f"the pod has no {wanted} (dynamic resource allocation) that the sidecar could share with "
        f"container {container.get('name')}; use one, or source DCGM"
    )
    return GpuAccess(asked=True, reason=Reason.NO_DEVICE_CLAIM.value, message=message)


NOT_ALLOWED = (
    "gpu.nvml.unsafeVisibleAll is not allowed by this installation (chart value "
    "gpu.allowUnsafeVisibleAll), and there is no device claim to share"
)
_NO_GPU = "the pod asks for no GPU, so its sidecar sees none"


def _claims(pod: Json, container: Json, wanted: str) -> Iterator[Json]:
    """The entries to share: the engine's own, or of the one that is named the engine's, else the
    whole. What the pod does not define is left out: the API server would refuse the pod.
    """
    defined = {entry.get("name") for entry in pod["spec"].get("resourceClaims") or ()}
    own = [
        {key: entry[key] for key in ("name", "request") if entry.get(key)}
        for entry in (container.get("resources") or {}).get("claims") or ()
        if entry.get("name") in defined
    ]
    if not wanted:
        yield from own
    elif named := [entry for entry in own if entry["name"] == wanted]:
        yield from named
    elif wanted in defined:
        yield {"name": wanted}


def _of_many(pod: Json, claims: Collection[object]) -> bool:
    """Whether one of them is no claim made of a template, for this pod alone."""
    return any(
        entry.get("resourceClaimName")
        for entry in pod["spec"].get("resourceClaims") or ()
        if entry.get("name") in claims
    )


def _past_the_account(pod: Json, container: Json) -> GpuAccess:
    labels: Mapping[str, str] = (pod.get("metadata") or {}).get("labels") or {}
    told = Environment(container, labels).literal("NVIDIA_VISIBLE_DEVICES") or ""
    uuids = [part.strip() for part in told.split(",")]
    whole = bool(told) and all(_UUID.fullmatch(part) for part in uuids)
    runtime = pod["spec"].get("runtimeClassName")
    by = f"runtimeClassName {runtime}" if runtime else "the node's default runtime"
    return GpuAccess(
        asked=True,
        visible="all",
        uuids=tuple(uuids[:_MAX_UUIDS]) if whole else (),
        message=f"the sidecar may see every GPU of the node, by {by}",
    )


def asks_for_gpu(spec: Json, container: Json) -> bool:
    """Whether a pod asks for accelerators: by a resource of a device plugin, by a claim, or, past
    both, by the variable that NVIDIA's runtime reads from the engine's container.
    """
    containers = [
        one
        for key in ("containers", "initContainers")
        for one in spec.get(key) or ()
        if one.get("name") != names.SIDECAR_CONTAINER
    ]
    for one in containers:
        resources = one.get("resources") or {}
        if resources.get("claims"):
            return True
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        if any(_is_accelerator(name) and str(much) != "0" for name, much in asked.items()):
            return True
    entries = container.get("env") or ()
    told = (entry.get("value") for entry in entries if entry.get("name") == _VISIBLE)
    return any(value and value not in ("void", "none") for value in told)


_VISIBLE = "NVIDIA_VISIBLE_DEVICES"


def _is_accelerator(resource: str) -> bool:
    """`nvidia.com/gpu`, `nvidia.com/mig-1g.10gb`, `amd.com/gpu`, `volcano.sh/vgpu-number`."""
    domain, _, name = resource.partition("/")
    return bool(name) and (domain in ("nvidia.com", "amd.com") or "gpu" in resource)
