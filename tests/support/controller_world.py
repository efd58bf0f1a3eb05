"""A small Kubernetes for controller tests: models, pods, and what the API server does with them."""

import base64
import copy
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from sidelight_contract import names
from sidelight_contract.summary import RelayCounters, SidecarState, Summary, TokenCounts, Traffic
from sidelight_operator.kube import Json, KubeError, NotFoundError

CREATED = "2026-11-24T10:00:00Z"
BEFORE = "2026-11-24T09:00:00Z"
AFTER = "2026-11-24T11:00:00Z"


def model_body(name: str = "chat", **spec: Any) -> Json:
    """An ObservedModel as the API server returns it."""
    return {
        "metadata": {
            "name": name, "namespace": "llm", "uid": f"uid-{name}", "generation": 2,
            "creationTimestamp": CREATED,
        },
        "spec": {"selector": {"matchLabels": {"app": "chat"}}, **spec},
    }  # fmt: skip


def pod_body(
    name: str,
    injected_for: str = "chat",
    *,
    created: str = AFTER,
    phase: str = "Running",
    ready: bool = True,
    labels: dict[str, str] | None = None,
    ip: str = "127.0.0.1",
    image: str = "example/llama-server:b42",
) -> Json:
    """A pod of a Deployment; `injected_for` "" leaves it without a sidecar."""
    own = {"app": "chat", "pod-template-hash": "7c9d", **(labels or {})}
    annotations = {}
    if injected_for:
        own |= {names.LABEL_INJECTED: "true", names.LABEL_MODEL: injected_for}
        annotations[names.ANNOTATION_INJECTION] = json.dumps(
            {
                "release": "0.1.0", "model": injected_for, "mode": "Redirect",
                "modeReason": "RedirectAllowed", "modeMessage": "the namespace allows it",
                "engine": "LlamaCpp", "container": "engine", "port": 8080,
            }
        )  # fmt: skip
    return {
        "metadata": {
            "name": name, "namespace": "llm", "uid": f"uid-{name}", "creationTimestamp": created,
            "labels": own, "annotations": annotations,
            "ownerReferences": [{"kind": "ReplicaSet", "name": "chat-7c9d", "controller": True}],
        },
        "spec": {"containers": [{"name": "engine", "image": image}]},
        "status": {
            "phase": phase, "podIP": ip,
            "initContainerStatuses": [{"name": names.SIDECAR_CONTAINER, "ready": ready}],
        },
    }  # fmt: skip


def summary(requests: int = 10, *, errors: dict[str, int] | None = None, **sidecar: Any) -> Summary:
    """What a sidecar says after `requests` chats with one second's latency each."""

    def traffic() -> Traffic:
        made = Traffic(
            model="smollm2", operation="chat", requests=requests, errors=dict(errors or {}),
            tokens=TokenCounts(prompt=5 * requests, output=20 * requests),
        )  # fmt: skip
        for _ in range(requests):
            made.time_to_first_token.add(0.1)
            made.duration.add(1.0)
        return made

    other = Traffic(model="_unknown", operation="other", requests=1000)
    return Summary(
        sidecar=SidecarState(release="0.1.0", started_at=1_800_000_000.0, boot_id="b", **sidecar),
        generated_at=1_800_000_100.0,
        window_seconds=100.0,
        window=[traffic(), other],
        total=[traffic(), other],
        relay=RelayCounters(flows_gapped_queue_full=1, flows_gapped_no_observer=2),
    )


class FakeKube:
    """KubeClient in memory, with merge patch, owner-less objects, 404 and faults on demand."""

    def __init__(self) -> None:
        self.models: dict[str, Json] = {}
        self.pods: list[Json] = []
        self.config_maps: dict[str, Json] = {}
        self.secrets: dict[str, Json] = {}
        self.events: dict[str, Json] = {}
        self.writes: list[str] = []
        self.fault: Callable[[str], KubeError | None] = lambda what: None

    def _do(self, what: str) -> None:
        if (error := self.fault(what)) is not None:
            raise error
        if what.startswith(("create", "patch")):
            self.writes.append(what)

    async def list_models(self) -> list[Json]:
        self._do("list models")
        return copy.deepcopy(list(self.models.values()))

    async def list_pods(self, namespace: str, selector: str) -> AsyncIterator[Json]:
        self._do("list pods")
        assert (namespace, selector) == ("llm", "app=chat")
        for pod in self.pods:
            yield copy.deepcopy(pod)

    async def get_namespace_labels(self, name: str) -> dict[str, str]:
        return {"kubernetes.io/metadata.name": name}

    async def get_config_map(self, namespace: str, name: str) -> Json | None:
        return copy.deepcopy(self.config_maps.get(name))

    async def create_config_map(self, namespace: str, body: Json) -> None:
        self._do("create config map")
        self.config_maps[body["metadata"]["name"]] = copy.deepcopy(body)

    async def patch_config_map(self, namespace: str, name: str, patch: Json) -> None:
        self._do("patch config map")
        self.config_maps[name] = apply_merge_patch(self.config_maps[name], patch)

    async def get_secret(self, namespace: str, name: str) -> Json | None:
        return copy.deepcopy(self.secrets.get(name))

    async def create_secret(self, namespace: str, body: Json) -> None:
        self._do("create secret")
        made = copy.deepcopy(body)
        made["data"] = {
            key: base64.b64encode(value.encode()).decode()
            for key, value in made.pop("stringData").items()
        }
        self.secrets[body["metadata"]["name"]] = made

    async def patch_model_status(self, namespace: str, name: str, patch: Json) -> None:
        self._do("patch status")
        if name not in self.models:
            raise NotFoundError(f"PATCH {name}", "404 not found", 404)
        model = self.models[name]
        model["status"] = apply_merge_patch(model.get("status", {}), patch)

    async def create_event(self, namespace: str, body: Json) -> None:
        self._do("create event")
        self.events.setdefault(body["metadata"]["name"], copy.deepcopy(body))


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, word for word."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge_patch(result.get(key), value)
    return result
