"""A pod that `sidelight check` has the API server try out: would it be injected, really? Pure.

The pod is made for one ObservedModel: with the labels that its selector asks for and an engine that
its spec means. What injection itself says of it is known beforehand, so that a pod which comes back
without a sidecar says something of the installation and not of the pod.
"""

from collections.abc import Sequence

from sidelight_contract import names
from sidelight_contract.engines import PROFILES, EngineType
from sidelight_contract.spec import (
    Engine,
    ObservedModelSpec,
    Selector,
    SelectorOperator,
)
from sidelight_operator.inject import (
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    Outcome,
    decide,
)
from sidelight_operator.inject.selectors import matches
from sidelight_operator.kube import Json

_IMAGE = "localhost/sidelight-check:none"
_DEFAULT_PORT = 8000


def trial_pod(spec: ObservedModelSpec) -> Json | None:
    """A pod for `spec`; None when none can be thought of."""
    labels = _labels(spec.selector)
    if spec.engine.pod_filter is not None:
        labels = {**_labels(spec.engine.pod_filter), **labels}
    if not matches(spec.selector, labels):
        return None
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "sidelight-check-", "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(spec.engine)],
        },
    }  # fmt: skip


def expected(
    pod: Json, model: ObservedModelView, models: Sequence[ObservedModelView], facts: NamespaceFacts
) -> bool:
    """Whether injection would take `pod` for `model`."""
    decision = decide(pod, facts, models, InjectionSettings(_IMAGE))
    return decision.outcome is Outcome.INJECT and decision.model == model.name


def injected_for(pod: Json) -> str:
    """The ObservedModel that came with the API server's answer; "" for none."""
    labels = pod["metadata"].get("labels") or {}
    if labels.get(names.LABEL_INJECTED) != "true":
        return ""
    return str(labels.get(names.LABEL_MODEL, ""))


def _labels(selector: Selector) -> dict[str, str]:
    labels = dict(selector.match_labels)
    for item in selector.match_expressions:
        if item.operator is SelectorOperator.IN and item.values:
            labels.setdefault(item.key, item.values[0])
        elif item.operator is SelectorOperator.EXISTS:
            labels.setdefault(item.key, "sidelight-check")
    return labels


def _container(engine: Engine) -> Json:
    """An engine of the type that is asked for, at the port that is asked for."""
    kind = EngineType.LLAMA_CPP if engine.type is EngineType.AUTO else engine.type
    profile = next((item for item in PROFILES if item.type is kind), None)
    number = int(engine.port) if engine.port.isdigit() else _DEFAULT_PORT
    name = engine.port if engine.port and not engine.port.isdigit() else "http"
    command = [profile.programs[0]] if profile is not None and profile.programs else ["server"]
    flags = list(profile.port_flags[:1]) if profile is not None else []
    return {
        "name": engine.container or "server",
        "image": _IMAGE,
        "command": command,
        "args": [*flags, str(number)] if flags else [],
        "ports": [{"name": name, "containerPort": number}],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "10m", "memory": "16Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
