"""The pods that a workload makes, from its template, as they are before any webhook."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
_TEMPLATES = {
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}
_TEMPLATE = ("spec", "template")
_KSERVE = frozenset({"InferenceService", "LLMInferenceService"})
_WORKER_INDEX = "leaderworkerset.sigs.k8s.io/worker-index"


class NoPodError(ValueError):
    """There is no pod in an object; the message says what to give."""


def pods_of(resource: Json) -> list[tuple[str, Json]]:
    """The pods of an object, each with a word that tells it apart; empty for an only one.

    Raises:
        NoPodError: it makes none.
    """
    kind = str(resource.get("kind"))
    if kind == "Pod":
        return [("", resource)]
    if kind == "LeaderWorkerSet":
        return list(_of_leader_worker_set(resource))
    template: Any = resource
    for key in _TEMPLATES.get(kind, _TEMPLATE):
        template = template.get(key) if isinstance(template, dict) else None
    if isinstance(template, dict):
        return [("", _pod(template, resource))]
    if kind in _KSERVE:
        raise NoPodError(f"KServe makes the pods of {kind}; give the Deployment that it made")
    raise NoPodError(
        f"kind {resource.get('kind')} has no pod in it; give a Pod, or a Deployment, StatefulSet, "
        "DaemonSet, Job, CronJob, Rollout or LeaderWorkerSet"
    )


def _of_leader_worker_set(resource: Json) -> Iterator[tuple[str, Json]]:
    """One leader and one worker; without a template of its own the leader is as the workers."""
    group = (resource.get("spec") or {}).get("leaderWorkerTemplate") or {}
    worker = group.get("workerTemplate") or {}
    for role, template, index in (
        ("leader", group.get("leaderTemplate") or worker, "0"), ("worker", worker, "1"),
    ):  # fmt: skip
        pod = _pod(template, resource)
        pod["metadata"]["labels"] = {
            **(pod["metadata"].get("labels") or {}), _WORKER_INDEX: index,
        }  # fmt: skip
        yield role, pod


def _pod(template: Json, owner: Json) -> Json:
    metadata = dict(template.get("metadata") or {})
    namespace = (owner.get("metadata") or {}).get("namespace")
    if namespace and "namespace" not in metadata:
        metadata["namespace"] = namespace
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}
