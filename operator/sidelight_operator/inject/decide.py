"""The decision: a pod, its namespace and the ObservedModels there -> a patched pod, or why not.

Used as it is by the webhook, by the controller (to explain pods without a sidecar) and by
`sidelight inject`, so all three always agree.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from sidelight_contract import names
from sidelight_contract.injection import InjectionRecord
from sidelight_contract.names import InterceptionMode, Reason
from sidelight_contract.spec import RequestedMode
from sidelight_operator import __version__
from sidelight_operator.inject.detect import Found, find_engine
from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.fingerprint import config_hash
from sidelight_operator.inject.owner import workload_of
from sidelight_operator.inject.probes import move_probes
from sidelight_operator.inject.selectors import matches
from sidelight_operator.inject.sidecar import redirect_container, sidecar_container, volumes
from sidelight_operator.inject.strip import strip
from sidelight_operator.inject.takeover import check_movable, move_engine
from sidelight_operator.inject.tap import POD_SECURITY, check_tap, tap_sidecar
from sidelight_operator.inject.types import (
    Decision,
    InjectionSettings,
    Json,
    NamespaceFacts,
    ObservedModelView,
    Outcome,
    RefusedError,
)

_FORBIDS_NET_ADMIN = frozenset({"baseline", "restricted"})
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
    model = _model_for(pod, models)
    _check_pod(pod)
    containers = pod["spec"]["containers"]
    found = find_engine(containers, model.spec.engine)
    container = next(c for c in containers if c.get("name") == found.container)
    mode, reason, message = _mode(model.spec.interception.mode, namespace, container, found)
    _check_ports(pod, found, mode)
    _inject(
        pod, container, found, (model.name, mode, reason, message), settings, namespace=namespace
    )
    return Decision(
        Outcome.INJECT, Reason.INJECTED,
        f"{found.type.value} in container {found.container} on port {found.port}, mode "
        f"{mode.value}",
        model=model.name, mode=mode, mode_reason=reason, mode_message=message,
        engine=found.type, engine_container=found.container, port=found.port, patched=pod,
    )  # fmt: skip


def _model_for(pod: Json, models: Sequence[ObservedModelView]) -> ObservedModelView:
    labels = (pod.get("metadata") or {}).get("labels") or {}
    selecting = [model for model in models if matches(model.spec.selector, labels)]
    if not selecting:
        raise RefusedError(Reason.NO_MODEL_MATCHES, "no ObservedModel selects this pod")
    if len(selecting) > 1:
        found = " and ".join(sorted(model.name for model in selecting))
        raise RefusedError(
            Reason.SEVERAL_MODELS_MATCH,
            f"the ObservedModels {found} select this pod; narrow their selectors so that one does",
        )
    if labels.get(names.LABEL_INJECT) == "false":
        raise RefusedError(
            Reason.OPTED_OUT, f'the pod carries the label {names.LABEL_INJECT}: "false"'
        )
    workload = workload_of(pod.get("metadata") or {})
    if workload in selecting[0].breaker:
        raise RefusedError(
            Reason.BREAKER_OPEN,
            f"pods of {workload} did not start because of Sidelight; status.breaker of "
            f"ObservedModel {selecting[0].name} says why. It closes when the ObservedModel's spec "
            "or Sidelight's release or image changes",
        )
    return selecting[0]


def _check_pod(pod: Json) -> None:
    spec = pod.get("spec") or {}
    if not spec.get("containers"):
        raise RefusedError(Reason.UNSUPPORTED_POD, "the pod has no containers")
    if spec.get("hostNetwork"):
        raise RefusedError(
            Reason.HOST_NETWORK,
            "the pod uses the node's network, where its ports cannot be taken over safely",
        )
    if (spec.get("os") or {}).get("name") == "windows":
        raise RefusedError(Reason.UNSUPPORTED_POD, "the pod runs on Windows")
    ours = (names.SIDECAR_CONTAINER, names.INIT_CONTAINER, names.CONFIG_VOLUME, names.TOKEN_VOLUME)
    for key in ("containers", "initContainers", "volumes"):
        for entry in spec.get(key) or ():
            if entry.get("name") in ours:
                raise RefusedError(
                    Reason.NAME_TAKEN,
                    f"the pod has an entry {entry['name']} of its own in {key}; rename it",
                )


def _check_ports(pod: Json, found: Found, mode: InterceptionMode) -> None:
    if mode is InterceptionMode.REDIRECT:
        own = {names.RELAY_PORT, names.LIVENESS_PORT, names.ADMIN_PORT}
    elif mode is InterceptionMode.TAP:
        own = {names.ADMIN_PORT}
    else:
        own = {names.TAKEOVER_PORT, names.ADMIN_PORT}
    used = {found.port} | {
        entry.get("containerPort")
        for key in ("containers", "initContainers")
        for container in pod["spec"].get(key) or ()
        for entry in container.get("ports") or ()
    }
    if clash := sorted(own & used):
        raise RefusedError(
            Reason.PORT_RESERVED, f"the pod uses port {clash[0]}, which the sidecar needs"
        )
    if any(
        entry.get("name") == names.ADMIN_PORT_NAME
        for container in pod["spec"]["containers"]
        for entry in container.get("ports") or ()
    ):
        raise RefusedError(
            Reason.NAME_TAKEN, f"the pod has a port named {names.ADMIN_PORT_NAME}; rename it"
        )


def _mode(
    asked: RequestedMode, namespace: NamespaceFacts, container: Json, found: Found
) -> tuple[InterceptionMode, Reason, str]:
    level = namespace.labels.get(POD_SECURITY, "privileged")
    forbidden = level in _FORBIDS_NET_ADMIN
    if asked is RequestedMode.TAP:
        check_tap(namespace)
        return InterceptionMode.TAP, Reason.MODE_REQUESTED, "asked for in the spec"
    if asked is RequestedMode.PORT_TAKEOVER:
        check_movable(container, found)
        return InterceptionMode.PORT_TAKEOVER, Reason.MODE_REQUESTED, "asked for in the spec"
    because = f"the namespace's Pod Security level is {level}, which forbids NET_ADMIN"
    if asked is RequestedMode.REDIRECT:
        if forbidden:
            raise RefusedError(
                Reason.PRIVILEGE_NOT_ALLOWED,
                f"mode Redirect was asked for, but {because}; use Auto or PortTakeover",
            )
        return InterceptionMode.REDIRECT, Reason.MODE_REQUESTED, "asked for in the spec"
    if not forbidden:
        message = "the namespace's Pod Security level allows NET_ADMIN in an init container"
        return InterceptionMode.REDIRECT, Reason.REDIRECT_ALLOWED, message
    try:
        check_movable(container, found)
    except RefusedError as refused:
        raise RefusedError(
            refused.reason, f"Redirect is not possible: {because}; nor is PortTakeover: {refused}"
        ) from refused
    return InterceptionMode.PORT_TAKEOVER, Reason.POD_SECURITY_FORBIDS_REDIRECT, because


def _inject(
    pod: Json,
    container: Json,
    found: Found,
    chosen: tuple[str, InterceptionMode, Reason, str],
    settings: InjectionSettings,
    *,
    namespace: NamespaceFacts,
) -> None:
    model, mode, reason, message = chosen
    editor = Editor(container)
    added = []
    ports: list[Json] = []
    if mode is InterceptionMode.REDIRECT:
        move_probes(container, found.port, names.LIVENESS_PORT, None, editor)
        added.append(redirect_container(settings, found.port))
    elif mode is InterceptionMode.PORT_TAKEOVER:
        ports = move_engine(container, found, editor)
    sidecar = sidecar_container(settings, model, mode, found, ports)
    if mode is InterceptionMode.TAP:
        sidecar = tap_sidecar(sidecar, found.port, namespace)
    fingerprint = config_hash([*added, sidecar], volumes(model))
    spec = pod["spec"]
    if settings.native_sidecar:
        added.append(sidecar)
    else:
        spec["containers"] = [sidecar, *spec["containers"]]
    spec["initContainers"] = [*added, *(spec.get("initContainers") or ())]
    spec["volumes"] = [*(spec.get("volumes") or ()), *volumes(model)]
    if not spec["initContainers"]:
        del spec["initContainers"]
    metadata = pod.setdefault("metadata", {})
    metadata["labels"] = {
        **(metadata.get("labels") or {}), names.LABEL_INJECTED: "true", names.LABEL_MODEL: model,
    }  # fmt: skip
    record = InjectionRecord(
        release=__version__, model=model, mode=mode.value, mode_reason=reason.value,
        mode_message=message, engine=found.type.value, container=found.container,
        port=found.port, edits=editor.edits,
        config_hash=fingerprint, image=settings.sidecar_image,
    )  # fmt: skip
    metadata["annotations"] = {
        _DEFAULT_CONTAINER: found.container,
        **(metadata.get("annotations") or {}),
        names.ANNOTATION_INJECTION: msgspec.json.encode(record).decode(),
    }
