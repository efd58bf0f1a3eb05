"""What happens to pods that are not as they would be made today: which workloads are restarted, and
in which pods the sidecar's image is changed. Pure.

Rules:
1. Nothing is done unless `rollout.policy` is WhenOutdated: a user's workload is theirs.
2. A workload is restarted once for one cause: its template says for what. A restart that does not
   help is not tried again.
3. A restart begins only when the workload's last rollout is over, all of its pods are ready, no
   PodDisruptionBudget is exhausted, and the circuit breaker is closed for the whole ObservedModel.
4. A workload is in a restart until its rollout is over and its pods are ready, however long that
   takes; no more than `workloadsAtOnce` are. So a restart that goes wrong holds up all others.
5. All of it is read from the cluster: a controller that is restarted goes on where it was.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sidelight_contract.names import Reason
from sidelight_contract.spec import Rollout, RolloutPolicy
from sidelight_operator.controller.models import Model
from sidelight_operator.controller.pods import PodView
from sidelight_operator.controller.workloads import (
    exhausted_budget,
    finished,
    restarted_for,
    template_labels,
    why_not_restartable,
)
from sidelight_operator.kube import Json

_WORD = 12
_NAMED = 3
_MISSED = frozenset({Reason.CREATED_BEFORE_MODEL, Reason.WEBHOOK_MISSED})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a plan rests on besides pods."""

    workloads: Mapping[str, Json | None]
    """Those of the model's pods, by name, as they are now; None for one that is gone."""
    budgets: Sequence[Json] = ()
    """The namespace's PodDisruptionBudgets."""
    breaker_open: bool = False


@dataclass(frozen=True, slots=True)
class Restart:
    """A workload to restart."""

    workload: str
    body: Json
    cause: str
    """For what, in a word; see `ANNOTATION_RESTARTED`."""
    pods: int
    """How many of its pods are not as they would be made."""


@dataclass(frozen=True, slots=True)
class ImageChange:
    """A pod whose sidecar gets another image while it runs."""

    pod: PodView
    image: str
    restored: bool = False
    """Whether it is the image of before, because the new one did not run."""


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What to do in this round, and what to say of it."""

    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str
    restarts: tuple[Restart, ...] = ()
    images: tuple[ImageChange, ...] = ()


@dataclass(slots=True)
class _Found:
    """What stands in the way of workloads, by reason."""

    held: dict[Reason, list[str]] = field(default_factory=dict)

    def hold(self, reason: Reason, why: str) -> None:
        self.held.setdefault(reason, []).append(why)


def needs_restart(pod: PodView) -> bool:
    """Whether the pod is not as it would be made today: an attached tap serves until then."""
    missed = pod.refusal is not None and pod.refusal.reason in _MISSED
    return pod.outdated or ((missed or pod.tap is not None) and pod.target is not None)


def cause_of(pods: Iterable[PodView]) -> str:
    """A word for what the pods would be given today."""
    wanted = {f"{pod.target.config_hash} {pod.target.image}" for pod in pods if pod.target}
    return hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()[:_WORD]


def plan_rollout(model: Model, pods: Sequence[PodView], around: Surroundings) -> RolloutPlan:
    """Decide what to do in this round about `model`'s pods."""
    assert model.spec is not None
    rollout = model.spec.rollout
    restored = tuple(_restored(pods))
    old = [pod for pod in pods if needs_restart(pod)]
    if not pods:
        reason, message = Reason.NO_PODS_SELECTED, "spec.selector matches no pod"
        return RolloutPlan("Unknown", reason, message)
    if not old and not restored:
        message = "every selected pod that can be observed is as it would be made today"
        return RolloutPlan("True", Reason.ALL_PODS_UP_TO_DATE, message)
    if rollout.policy is RolloutPolicy.MANUAL:
        return RolloutPlan("False", Reason.PODS_OUTDATED, _outdated(old), images=restored)
    if around.breaker_open:
        message = f"{_outdated(old)}; the circuit breaker is open, so nothing is restarted"
        return RolloutPlan("False", Reason.ROLLOUT_WAITS, message, images=restored)
    return _plan(rollout, pods, old, around)


