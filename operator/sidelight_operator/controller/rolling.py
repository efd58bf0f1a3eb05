"""Carries out what `rollout.py` decides.

Both changes are patches that name the version they were decided about: whatever else happens to the
object in between, nothing is done to another one than was looked at.
"""

import json
import logging
from collections.abc import Sequence
from contextlib import suppress

from sidelight_contract import names
from sidelight_contract.names import Reason
from sidelight_contract.spec import RolloutPolicy
from sidelight_operator.controller.evaluate import Told
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.models import Model
from sidelight_operator.controller.pods import PodView
from sidelight_operator.controller.rollout import (
    ImageChange,
    Restart,
    RolloutPlan,
    Surroundings,
    needs_restart,
    plan_rollout,
)
from sidelight_operator.controller.workloads import RESTARTABLE
from sidelight_operator.kube import ConflictError, Json, KubeClient, KubeError, NotFoundError

logger = logging.getLogger("sidelight.controller")

_REFUSED = frozenset({400, 403, 422})
"""How the API server says that the right is missing, or that a policy does not want it."""


class Rolling:
    """Plans and carries out; a right that is missing is found out once a round."""

    def __init__(self, kube: KubeClient, metrics: Metrics) -> None:
        self._kube = kube
        self._metrics = metrics
        self._forbidden: dict[str, str] = {}

    async def plan(
        self, model: Model, pods: Sequence[PodView], *, breaker_open: bool
    ) -> RolloutPlan:
        """What to do about `model`'s pods in this round."""
        assert model.spec is not None
        around = Surroundings({}, breaker_open=breaker_open)
        due = any(needs_restart(pod) for pod in pods)
        if due and model.spec.rollout.policy is RolloutPolicy.WHEN_OUTDATED:
            try:
                around = await self._look(model, pods, breaker_open=breaker_open)
            except KubeError as error:
                if error.status not in _REFUSED:
                    raise
                return RolloutPlan("False", Reason.ROLLOUT_FORBIDDEN, str(error))
        plan = plan_rollout(model, pods, around)
        if plan.restarts or plan.images:
            if (why := self._forbidden.get(model.uid)) is not None:
                return RolloutPlan(
                    "False", Reason.ROLLOUT_FORBIDDEN, why, plan.restarts, plan.images
                )
        else:
            self._forbidden.pop(model.uid, None)
        return plan

    def events(self, plan: RolloutPlan) -> list[Told]:
        """What is to be told before the plan is carried out; nothing of what is forbidden."""
        if plan.reason is Reason.ROLLOUT_FORBIDDEN:
            return []
        return [_restarted(item) for item in plan.restarts] + [_changed(i) for i in plan.images]

    async def carry_out(self, model: Model, plan: RolloutPlan) -> None:
        """Restart workloads and change images."""
        try:
            for restart in plan.restarts:
                with suppress(NotFoundError, ConflictError):
                    await self._restart(model, restart)
            for change in plan.images:
                with suppress(NotFoundError, ConflictError):
                    await self._change(model, change)
        except KubeError as error:
            if error.status not in _REFUSED:
                raise
            self._forbidden[model.uid] = str(error)
            return
        self._forbidden.pop(model.uid, None)

    async def _look(
        self, model: Model, pods: Sequence[PodView], *, breaker_open: bool
    ) -> Surroundings:
        workloads: dict[str, Json | None] = {}
        for name in sorted({pod.workload for pod in pods if pod.workload}):
            kind, _, short = name.partition("/")
            if kind in RESTARTABLE:
                workloads[name] = await self._kube.get_workload(model.namespace, kind, short)
        budgets = [found async for found in self._kube.list_budgets(model.namespace)]
        return Surroundings(workloads, budgets, breaker_open)

    async def _restart(self, model: Model, restart: Restart) -> None:
        kind, _, name = restart.workload.partition("/")
        annotations = {names.ANNOTATION_RESTARTED: restart.cause}
        patch = {
            "metadata": {"resourceVersion": restart.body["metadata"].get("resourceVersion")},
            "spec": {"template": {"metadata": {"annotations": annotations}}},
        }
        await self._kube.patch_workload(model.namespace, kind, name, patch)
        self._metrics.workloads_restarted.inc()
        logger.info(
            "workload restarted",
            extra={"model": model.key, "workload": restart.workload, "pods": restart.pods},
        )

    async def _change(self, model: Model, change: ImageChange) -> None:
        pod = change.pod
        record = json.loads(pod.annotation)
        record["image"] = change.image
        record["previousImage"] = "" if change.restored else pod.injection.image
        annotation = {names.ANNOTATION_INJECTION: json.dumps(record, separators=(",", ":"))}
        patch = {
            "metadata": {
                "uid": pod.uid, "resourceVersion": pod.resource_version, "annotations": annotation,
            },
            "spec": {
                "initContainers": [{"name": names.SIDECAR_CONTAINER, "image": change.image}]
            },
        }  # fmt: skip
        await self._kube.patch_pod(model.namespace, pod.name, patch)
        self._metrics.images_changed.labels("restored" if change.restored else "changed").inc()
        logger.info(
            "sidecar image restored" if change.restored else "sidecar image changed",
            extra={"model": model.key, "pod": pod.name, "image": change.image},
        )


def _restarted(restart: Restart) -> Told:
    message = (
        f"{restart.workload} is restarted by rollout.policy WhenOutdated: {restart.pods} of its "
        "pods are not as they would be made today"
    )
    return Told(
        "Normal", Reason.WORKLOAD_RESTARTED, message, workload=restart.workload,
        occasion=restart.cause,
    )  # fmt: skip


def _changed(change: ImageChange) -> Told:
    pod = change.pod
    if change.restored:
        reason = Reason.SIDECAR_IMAGE_RESTORED
        why = pod.trouble.message if pod.trouble else ""
        message = f"pod {pod.name} gets the sidecar image {change.image} back: {why}"
    else:
        reason = Reason.SIDECAR_IMAGE_CHANGED
        message = f"pod {pod.name} gets the sidecar image {change.image} while it runs"
    return Told(
        "Warning" if change.restored else "Normal", reason, message, pod.name, pod.workload,
        occasion=change.image,
    )  # fmt: skip
