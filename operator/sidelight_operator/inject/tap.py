"""Mode Tap: the container that reads the pod's packets and stands in nobody's path.

Rules:
1. It is user 0: Kubernetes gives no capability to another user. Its one capability is NET_RAW, and
   the program drops that too once its socket is open.
2. Pod Security `baseline` forbids to *add* NET_RAW and allows to keep it from the container
   runtime's default set. So there everything else of that set is dropped by name; where nothing is
   forbidden, all is dropped and NET_RAW added, which also works with runtimes whose default set
   has no NET_RAW (CRI-O).
"""

import msgspec

from sidelight_contract import names
from sidelight_contract.injection import InjectionRecord
from sidelight_contract.names import Reason
from sidelight_operator.inject.types import InjectionSettings, Json, NamespaceFacts, RefusedError
from sidelight_operator.inject.weights import attached

POD_SECURITY = "pod-security.kubernetes.io/enforce"

_OTHER_DEFAULTS = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
"""The default set of containerd and Docker, which is also all that `baseline` lets be added, less
NET_RAW."""


def check_tap(namespace: NamespaceFacts) -> None:
    """Raises:
    RefusedError: the namespace's Pod Security level forbids it.
    """
    if _level(namespace) == "restricted":
        raise RefusedError(
            Reason.PRIVILEGE_NOT_ALLOWED,
            "mode Tap needs NET_RAW and user 0, which the namespace's Pod Security level "
            "restricted forbids; use Auto or PortTakeover, which need a restart of the pod",
        )


def tap_sidecar(
    sidecar: Json, port: int, namespace: NamespaceFacts, admin: int = names.ADMIN_PORT
) -> Json:
    """The sidecar of a new pod, made a tap: other arguments and rights, the rest as it is."""
    files = ["--config", names.CONFIG_FILE]
    return {
        **sidecar,
        "args": [*_arguments(port, admin), *files],
        "env": [*sidecar["env"], _POD_IP],
        "securityContext": _security(namespace),
    }


def ephemeral_tap(
    settings: InjectionSettings,
    record: InjectionRecord,
    namespace: NamespaceFacts,
    *,
    config: str,
    token_sha256: str,
    lease_seconds: int,
) -> Json:
    """The ephemeral container for a running pod. It can have neither ports nor resources nor
    volumes that the pod has not: what it must know is in its environment, nothing of it secret.
    """
    return {
        "name": names.TAP_CONTAINER,
        "image": settings.sidecar_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": [
            *_arguments(record.port, record.admin_port),
            "--token-sha256", token_sha256, "--lease-seconds", str(lease_seconds),
        ],
        "env": [
            {"name": names.TAP_CONFIG_VARIABLE, "value": config},
            {"name": names.TAP_RECORD_VARIABLE, "value": msgspec.json.encode(record).decode()},
            {"name": "SIDELIGHT_ENGINE", "value": record.engine},
            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"},
            _POD_IP,
            *(attached().environment() if record.weights else ()),
        ],
        "securityContext": _security(namespace),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }  # fmt: skip


def _arguments(port: int, admin: int = names.ADMIN_PORT) -> list[str]:
    """`auto`: the interface with the pod's own address, where Services send."""
    where = f"*:{admin}"
    return ["tap", "--interface", "auto", "--port", str(port), "--admin", where]


_POD_IP: Json = {
    "name": names.POD_IP_VARIABLE,
    "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}},
}


def _security(namespace: NamespaceFacts) -> Json:
    if _level(namespace) == "privileged":
        capabilities: Json = {"drop": ["ALL"], "add": ["NET_RAW"]}
    else:
        capabilities = {"drop": list(_OTHER_DEFAULTS)}
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": capabilities,
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsNonRoot": False, "runAsUser": 0, "runAsGroup": 0,
    }  # fmt: skip


def _level(namespace: NamespaceFacts) -> str:
    return namespace.labels.get(POD_SECURITY, "privileged")