def _plan(
    rollout: Rollout, pods: Sequence[PodView], old: list[PodView], around: Surroundings
) -> RolloutPlan:
    found = _Found()
    in_place = [pod for pod in old if rollout.in_place and pod.image_outdated and pod.annotation]
    images = _next_image(in_place, pods, around, found)
    groups: dict[str, list[PodView]] = {}
    for pod in old:
        if pod not in in_place:
            groups.setdefault(pod.workload, []).append(pod)
    under_way = [
        name
        for name, body in around.workloads.items()
        if body is not None and restarted_for(body) and not _settled(name, body, pods)
    ]
    ready = [
        restart
        for name, members in sorted(groups.items())
        if (restart := _restart(name, members, pods, around, found)) is not None
    ]
    free = max(rollout.workloads_at_once - len(under_way), 0)
    restarts = tuple(ready[:free])
    for restart in ready[free:]:
        found.hold(Reason.ROLLOUT_IN_PROGRESS, f"{restart.workload} is next")
    reason, message = _said(under_way, restarts, images, found)
    message = f"{_outdated(old)}; {message}"
    return RolloutPlan("False", reason, message, restarts=restarts, images=images)


def _restart(
    name: str,
    members: Sequence[PodView],
    pods: Sequence[PodView],
    around: Surroundings,
    found: _Found,
) -> Restart | None:
    body = around.workloads.get(name)
    if why := why_not_restartable(name, body):
        found.hold(Reason.ROLLOUT_NOT_SUPPORTED, why)
        return None
    assert body is not None
    cause = cause_of(members)
    if not _settled(name, body, pods):
        found.hold(Reason.ROLLOUT_WAITS, f"{name} has a rollout or a pod that is not ready")
    elif restarted_for(body) == cause:
        found.hold(Reason.ROLLOUT_DID_NOT_HELP, f"{name} was restarted for this already")
    elif budget := exhausted_budget(around.budgets, template_labels(body)):
        found.hold(
            Reason.ROLLOUT_WAITS, f"PodDisruptionBudget {budget} allows no disruption of {name}"
        )
    else:
        return Restart(name, body, cause, len(members))
    return None


def _settled(name: str, body: Json, pods: Sequence[PodView]) -> bool:
    return finished(body) and all(pod.ready for pod in pods if pod.workload == name)


def _restored(pods: Iterable[PodView]) -> Iterable[ImageChange]:
    """Pods whose new image does not run get the one of before back, whatever else is going on."""
    for pod in pods:
        if pod.trouble is not None and pod.injection.previous_image and pod.annotation:
            yield ImageChange(pod, pod.injection.previous_image, restored=True)


def _next_image(
    candidates: Sequence[PodView], pods: Sequence[PodView], around: Surroundings, found: _Found
) -> tuple[ImageChange, ...]:
    """The next pod, when all are ready: one at a time, so that a bad image meets one."""
    if not candidates:
        return ()
    if unready := sorted(pod.name for pod in pods if pod.model and not pod.ready):
        found.hold(Reason.ROLLOUT_WAITS, f"pod {unready[0]} is not ready")
        return ()
    for pod in sorted(candidates, key=lambda pod: pod.name):
        budget = exhausted_budget(around.budgets, pod.labels or {})
        if not budget:
            return (ImageChange(pod, pod.target_image),)
        found.hold(
            Reason.ROLLOUT_WAITS, f"PodDisruptionBudget {budget} allows no disruption of {pod.name}"
        )
    return ()


def _said(
    under_way: Sequence[str],
    restarts: Sequence[Restart],
    images: Sequence[ImageChange],
    found: _Found,
) -> tuple[Reason, str]:
    now = [*under_way, *(restart.workload for restart in restarts)]
    doing = []
    if now:
        doing.append(f"being restarted: {_some(now)}")
    if images:
        doing.append(f"getting the new image: {_some(image.pod.name for image in images)}")
    if doing:
        return Reason.ROLLOUT_IN_PROGRESS, "; ".join(doing)
    for reason in (
        Reason.ROLLOUT_WAITS, Reason.ROLLOUT_DID_NOT_HELP, Reason.ROLLOUT_NOT_SUPPORTED,
        Reason.ROLLOUT_IN_PROGRESS,
    ):  # fmt: skip
        if held := found.held.get(reason):
            return reason, _some(held)
    return Reason.ROLLOUT_WAITS, "nothing can be done yet"


def _outdated(old: Sequence[PodView]) -> str:
    attached = sum(pod.tap is not None for pod in old)
    without = sum(not pod.model and pod.tap is None for pod in old)
    parts = []
    if other := len(old) - without - attached:
        parts.append(f"{other} pods carry another sidecar than they would today")
    if attached:
        parts.append(f"{attached} pods have an attached tap and would have a sidecar")
    if without:
        parts.append(f"{without} pods carry none and would")
    return " and ".join(parts) or "no pod is outdated"


def _some(items: Iterable[str]) -> str:
    known = sorted(set(items))
    more = len(known) - _NAMED
    return ", ".join(known[:_NAMED]) + (f" and {more} more" if more > 0 else "")
