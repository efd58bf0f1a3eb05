"""What the sidecar needs to ship records (`spec.export`): Secrets, room on disk, and memory.

Rules:
1. A Secret is optional: a pod starts without it, and the sink is down until a new pod has it.
2. Volumes are emptyDirs, which every user may write to; a PersistentVolumeClaim that the sidecar's
   user may not write to is nothing that a pod of others could be changed for. Their size limits,
   past which the kubelet would evict the pod, are twice what the sidecar allows itself.
3. Without sinks nothing is added.
4. A pod that uses the port of engine's spans itself keeps it: its sidecar, which starts first, is
   told never to open it. Also where no sink asks for such spans: one may ask while the pod runs.
"""

from collections.abc import Collection, Mapping, Sequence
from math import ceil

from sidelight_contract.export import FILES_DIRECTORY, SECRETS_DIRECTORY, SPOOL_DIRECTORY
from sidelight_contract.names import ENGINE_SPANS_PORT, ENGINE_SPANS_VARIABLE
from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.spec_capture import Export
from sidelight_operator.inject.limits import amount
from sidelight_operator.inject.types import InjectionSettings, Json

PREFIX = "sidelight-export-"
"""Of the volumes' names."""
VERSION_VARIABLE = "SIDELIGHT_VERSION"
_MIB = 1 << 20
_MARGIN = 64 * _MIB
_SPOOL = f"{PREFIX}spool"


def export_volumes(export: Export) -> list[Json]:
    """The pod's."""
    found: list[Json] = []
    for sink in export.sinks:
        if sink.secret_ref is not None:
            secret = {"secretName": sink.secret_ref.name, "optional": True, "defaultMode": 0o444}
            found.append({"name": _secret(sink.name), "secret": secret})
        if sink.file is not None:
            found.append(_room(_file(sink.name), sink.file.max_bytes))
    if export.sinks and export.spool.disk_bytes:
        found.append(_room(_SPOOL, export.spool.disk_bytes))
    return found


def export_mounts(export: Export) -> list[Json]:
    """The sidecar's."""
    found: list[Json] = []
    for sink in export.sinks:
        if sink.secret_ref is not None:
            path = f"{SECRETS_DIRECTORY}/{sink.name}"
            found.append({"name": _secret(sink.name), "mountPath": path, "readOnly": True})
        if sink.file is not None:
            path = f"{FILES_DIRECTORY}/{sink.name}"
            found.append({"name": _file(sink.name), "mountPath": path})
    if export.sinks and export.spool.disk_bytes:
        found.append({"name": _SPOOL, "mountPath": SPOOL_DIRECTORY})
    return found


def export_environment(spec: ObservedModelSpec, labels: Mapping[str, str]) -> list[Json]:
    """The version that records tell, by the pod's labels."""
    if not spec.export.sinks:
        return []
    version = next((labels[name] for name in spec.version.labels if labels.get(name)), "")
    return [{"name": VERSION_VARIABLE, "value": version}] if version else []


def engine_spans_environment(used: Collection[object]) -> list[Json]:
    """Of a pod that uses these ports."""
    if ENGINE_SPANS_PORT not in used:
        return []
    return [{"name": ENGINE_SPANS_VARIABLE, "value": "0"}]


def memory(settings: InjectionSettings, export: Export, *, driver: bool) -> tuple[str, str]:
    """Request and limit of the sidecar's memory: with sinks, the capture process has its own, and
    so has the one that reads the GPUs' `driver`.
    """
    requests, limits = [settings.memory_request], [settings.memory_limit]
    if export.sinks:
        requests.append(settings.capture_memory_request)
        limits.append(settings.capture_memory_limit)
    if driver:
        requests.append(settings.nvml_memory)
        limits.append(settings.nvml_memory)
    return _sum(requests), _sum(limits)


def is_ours(volume: str) -> bool:
    """Whether a volume of this name is one of these."""
    return volume.startswith(PREFIX)


def _sum(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{ceil(sum(map(amount, parts)) / _MIB)}Mi"


def _room(name: str, size: int) -> Json:
    return {"name": name, "emptyDir": {"sizeLimit": f"{ceil((2 * size + _MARGIN) / _MIB)}Mi"}}


def _secret(sink: str) -> str:
    return f"{PREFIX}secret-{sink}"[:63]


def _file(sink: str) -> str:
    return f"{PREFIX}file-{sink}"[:63]
