"""A small Kubernetes for controller tests: models, pods, and what the API server does with them."""

import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from sidelight_contract import names
from sidelight_contract.injection import InjectionRecord
from sidelight_contract.names import Reason
from sidelight_contract.summary import RelayCounters, SidecarState, Summary, TokenCounts, Traffic
from sidelight_operator.controller.breaker import Installed
from sidelight_operator.controller.decision import Plan
from sidelight_operator.controller.models import Model, parse_time
from sidelight_operator.controller.summary_key import Keys, tokens_of
from sidelight_operator.inject import Decision, NamespaceFacts, Outcome
from sidelight_operator.inject.owner import workload_of
from sidelight_operator.kube import ConflictError, Json, KubeError, NotFoundError

TOKENS = partial(tokens_of, Keys(b"k" * 32, datetime(2026, 11, 1, tzinfo=UTC)))
"""Of a key that stays, whichever controller asks."""
CREATED = "2026-11-24T10:00:00Z"
BEFORE = "2026-11-24T09:00:00Z"
AFTER = "2026-11-24T11:00:00Z"
IMAGE = "localhost/sidelight-sidecar:test"
HASH = "0123456789ab"
DIGEST = "b42" + "0" * 61
"""Of the image of the pods' engines."""
VERSION = f"sha256:{DIGEST[:12]}"
"""What pods without a version label are."""
INSTALLED = Installed("0.1.0", IMAGE, parse_time(CREATED))


def injects(pod: Json, namespace: NamespaceFacts, models: Sequence[Model]) -> Decision:
    """What the webhook would make of a pod: a sidecar, always."""
    name = models[0].name
    if workload_of(pod["metadata"]) in models[0].breaker:
        return Decision(Outcome.SKIP, Reason.BREAKER_OPEN, "the breaker is open")
    sidecar = {"name": names.SIDECAR_CONTAINER, "image": IMAGE, "restartPolicy": "Always"}
    sidecar["resources"] = {"requests": {"cpu": "50m"}, "limits": {"memory": "384Mi"}}
    patched = copy.deepcopy(pod)
    patched["spec"].setdefault("initContainers", []).append(sidecar)
    record = InjectionRecord(
        release="0.1.0", model=name, mode="Redirect", mode_reason="", mode_message="",
        engine="LlamaCpp", container="engine", port=8080, config_hash=HASH, image=IMAGE,
    )  # fmt: skip
    annotation = msgspec.json.encode(record).decode()
    patched["metadata"].setdefault("annotations", {})[names.ANNOTATION_INJECTION] = annotation
    return Decision(Outcome.INJECT, Reason.INJECTED, "", model=name, patched=patched)


def refuses(reason: Reason, message: str = "m") -> Plan:
    """What the webhook would make of a pod: nothing, for this reason."""
    return lambda pod, namespace, models: Decision(Outcome.SKIP, reason, message)


def deployment_body(name: str = "chat", **spec: Any) -> Json:
    """A Deployment whose rollout has finished."""
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": "llm", "uid": f"uid-deployment-{name}", "generation": 3,
            "resourceVersion": "3",
        },
        "spec": {"replicas": 1, "template": {"metadata": {"labels": {"app": "chat"}}}, **spec},
        "status": {
            "observedGeneration": 3, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
            "availableReplicas": 1,
        },
    }  # fmt: skip


def replica_set_body(name: str = "chat-7c9d") -> Json:
    """A Deployment's ReplicaSet."""
    labels = {"app": "chat", "pod-template-hash": name.rpartition("-")[2]}
    containers = [{"name": "engine", "image": "example/llama-server:b42"}]
    return {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "llm", "uid": f"uid-{name}"},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}},
    }  # fmt: skip


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
    owner: tuple[str, str] | None = ("ReplicaSet", "chat-7c9d"),
    sidecar_image: str = IMAGE,
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
                "configHash": HASH, "image": sidecar_image,
            }
        )  # fmt: skip
    return {
        "metadata": {
            "name": name, "namespace": "llm", "uid": f"uid-{name}", "creationTimestamp": created,
            "labels": own, "annotations": annotations,
            "resourceVersion": "7",
            "ownerReferences": [
                {"kind": kind, "name": by, "controller": True} for kind, by in filter(None, [owner])
            ],
        },
        "spec": {
            "containers": [{"name": "engine", "image": image}],
            "initContainers": [
                {"name": name, "image": sidecar_image, "restartPolicy": "Always"}
                for name in (names.SIDECAR_CONTAINER,)
                if injected_for
            ],
        },
        "status": {
            "phase": phase, "podIP": ip, "startTime": created,
            "conditions": [
                {
                    "type": "Ready", "status": "True" if ready and phase == "Running" else "False",
                    "lastTransitionTime": created,
                }
            ],
            "initContainerStatuses": [{"name": names.SIDECAR_CONTAINER, "ready": ready}],
            "containerStatuses": [engine_status(image, runs=phase == "Running")],
        },
    }  # fmt: skip


