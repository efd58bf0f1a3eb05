"""The decision: a pod, its namespace and the ObservedModels there -> a patched pod, or why not.

Used as it is by the webhook, by the controller (to explain pods without a sidecar) and by
`sidelight inject`, so all three always agree.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from sidelight_contract import names
from sidelight_contract.injection import InjectionRecord
from sidelight_contract.names import Reason
from sidelight_operator import __version__
from sidelight_operator.inject.apply import added_containers, change_containers
from sidelight_operator.inject.conflicts import check_pod, check_ports
from sidelight_operator.inject.detect import find_engine
from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.fingerprint import config_hash
from sidelight_operator.inject.gpu import gpu_of
from sidelight_operator.inject.limits import fitted
from sidelight_operator.inject.mesh import mesh_of
from sidelight_operator.inject.mode import Choice, choose
from sidelight_operator.inject.scene import Scene
from sidelight_operator.inject.selection import model_for
from sidelight_operator.inject.sidecar import volumes
from sidelight_operator.inject.strip import strip
from sidelight_operator.inject.types import (
    Decision,
    InjectionSettings,
    Json,
    NamespaceFacts,
    ObservedModelView,
    Outcome,
    RefusedError,
)
from sidelight_operator.inject.weights import NONE_ASKED, weights_of

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def decide(
    pod: Json,
    namespace: NamespaceFacts,
    models: Sequence[ObservedModelView],
    settings: InjectionSettings,
) -> Decision:
    """Decide about `pod`, which is not changed. Never raises for anything a pod may contain."""
    try:
        return _decide(_copied(pod), namespace, models, settings)
    except RefusedError as refused:
        return Decision(Outcome.SKIP, refused.reason, refused.message)


def _copied(node: Any) -> Any:
    """A copy in which nothing is shared: `copy.deepcopy` keeps a YAML alias one object, so that
    moving one probe would move every probe written with it.
    """
    if isinstance(node, dict):
        return {key: _copied(value) for key, value in node.items()}
    return [_copied(value) for value in node] if isinstance(node, list) else node


def _decide(
    pod: Json,
    namespace: NamespaceFacts,
    models: Sequence[ObservedModelView],
    settings: InjectionSettings,
) -> Decision:
    strip(pod)
    model = model_for(pod, models)
    check_pod(pod, settings)
    containers = pod["spec"]["containers"]
    labels = (pod.get("metadata") or {}).get("labels") or {}
    found = find_engine(containers, model.spec.engine, labels)
    container = next(one for one in containers if one.get("name") == found.container)
    weights = weights_of(pod, container, found) if model.spec.version.read_weights else NONE_ASKED
    gpu = gpu_of(pod, container, model.spec.gpu, settings)
    scene = Scene(
        pod, container, found, namespace, model.name, settings, model.spec, weights, gpu
    )  # fmt: skip
    choice = choose(model.spec.interception.mode, scene)
    _inject(scene, choice)
    return Decision(
        Outcome.INJECT, Reason.INJECTED,
        f"{found.type.value} in container {found.container} on port {found.port}, mode "
        f"{choice.mode.value}",
        model=model.name, mode=choice.mode, mode_reason=choice.reason,
        mode_message=choice.message, engine=found.type, engine_container=found.container,
        port=found.port, weights=weights.state, weights_message=weights.message,
        gpu=gpu.reason, gpu_message=gpu.message, patched=pod,
    )  # fmt: skip


def _inject(scene: Scene, choice: Choice) -> None:
    pod, found, settings, model = scene.pod, scene.found, scene.settings, scene.model
    own = names.OWN_PORTS_BESIDE_MESH if mesh_of(pod, scene.namespace) else names.OWN_PORTS
    check_ports(pod, found, choice.mode, own)
    editor = Editor(found.container)
    ports = change_containers(scene, choice.mode, own, editor)
    added = added_containers(scene, choice.mode, own, ports)
    # Of what is asked for: bounds that come later make no pod outdated.
    word = config_hash(added, volumes(model, scene.spec.export))
    for one in added:
        one["resources"] = fitted(one["resources"], scene.namespace)
    _add(pod["spec"], added, volumes(model, scene.spec.export), settings)
    record = InjectionRecord(
        release=__version__, model=model, mode=choice.mode.value,
        mode_reason=choice.reason.value, mode_message=choice.message,
        engine=found.type.value, container=found.container, port=found.port,
        more_ports=list(found.more_ports), admin_port=own.admin, edits=editor.edits,
        pull_secrets=_add_pull_secrets(pod["spec"], settings),
        config_hash=word, image=settings.sidecar_image, weights=scene.weights.state,
        weights_message=scene.weights.message, gpu=scene.gpu.reason,
        gpu_message=scene.gpu.message,
    )  # fmt: skip
    _mark(pod, record)


def _add(spec: Json, added: list[Json], more: list[Json], settings: InjectionSettings) -> None:
    before, sidecar = added[:-1], added[-1]
    if settings.native_sidecar:
        before = added
    else:
        spec["containers"] = [sidecar, *spec["containers"]]
    spec["initContainers"] = [*before, *(spec.get("initContainers") or ())]
    spec["volumes"] = [*(spec.get("volumes") or ()), *more]
    if not spec["initContainers"]:
        del spec["initContainers"]


def _add_pull_secrets(spec: Json, settings: InjectionSettings) -> list[str]:
    present = [entry.get("name") for entry in spec.get("imagePullSecrets") or ()]
    missing = [name for name in settings.pull_secrets if name not in present]
    if missing:
        spec["imagePullSecrets"] = [
            *(spec.get("imagePullSecrets") or ()), *({"name": name} for name in missing)
        ]  # fmt: skip
    return missing


def _mark(pod: Json, record: InjectionRecord) -> None:
    metadata = pod.setdefault("metadata", {})
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        names.LABEL_INJECTED: "true",
        names.LABEL_MODEL: record.model,
    }
    metadata["annotations"] = {
        _DEFAULT_CONTAINER: record.container,
        **(metadata.get("annotations") or {}),
        names.ANNOTATION_INJECTION: msgspec.json.encode(record).decode(),
    }
