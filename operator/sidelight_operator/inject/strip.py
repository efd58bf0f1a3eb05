"""Take Sidelight's own parts out of a pod again: injecting twice is injecting once."""

from sidelight_contract import names
from sidelight_contract.injection import InjectionRecord, decode_record
from sidelight_operator.inject.edits import undo
from sidelight_operator.inject.export import is_ours
from sidelight_operator.inject.types import Json

_CONTAINERS = frozenset({names.SIDECAR_CONTAINER, names.INIT_CONTAINER})
_VOLUMES = frozenset({names.CONFIG_VOLUME, "sidelight-token"})
"""The second is one that earlier releases added."""


def strip(pod: Json) -> None:
    """Undo an injection in place; a pod without our annotation is not ours and stays as it is."""
    metadata = pod.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    record = decode_record(str(annotations.get(names.ANNOTATION_INJECTION, "")))
    if record is None:
        return
    spec = pod["spec"]
    for key, own in (
        ("initContainers", _CONTAINERS), ("containers", _CONTAINERS), ("volumes", _VOLUMES),
    ):  # fmt: skip
        if key in spec:
            spec[key] = [
                entry
                for entry in spec[key] or ()
                if entry.get("name") not in own
                and not (key == "volumes" and is_ours(str(entry.get("name"))))
            ]
            if not spec[key]:
                del spec[key]
    _undo_edits(spec, record)
    _drop_pull_secrets(spec, record)
    for key, marks in (
        ("annotations", [names.ANNOTATION_INJECTION]),
        ("labels", [names.LABEL_INJECTED, names.LABEL_MODEL]),
    ):
        for name in marks:
            (metadata.get(key) or {}).pop(name, None)
        if metadata.get(key) == {}:
            del metadata[key]


def _undo_edits(spec: Json, record: InjectionRecord) -> None:
    for key in ("containers", "initContainers"):
        for container in spec.get(key) or ():
            name = container.get("name")
            edits = [edit for edit in record.edits if (edit.container or record.container) == name]
            undo(container, edits)


def _drop_pull_secrets(spec: Json, record: InjectionRecord) -> None:
    kept = [
        entry
        for entry in spec.get("imagePullSecrets") or ()
        if entry.get("name") not in record.pull_secrets
    ]
    if record.pull_secrets:
        spec["imagePullSecrets"] = kept
        if not kept:
            del spec["imagePullSecrets"]
