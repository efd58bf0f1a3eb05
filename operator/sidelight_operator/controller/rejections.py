"""Finds workloads whose pods the API server refuses, and tells whether Sidelight is why.

A refused pod does not exist; what is left of it are the Events of the controller that wanted it.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from sidelight_contract.names import Reason
from sidelight_operator.controller.breaker import Rejection
from sidelight_operator.controller.decision import Scene
from sidelight_operator.controller.models import Model, parse_time
from sidelight_operator.controller.rejected import Blame, blame
from sidelight_operator.inject.owner import workload_of
from sidelight_operator.inject.selectors import matches
from sidelight_operator.kube import Json, KubeClient

EVENT_REASON = "FailedCreate"
"""What the controllers of ReplicaSets, StatefulSets, DaemonSets and Jobs call a refused pod."""
RECENT = timedelta(seconds=90)
"""Older Events may be of a spec, or a quota, that has been changed since. Refused pods are asked
for again and again: a dozen times in the first minute."""


async def list_rejections(kube: KubeClient, namespace: str) -> list[Json]:
    """The Events of refused pods in a namespace."""
    return [event async for event in kube.list_events(namespace, EVENT_REASON)]


async def find_rejections(
    kube: KubeClient, events: Sequence[Json], scene: Scene
) -> dict[str, Rejection]:
    """By workload, the refusals of pods that the model selects and that are of Sidelight's doing,
    or that come without a sidecar while the breaker is open.
    """
    model = scene.model
    assert model.spec is not None
    found: dict[str, Rejection] = {}
    async for event, owner in _recent(kube, events, model, scene.now):
        pod = pod_of(owner)
        if not matches(model.spec.selector, pod["metadata"].get("labels") or {}):
            continue
        workload = workload_of(pod["metadata"])
        message, at = str(event.get("message", "")), told_at(event)
        decision = scene.decide(pod)
        if decision.reason is Reason.BREAKER_OPEN:
            found[workload] = Rejection(message, at, sidecar=False)
        elif decision.patched is not None:
            whose = blame(message, pod["spec"], decision.patched["spec"])
            if whose is not Blame.THEIRS:
                found[workload] = Rejection(message, at, sidecar=True)
    return found


async def _recent(
    kube: KubeClient, events: Sequence[Json], model: Model, now: datetime
) -> AsyncIterator[tuple[Json, Json]]:
    """The last Event of each object, and the object; none of before the spec was written."""
    last: dict[tuple[str, str], Json] = {}
    for event in sorted(events, key=told_at):
        if told_at(event) > max(now - RECENT, model.changed):
            involved = event.get("involvedObject") or {}
            last[str(involved.get("kind", "")).lower(), str(involved.get("name", ""))] = event
    for (kind, name), event in last.items():
        owner = await kube.get_workload(model.namespace, kind, name)
        if owner is not None:
            yield event, owner


def told_at(event: Json) -> datetime:
    """When it happened last."""
    series = event.get("series") or {}
    metadata = event["metadata"]
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return parse_time(next((time for time in times if time), metadata["creationTimestamp"]))


def pod_of(owner: Json) -> Json:
    """The pod that `owner` makes, before anybody changes it."""
    template = (owner.get("spec") or {}).get("template") or {}
    metadata = template.get("metadata") or {}
    by = {"kind": owner["kind"], "name": owner["metadata"]["name"], "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "ownerReferences": [by]},
        "spec": template.get("spec") or {},
    }
