"""The containers and volumes that injection adds."""

from sidelight_contract import names
from sidelight_contract.names import InterceptionMode
from sidelight_operator.inject.detect import Found
from sidelight_operator.inject.types import InjectionSettings, Json

_UID = 65532

_RESTRICTED: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def sidecar_container(
    settings: InjectionSettings,
    model: str,
    mode: InterceptionMode,
    engine: Found,
    ports: list[Json],
) -> Json:
    """The sidecar. It has no probe: nothing about it may hold up or restart the engine; readiness
    is the engine's own probe, which goes through it.
    """
    if mode is InterceptionMode.REDIRECT:
        path = ["--listen", f"0.0.0.0:{names.RELAY_PORT}", "--engine", "original-dst"]
    else:
        moved_to = f"127.0.0.1:{names.TAKEOVER_PORT}"
        path = ["--listen", f"0.0.0.0:{engine.port}", "--engine", moved_to]
    container: Json = {
        "name": names.SIDECAR_CONTAINER,
        "image": settings.sidecar_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": [
            "run", *path, "--admin", f"0.0.0.0:{names.ADMIN_PORT}",
            "--config", names.CONFIG_FILE, "--token-file", names.TOKEN_FILE,
        ],
        "env": [
            _field("SIDELIGHT_POD_NAME", "metadata.name"),
            _field("SIDELIGHT_POD_NAMESPACE", "metadata.namespace"),
            {"name": "SIDELIGHT_MODEL", "value": model},
            {"name": "SIDELIGHT_ENGINE", "value": engine.type.value},
            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"},
        ],
        "ports": [
            *ports,
            {"name": names.ADMIN_PORT_NAME, "containerPort": names.ADMIN_PORT, "protocol": "TCP"},
        ],
        "resources": {
            "requests": {"cpu": settings.cpu_request, "memory": settings.memory_request},
            "limits": {"memory": settings.memory_limit},
        },
        "securityContext": {
            **_RESTRICTED, "runAsNonRoot": True, "runAsUser": _UID, "runAsGroup": _UID,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": names.CONFIG_VOLUME, "mountPath": names.CONFIG_DIRECTORY, "readOnly": True},
            {"name": names.TOKEN_VOLUME, "mountPath": names.TOKEN_DIRECTORY, "readOnly": True},
        ],
    }  # fmt: skip
    if settings.native_sidecar:
        container["restartPolicy"] = "Always"
    return container


def redirect_container(settings: InjectionSettings, port: int) -> Json:
    """The init container that writes the redirect: root and NET_ADMIN for a moment."""
    return {
        "name": names.INIT_CONTAINER,
        "image": settings.sidecar_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": [
            "redirect", "--port", str(port), "--to", str(names.RELAY_PORT),
            "--liveness", str(names.LIVENESS_PORT),
        ],
        "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}],
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"memory": "64Mi"},
        },
        "securityContext": {
            **_RESTRICTED,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "runAsNonRoot": False, "runAsUser": 0, "runAsGroup": 0,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }  # fmt: skip


def volumes(model: str) -> list[Json]:
    """Configuration and token: optional, so that a pod starts before the controller made them."""
    name = names.config_name(model)
    return [
        {"name": names.CONFIG_VOLUME, "configMap": {"name": name, "optional": True}},
        {"name": names.TOKEN_VOLUME, "secret": {"secretName": name, "optional": True}},
    ]


def _field(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
