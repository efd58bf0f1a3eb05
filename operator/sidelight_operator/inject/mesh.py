"""Service meshes: a proxy in the pod that redirects connections itself.

Rules:
1. Where one is, or is about to be put in, there is no second redirect: they would fight over the
   same hook, and its proxy reaches the engine over loopback, where ours sees nothing.
2. What a mesh has made of a probe is followed: Istio's agent asks in the kubelet's place, by a list
   in its own environment.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.types import Json, NamespaceFacts

_PROBERS = "ISTIO_KUBE_APP_PROBERS"
_KEEP_ALIVE = ("/livez", "/startupz")


@dataclass(frozen=True, slots=True)
class _Mesh:
    """How a mesh shows.

    Attributes:
        containers: names of its proxy.
        yes: labels or annotations, with the value that asks for it; empty: any value.
        no: labels or annotations of a pod, with the value that declines it.
        namespace: labels of the namespace that ask for it.
    """

    name: str
    containers: frozenset[str]
    yes: tuple[tuple[str, str], ...]
    no: tuple[tuple[str, str], ...] = ()
    namespace: tuple[tuple[str, str], ...] = ()


_MESHES = (
    _Mesh(
        "Istio",
        frozenset({"istio-proxy", "istio-init", "istio-validation"}),
        (
            ("sidecar.istio.io/inject", "true"), ("sidecar.istio.io/status", ""),
            ("istio.io/dataplane-mode", "ambient"),
        ),
        (("sidecar.istio.io/inject", "false"), ("istio.io/dataplane-mode", "none")),
        (
            ("istio-injection", "enabled"), ("istio.io/rev", ""),
            ("istio.io/dataplane-mode", "ambient"),
        ),
    ),
    _Mesh(
        "Linkerd",
        frozenset({"linkerd-proxy", "linkerd-init"}),
        (("linkerd.io/inject", "enabled"), ("linkerd.io/inject", "ingress")),
        (("linkerd.io/inject", "disabled"),),
    ),
    _Mesh(
        "Kuma",
        frozenset({"kuma-sidecar", "kuma-init"}),
        (("kuma.io/sidecar-injection", "enabled"), ("kuma.io/sidecar-injected", "true")),
        (("kuma.io/sidecar-injection", "disabled"),),
        (("kuma.io/sidecar-injection", "enabled"),),
    ),
    _Mesh(
        "Consul",
        frozenset({"consul-dataplane", "consul-connect-inject-init"}),
        (("consul.hashicorp.com/connect-inject", "true"),),
        (("consul.hashicorp.com/connect-inject", "false"),),
    ),
)  # fmt: skip


def mesh_of(pod: Json, namespace: NamespaceFacts) -> str:
    """The name of the mesh that a pod is in; empty when it is in none that is known."""
    metadata = pod.get("metadata") or {}
    marks = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    names = {
        str(container.get("name"))
        for key in ("containers", "initContainers")
        for container in pod["spec"].get(key) or ()
    }
    return next((mesh.name for mesh in _MESHES if _is_in(mesh, names, marks, namespace)), "")


def _is_in(
    mesh: _Mesh, containers: set[str], marks: Mapping[str, str], namespace: NamespaceFacts
) -> bool:
    if mesh.containers & containers:
        return True
    if _any(mesh.no, marks):
        return False
    return _any(mesh.yes, marks) or _any(mesh.namespace, namespace.labels)


def _any(wanted: tuple[tuple[str, str], ...], marks: Mapping[str, str]) -> bool:
    return any(key in marks and value in ("", marks[key]) for key, value in wanted)


def move_probers(container: Json, port: int, to: int, editor: Editor) -> None:
    """Point what Istio's agent asks to keep containers alive at the engine's new port."""
    for entry in container.get("env") or ():
        if entry.get("name") != _PROBERS:
            continue
        try:
            probers = json.loads(entry.get("value") or "{}")
            moved = [_move(path, prober, port, to) for path, prober in probers.items()]
        except (ValueError, AttributeError):
            continue
        if any(moved):
            text = json.dumps(probers, separators=(",", ":"))
            editor.set(container, ["env", _PROBERS, "value"], text)


def _move(path: str, prober: Json, port: int, to: int) -> bool:
    if not path.endswith(_KEEP_ALIVE):
        return False
    handlers = [part for part in prober.values() if isinstance(part, dict)]
    asking = [handler for handler in handlers if handler.get("port") == port]
    for handler in asking:
        handler["port"] = to
    return bool(asking)
