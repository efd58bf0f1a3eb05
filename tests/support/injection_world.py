"""Pods and ObservedModels to decide about."""

from typing import Any

from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.inject import (
    Decision,
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    decide,
)

SETTINGS = InjectionSettings("localhost/sidelight-sidecar:test")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def model(name: str = "chat", **spec: Any) -> ObservedModelView:
    """An ObservedModel that selects `app: chat`."""
    whole = {"selector": {"matchLabels": {"app": "chat"}}, **spec}
    return ObservedModelView(name, ObservedModelSpec.model_validate(whole))


def engine(**changes: Any) -> dict[str, Any]:
    """A llama.cpp container on 8080."""
    return {
        "name": "server",
        "image": "example/any:1",
        "command": ["llama-server"],
        "args": ["--host", "0.0.0.0", "--port", "8080"],
        "ports": [{"name": "http", "containerPort": 8080}],
        **changes,
    }


def pod(*containers: dict[str, Any], labels: Any = None, **spec: Any) -> dict[str, Any]:
    """A pod with the label `app: chat`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "chat-", "labels": {"app": "chat", **(labels or {})}},
        "spec": {"containers": list(containers) or [engine()], **spec},
    }


def judge(
    body: dict[str, Any], *models: ObservedModelView, namespace: dict[str, str] | None = None
) -> Decision:
    """The decision about `body`; with no model given, one that selects it."""
    return decide(body, NamespaceFacts(namespace or {}), models or (model(),), SETTINGS)
