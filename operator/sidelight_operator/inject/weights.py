"""Which of the engine's mounts the sidecar gets, where `spec.version.readWeights` asks for it.

Rules:
1. Asking for it never changes whether a pod is injected, and no container but the sidecar: what
   cannot be mounted is not, and the record says why.
2. The mount is the engine's own (volume and `subPath`), read-only, at a path of ours. How mounts
   spread (`mountPropagation`) is not copied: what another container mounts later is not waited for.
3. Only volumes of files, which a second mount costs nothing. Never Secrets and other projections;
   never inline CSI volumes, of which many are FUSE; never the node's own folders, whose use policy
   engines judge container by container, so that a pod could be refused because of the sidecar.
4. Nothing that the sidecar, which starts before all others, would make or wait for: a `subPath`
   that an init container is to make, a volume that another container of the pod serves.
"""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from sidelight_contract import names
from sidelight_contract.weights import WeightsPlan, WeightsState
from sidelight_operator.inject.detect import Found
from sidelight_operator.inject.model_path import ModelPlace, NotReadError, holds, model_place
from sidelight_operator.inject.types import Json

_OF_FILES = frozenset({"persistentVolumeClaim", "ephemeral", "emptyDir", "image", "nfs"})
_GCSFUSE = "gke-gcsfuse/volumes"
"""A pod's annotation: a container of the pod is to serve its volumes."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What is mounted for reading weights, and what the sidecar is told; None: it is not asked."""

    plan: WeightsPlan | None = None
    mount: Json | None = None
    message: str = ""

    @property
    def state(self) -> str:
        """Why nothing is mounted (a `WeightsState`); empty: something is, or nobody asks."""
        return self.plan.state if self.plan is not None else ""

    def environment(self) -> list[Json]:
        """What the sidecar's environment gets."""
        if self.plan is None:
            return []
        text = msgspec.json.encode(self.plan).decode()
        return [{"name": names.WEIGHTS_VARIABLE, "value": text.replace("$(", "$$(")}]

    def mounts(self) -> list[Json]:
        """What the sidecar mounts."""
        return [] if self.mount is None else [self.mount]


NONE_ASKED = Weights()


def weights_of(pod: Json, container: Json, found: Found) -> Weights:
    """What reading the weights of the engine in `container` takes."""
    try:
        place = model_place(found, pod, container)
        paths, mount = _mount_of(container, place)
        _check_volume(pod, container, mount)
    except NotReadError as error:
        return Weights(WeightsPlan(state=error.state.value), None, error.message)
    folder = _folder(mount)
    ours = {"name": mount.get("name"), "mountPath": names.WEIGHTS_DIRECTORY, "readOnly": True}
    if mount.get("subPath"):
        ours["subPath"] = mount["subPath"]
    inside = [posixpath.relpath(path, folder) for path in paths]
    told = [posixpath.normpath(posixpath.join(names.WEIGHTS_DIRECTORY, one)) for one in inside]
    message = f"volume {mount.get('name')} is mounted, for {', '.join(paths)}"
    return Weights(WeightsPlan(told, place.revision), ours, message)


def attached() -> Weights:
    """An ephemeral container mounts nothing: it could only keep the pod from it."""
    return Weights(WeightsPlan(state=WeightsState.ATTACHED.value))


def _mount_of(container: Json, place: ModelPlace) -> tuple[Sequence[str], Json]:
    """The paths that are on a volume, and the one mount that they are in."""
    mounts = list(container.get("volumeMounts") or ())
    held: list[tuple[str, Json]] = []
    for path in place.paths:
        around = [one for one in mounts if holds(_folder(one), path)]
        if around:
            held.append((path, max(around, key=lambda one: len(_folder(one)))))
        if inside := [one for one in mounts if _folder(one) != path and holds(path, _folder(one))]:
            raise _left_alone(inside[0], f"it is mounted inside the model's folder {path}")
    if not held:
        raise NotReadError(
            WeightsState.NOT_ON_VOLUME,
            f"{place.paths[0]} is on no volume of the pod, but in the image or on the container's "
            "own disk",
        )
    mount = held[0][1]
    if any(other is not mount for _, other in held):
        raise _left_alone(mount, f"{' and '.join(place.paths)} are on several volumes")
    return [path for path, _ in held], mount


def _folder(mount: Json) -> str:
    return "/" + posixpath.normpath(str(mount.get("mountPath", ""))).lstrip("/")


def _check_volume(pod: Json, container: Json, mount: Json) -> None:
    spec, name = pod["spec"], mount.get("name")
    volumes = [one for one in spec.get("volumes") or () if one.get("name") == name]
    if len(volumes) != 1:
        raise _left_alone(mount, "the pod does not define it")
    kinds = set(volumes[0]) - {"name"} or {"emptyDir"}
    if not kinds <= _OF_FILES:
        raise _left_alone(mount, f"a volume of the kind {min(kinds)} is never mounted")
    if mount.get("subPathExpr"):
        raise _left_alone(mount, "its mount has a subPathExpr")
    if _label(container) not in (None, _label(spec)):
        raise _left_alone(mount, "the engine's container has SELinux options of its own")
    if _GCSFUSE in ((pod.get("metadata") or {}).get("annotations") or {}):
        raise _left_alone(mount, "another container of the pod may serve it (Cloud Storage FUSE)")
    for other, its in _other_mounts(spec, container, name):
        if its.get("mountPropagation") == "Bidirectional":
            raise _left_alone(mount, f"container {other.get('name')} serves it")
    inits = spec.get("initContainers") or ()
    if mount.get("subPath") and any(
        its.get("name") == name for init in inits for its in init.get("volumeMounts") or ()
    ):
        raise _left_alone(mount, "an init container may be to make its subPath")


def _label(owner: Json) -> object:
    """SELinux options: two containers with different ones cannot always have one volume."""
    return (owner.get("securityContext") or {}).get("seLinuxOptions")


def _other_mounts(spec: Json, container: Json, name: object) -> Iterator[tuple[Json, Json]]:
    for key in ("initContainers", "containers"):
        for other in spec.get(key) or ():
            for mount in other.get("volumeMounts") or ():
                if other is not container and mount.get("name") == name:
                    yield other, mount


def _left_alone(mount: Json, why: str) -> NotReadError:
    state = WeightsState.VOLUME_LEFT_ALONE
    return NotReadError(state, f"volume {mount.get('name')} is left alone: {why}")
