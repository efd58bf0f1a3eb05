"""What of a pod has no room for a sidecar beside it: kinds of pods, names and ports."""

from collections.abc import Iterator, Sequence

from sidelight_contract import names
from sidelight_contract.names import InterceptionMode, OwnPorts, Reason
from sidelight_operator.inject.detect import Found
from sidelight_operator.inject.export import is_ours
from sidelight_operator.inject.types import InjectionSettings, Json, RefusedError

_STATIC = "kubernetes.io/config.mirror"
_OWN_NAMES = frozenset(
    {
        names.SIDECAR_CONTAINER, names.INIT_CONTAINER, names.CONFIG_VOLUME,
    }
)  # fmt: skip


def check_pod(pod: Json, settings: InjectionSettings) -> None:
    """Say no to a pod that can have no sidecar.

    Raises:
        RefusedError: and why.
    """
    spec = pod.get("spec") or {}
    if not spec.get("containers"):
        raise RefusedError(Reason.UNSUPPORTED_POD, "the pod has no containers")
    if spec.get("hostNetwork"):
        raise RefusedError(
            Reason.HOST_NETWORK,
            "the pod uses the node's network, where its ports cannot be taken over safely",
        )
    if _on_windows(spec):
        raise RefusedError(Reason.UNSUPPORTED_POD, "the pod runs on Windows")
    if _STATIC in ((pod.get("metadata") or {}).get("annotations") or {}):
        raise RefusedError(
            Reason.UNSUPPORTED_POD,
            "it is a static pod: the node runs it from a file of its own, not from the API",
        )
    if any((spec.get("resources") or {}).get(key) for key in ("requests", "limits")):
        raise RefusedError(
            Reason.POD_LEVEL_RESOURCES,
            "the pod has resources of its own as a whole, in which the sidecar's have no room",
        )
    if not settings.native_sidecar and spec.get("restartPolicy", "Always") != "Always":
        raise RefusedError(
            Reason.JOB_WOULD_NOT_END,
            "the pod is to end by itself, and without native sidecars (Kubernetes 1.29) the "
            "sidecar would keep it from ending",
        )
    _check_names(spec)


def _on_windows(spec: Json) -> bool:
    selected = (spec.get("nodeSelector") or {}).get("kubernetes.io/os")
    return "windows" in ((spec.get("os") or {}).get("name"), selected)


def _check_names(spec: Json) -> None:
    for keys in (("containers", "initContainers"), ("volumes",)):
        seen: set[object] = set()
        for key, name in ((k, entry.get("name")) for k in keys for entry in spec.get(k) or ()):
            if name in _OWN_NAMES or is_ours(str(name)):
                raise RefusedError(
                    Reason.NAME_TAKEN,
                    f"the pod has an entry {name} of its own in {key}; rename it",
                )
            if name in seen:
                raise RefusedError(
                    Reason.UNSUPPORTED_POD,
                    f"two entries in {' and '.join(keys)} are named {name}, which the API server "
                    "does not allow; rename one",
                )
            seen.add(name)
    for port in _declared(spec):
        if port.get("name") == names.ADMIN_PORT_NAME:
            raise RefusedError(
                Reason.NAME_TAKEN, f"the pod has a port named {names.ADMIN_PORT_NAME}; rename it"
            )


def check_ports(pod: Json, found: Found, mode: InterceptionMode, own: OwnPorts) -> None:
    """Say no where the pod uses a port that the sidecar needs.

    Raises:
        RefusedError: and which.
    """
    used = used_ports(pod, found)
    if clash := sorted(set(_needed(mode, own, len(found.ports))) & used):
        raise RefusedError(
            Reason.PORT_RESERVED, f"the pod uses port {clash[0]}, which the sidecar needs"
        )


def used_ports(pod: Json, found: Found) -> set[object]:
    """Those that the pod declares, and the engine's."""
    return set(found.ports) | {port.get("containerPort") for port in _declared(pod["spec"])}


def _needed(mode: InterceptionMode, own: OwnPorts, count: int) -> Sequence[int]:
    if mode is InterceptionMode.REDIRECT:
        return own.relay, own.admin, *range(own.liveness, own.liveness + count)
    if mode is InterceptionMode.PORT_TAKEOVER:
        return own.takeover, own.admin
    return (own.relay, own.admin) if mode is InterceptionMode.NAMED_PORT else (own.admin,)


def _declared(spec: Json) -> Iterator[Json]:
    for key in ("containers", "initContainers"):
        for container in spec.get(key) or ():
            yield from container.get("ports") or ()