def engine_status(image: str, *, runs: bool = True) -> Json:
    """What the kubelet says of the engine's container."""
    state = {"running": {}} if runs else {"waiting": {"reason": "PodInitializing"}}
    return {
        "name": "engine", "image": image, "ready": runs, "restartCount": 0, "started": runs,
        "imageID": f"docker.io/{image.partition(':')[0]}@sha256:{DIGEST}" if runs else "",
        "state": state,
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
        self.exporters: list[Json] = []
        self.config_maps: dict[str, Json] = {}
        self.events: dict[str, Json] = {}
        self.budgets: list[Json] = []
        self.bounds: dict[str, list[Json]] = {"limitranges": [], "resourcequotas": []}
        self.workloads: dict[tuple[str, str], Json] = {("deployment", "chat"): deployment_body()}
        self.writes: list[str] = []
        self.fault: Callable[[str], KubeError | None] | None = None
        """Asked before each call: the error that the caller gets, or None. It may raise."""
        self.after: Callable[[str], KubeError | None] | None = None
        """Asked after each call's work is done, as `fault` is before."""

    @contextmanager
    def _do(self, what: str) -> Iterator[None]:
        if self.fault and (error := self.fault(what)) is not None:
            raise error
        yield
        if what.startswith(("create", "patch", "delete")):
            self.writes.append(what)
        if self.after and (error := self.after(what)) is not None:
            raise error

    async def list_models(self) -> list[Json]:
        with self._do("list models"):
            return copy.deepcopy(list(self.models.values()))

    async def list_pods(self, namespace: str, selector: str) -> AsyncIterator[Json]:
        with self._do("list pods"):
            assert (namespace, selector) == ("llm", "app=chat")
            for pod in self.pods:
                yield copy.deepcopy(pod)

    async def list_exporters(self, namespace: str, selector: str) -> AsyncIterator[Json]:
        with self._do(f"list exporters {namespace or '*'} {selector}"):
            for pod in self.exporters:
                yield copy.deepcopy(pod)

    async def get_namespace_labels(self, name: str) -> dict[str, str]:
        with self._do("get namespace"):
            return {"kubernetes.io/metadata.name": name}

    async def list_bounds(self, kind: str, namespace: str) -> AsyncIterator[Json]:
        with self._do(f"list {kind}"):
            for body in self.bounds[kind]:
                yield copy.deepcopy(body)

    async def get_config_map(self, namespace: str, name: str) -> Json | None:
        with self._do("get config map"):
            return copy.deepcopy(self.config_maps.get(name))

    async def create_config_map(self, namespace: str, body: Json) -> None:
        with self._do("create config map"):
            self.config_maps[body["metadata"]["name"]] = copy.deepcopy(body)

    async def patch_config_map(self, namespace: str, name: str, patch: Json) -> None:
        with self._do("patch config map"):
            self.config_maps[name] = apply_merge_patch(self.config_maps[name], patch)

    async def patch_model_status(self, namespace: str, name: str, patch: Json) -> None:
        with self._do("patch status"):
            if name not in self.models:
                raise NotFoundError(f"PATCH {name}", "404 not found", 404)
            model = self.models[name]
            model["status"] = apply_merge_patch(model.get("status", {}), patch)

    async def create_event(self, namespace: str, body: Json) -> None:
        with self._do("create event"):
            self.events.setdefault(body["metadata"]["name"], copy.deepcopy(body))

    async def add_ephemeral_container(
        self, namespace: str, pod: str, uid: str, container: Json
    ) -> None:
        with self._do("patch pod"):
            for found in self.pods:
                if found["metadata"]["name"] == pod:
                    if found["metadata"]["uid"] != uid:
                        raise ConflictError(f"PATCH {pod}", "409 another uid", 409)
                    containers = found["spec"].setdefault("ephemeralContainers", [])
                    containers.append(copy.deepcopy(container))
                    return
            raise NotFoundError(f"PATCH {pod}", "404 not found", 404)

    async def list_events(self, namespace: str, reason: str) -> AsyncIterator[Json]:
        with self._do("list events"):
            for event in self.events.values():
                if event["reason"] == reason:
                    yield copy.deepcopy(event)

    async def list_budgets(self, namespace: str) -> AsyncIterator[Json]:
        with self._do("list budgets"):
            for budget in self.budgets:
                yield copy.deepcopy(budget)

    async def patch_workload(self, namespace: str, kind: str, name: str, patch: Json) -> None:
        with self._do("patch workload"):
            found = self.workloads[kind, name]
            version = found["metadata"].get("resourceVersion")
            if patch["metadata"]["resourceVersion"] != version:
                raise ConflictError(f"PATCH {name}", "409 changed", 409)
            self.workloads[kind, name] = apply_merge_patch(found, patch)
            metadata = self.workloads[kind, name]["metadata"]
            metadata["generation"] += 1
            metadata["resourceVersion"] = str(metadata["generation"])

    async def patch_pod(self, namespace: str, name: str, patch: Json) -> None:
        with self._do("patch pod"):
            (pod,) = [pod for pod in self.pods if pod["metadata"]["name"] == name]
            metadata = pod["metadata"]
            for key in ("uid", "resourceVersion"):
                if patch["metadata"][key] != metadata[key]:
                    raise ConflictError(f"PATCH {name}", "409 changed", 409)
            metadata["annotations"] |= patch["metadata"]["annotations"]
            metadata["resourceVersion"] += "0"
            for change in patch["spec"]["initContainers"]:
                for container in pod["spec"]["initContainers"]:
                    if container["name"] == change["name"]:
                        container.update(change)

    async def get_workload(self, namespace: str, kind: str, name: str) -> Json | None:
        with self._do("get workload"):
            return copy.deepcopy(self.workloads.get((kind, name)))

    async def delete_pod(
        self, namespace: str, name: str, *, uid: str, resource_version: str
    ) -> None:
        with self._do("delete pod"):
            for pod in self.pods:
                if pod["metadata"]["name"] == name:
                    found = pod["metadata"]
                    if (found["uid"], found["resourceVersion"]) != (uid, resource_version):
                        raise ConflictError(f"DELETE {name}", "409 changed", 409)
                    self.pods.remove(pod)
                    return
            raise NotFoundError(f"DELETE {name}", "404 not found", 404)


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
