"""Workloads that can be restarted through their own rollout, and whether one is going on. Pure."""

from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from sidelight_contract import names
from sidelight_contract.spec import Selector
from sidelight_operator.inject.selectors import matches
from sidelight_operator.kube import Json

RESTARTABLE = frozenset({"deployment", "statefulset", "daemonset"})
"""Kinds whose controllers replace pods when the template changes. Others are reported only."""


def why_not_restartable(workload: str, body: Json | None) -> str:
    """Why a workload cannot be restarted through its own rollout; "" when it can."""
    kind = workload.partition("/")[0]
    if kind not in RESTARTABLE:
        return f"{workload or 'a pod without an owner'} has no rollout of its own to restart with"
    if body is None:
        return f"{workload} is not there"
    for owner in body["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{workload} is kept by {owner['kind']} {owner['name']}, which has to restart it"
    return _strategy(workload, body.get("spec") or {})


def _strategy(workload: str, spec: Json) -> str:
    if spec.get("paused"):
        return f"{workload} is paused"
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return f"{workload} replaces pods only when they are deleted (OnDelete)"
    if (strategy.get("rollingUpdate") or {}).get("partition"):
        return f"{workload} has a partition, and would replace some of its pods only"
    return ""


def finished(body: Json) -> bool:
    """Whether the workload's last rollout is over, with all of its pods available."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    if status.get("observedGeneration", 0) < body["metadata"].get("generation", 0):
        return False
    if body["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        counts = [status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)]
    else:
        wanted = spec.get("replicas", 1)
        counts = [status.get("replicas", 0), status.get("availableReplicas", 0)]
        if body["kind"] == "Deployment":
            counts.append(status.get("updatedReplicas", 0))
        elif status.get("currentRevision") != status.get("updateRevision"):
            return False
    return all(count == wanted for count in counts)


def restarted_for(body: Json) -> str:
    """What the workload was last restarted for, by the annotation on its template."""
    metadata = ((body.get("spec") or {}).get("template") or {}).get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(names.ANNOTATION_RESTARTED, ""))


def template_labels(body: Json) -> Mapping[str, str]:
    """The labels of the pods that the workload makes."""
    metadata = ((body.get("spec") or {}).get("template") or {}).get("metadata") or {}
    return metadata.get("labels") or {}


def exhausted_budget(budgets: Iterable[Json], labels: Mapping[str, str]) -> str:
    """The name of a PodDisruptionBudget that allows no disruption of a pod with these labels; ""
    when there is none. One whose selector is not understood is taken to be about the pod.
    """
    for budget in budgets:
        allowed = (budget.get("status") or {}).get("disruptionsAllowed", 0)
        selector = (budget.get("spec") or {}).get("selector")
        if not allowed and selector is not None and _is_about(selector, labels):
            return str(budget["metadata"]["name"])
    return ""


def _is_about(selector: Json, labels: Mapping[str, str]) -> bool:
    try:
        return not selector or matches(Selector.model_validate(selector), labels)
    except ValidationError:
        return True
