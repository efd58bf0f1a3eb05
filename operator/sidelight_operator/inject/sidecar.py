"""The containers and volumes that injection adds."""

from collections.abc import Sequence

from sidelight_contract import names
from sidelight_contract.names import InterceptionMode, OwnPorts
from sidelight_contract.spec_capture import Export
from sidelight_operator.inject.bind import Bind
from sidelight_operator.inject.conflicts import used_ports
from sidelight_operator.inject.detect import Found
from sidelight_operator.inject.export import (
    engine_spans_environment,
    export_environment,
    export_mounts,
    export_volumes,
    memory,
)
from sidelight_operator.inject.gpu import NOTHING
from sidelight_operator.inject.scene import Scene
from sidelight_operator.inject.types import Json

_UID = 65532
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

_RESTRICTED: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def sidecar_container(
    scene: Scene, mode: InterceptionMode, own: OwnPorts, ports: Sequence[Json]
) -> Json:
    """The sidecar. It has no probe: nothing about it may hold up or restart the engine; readiness
    is the engine's own probe, which goes through it.
    """
    settings, engine, export = scene.settings, scene.found, scene.spec.export
    labels = (scene.pod.get("metadata") or {}).get("labels") or {}
    request, limit = memory(settings, export, driver=scene.gpu.asked)
    resources = {
        "requests": {"cpu": settings.cpu_request, "memory": request},
        "limits": {"memory": limit},
    }
    container: Json = {
        "name": names.SIDECAR_CONTAINER,
        "image": settings.sidecar_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": [
            "run", *_path(mode, own, engine), "--admin", f"*:{own.admin}",
            "--config", names.CONFIG_FILE,
        ],
        "env": [
            *_environment(scene, mode), *scene.gpu.environment(), *scene.weights.environment(),
            *export_environment(scene.spec, labels),
            *engine_spans_environment(used_ports(scene.pod, engine)),
        ],
        "ports": [
            *ports,
            {"name": names.ADMIN_PORT_NAME, "containerPort": own.admin, "protocol": "TCP"},
        ],
        "resources": scene.gpu.resources(resources),
        "securityContext": {
            **_RESTRICTED, "runAsNonRoot": True, "runAsUser": _UID, "runAsGroup": _UID,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": names.CONFIG_VOLUME, "mountPath": names.CONFIG_DIRECTORY, "readOnly": True},
            _no_service_account(),
            *scene.weights.mounts(), *export_mounts(export),
        ],
    }  # fmt: skip
    if settings.native_sidecar:
        container["restartPolicy"] = "Always"
    return container


def redirect_container(scene: Scene, own: OwnPorts) -> Json:
    """The init container that writes the redirect: root and NET_ADMIN for a moment."""
    settings, engine = scene.settings, scene.found
    ports = [word for port in engine.ports for word in ("--port", str(port))]
    resources = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
    return {
        "name": names.INIT_CONTAINER,
        "image": settings.sidecar_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": ["redirect", *ports, "--to", str(own.relay), "--liveness", str(own.liveness)],
        "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": NOTHING}],
        "resources": resources,
        "securityContext": {
            **_RESTRICTED,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "runAsNonRoot": False, "runAsUser": 0, "runAsGroup": 0,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [_no_service_account()],
    }  # fmt: skip


def volumes(model: str, export: Export) -> list[Json]:
    """The configuration: optional, so that a pod starts before the controller made it; and what
    shipping needs.
    """
    config = {"name": names.config_name(model), "optional": True}
    return [{"name": names.CONFIG_VOLUME, "configMap": config}, *export_volumes(export)]


def _path(mode: InterceptionMode, own: OwnPorts, engine: Found) -> list[str]:
    """Where the relay listens, on IPv4 and IPv6, and where the engine is."""
    if mode is InterceptionMode.REDIRECT:
        return [*_listen(engine.bind, own.relay), "--engine", "original-dst"]
    if mode is InterceptionMode.PORT_TAKEOVER:
        return [*_listen(engine.bind, engine.port), "--engine", _at(engine.bind, own.takeover)]
    return [*_listen(Bind.ALL, own.relay), "--engine", _at(engine.bind, engine.port)]


def _listen(bind: Bind, port: int) -> list[str]:
    """An engine that only the pod itself could reach is not opened to others."""
    hosts = ("127.0.0.1", "[::1]") if bind is Bind.LOOPBACK else ("0.0.0.0", "[::]")  # noqa: S104
    return [word for host in hosts for word in ("--listen", f"{host}:{port}")]


def _at(bind: Bind, port: int) -> str:
    if bind is Bind.POD_IP:
        return f"[$({names.POD_IP_VARIABLE})]:{port}"  # brackets do no harm to IPv4
    return f"[::1]:{port}" if bind is Bind.ALL6 else f"127.0.0.1:{port}"


def _environment(scene: Scene, mode: InterceptionMode) -> list[Json]:
    engine = scene.found
    profile = engine.profile
    known = [
        _field("SIDELIGHT_POD_NAME", "metadata.name"),
        _field("SIDELIGHT_POD_NAMESPACE", "metadata.namespace"),
        {"name": "SIDELIGHT_MODEL", "value": scene.model},
        {"name": "SIDELIGHT_ENGINE", "value": engine.type.value},
        {"name": "NVIDIA_VISIBLE_DEVICES", "value": scene.gpu.visible},
    ]
    if engine.bind is Bind.POD_IP and mode is not InterceptionMode.REDIRECT:
        known.append(_field(names.POD_IP_VARIABLE, "status.podIP"))
    if profile is not None and engine.type.value == "Generic" and profile.metrics_path:
        where = f":{profile.metrics_port or ''}{profile.metrics_path}"
        known.append({"name": "SIDELIGHT_ENGINE_METRICS", "value": where})
    return known


def _no_service_account() -> Json:
    """A mount where the API server would mount the pod's token: none of ours has use for it."""
    return {"name": names.CONFIG_VOLUME, "mountPath": _SERVICE_ACCOUNT, "readOnly": True}


def _field(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
