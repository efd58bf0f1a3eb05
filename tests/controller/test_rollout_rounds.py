"""Restarts and image changes in whole rounds, with a controller that is killed anywhere."""

import copy
import json
from datetime import timedelta
from typing import Any

from controller_world import (
    AFTER,
    IMAGE,
    INSTALLED,
    TOKENS,
    FakeKube,
    injects,
    model_body,
    pod_body,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reconcile_world import Sidecars, killed_round

from sidelight_contract.names import ANNOTATION_INJECTION, ANNOTATION_RESTARTED
from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube import Json, KubeError

NOW = parse_time(AFTER) + timedelta(minutes=1)
OLD = "localhost/sidelight-sidecar:old"


def reconciler(kube: FakeKube) -> Reconciler:
    return Reconciler(
        kube, Sidecars(), injects, installed=INSTALLED, clock=lambda: NOW, tokens=TOKENS
    )


def world(**rollout: Any) -> FakeKube:
    kube = FakeKube()
    kube.models["chat"] = model_body(rollout={"policy": "WhenOutdated", **rollout})
    kube.pods = [pod_body("chat-a", sidecar_image=OLD)]
    return kube


def restarted(kube: FakeKube) -> Json:
    template = kube.workloads["deployment", "chat"]["spec"]["template"]
    found: Json = template["metadata"].get("annotations", {})
    return found


def up_to_date(kube: FakeKube) -> tuple[str, str]:
    (found,) = [
        c for c in kube.models["chat"]["status"]["conditions"] if c["type"] == "UpToDate"
    ]  # fmt: skip
    return found["status"], found["reason"]


def reasons(kube: FakeKube) -> set[str]:
    return {event["reason"] for event in kube.events.values()}


async def test_an_outdated_workload_is_restarted_once() -> None:
    """By an annotation of its template; the Event says why; the next rounds wait."""
    kube = world()
    for _ in range(3):
        await reconciler(kube).round()
    assert kube.writes.count("patch workload") == 1
    assert set(restarted(kube)) == {ANNOTATION_RESTARTED}
    assert "WorkloadRestarted" in reasons(kube)
    assert up_to_date(kube) == ("False", "RolloutInProgress")
    assert kube.models["chat"]["status"]["pods"]["outdated"] == 1
    kube.pods = [pod_body("chat-b")]
    await reconciler(kube).round()
    assert up_to_date(kube) == ("True", "AllPodsUpToDate")


async def test_manual_restarts_nothing() -> None:
    """The default: counted and reported."""
    kube = world(policy="Manual")
    await reconciler(kube).round()
    assert "patch workload" not in kube.writes
    assert up_to_date(kube) == ("False", "PodsOutdated")


async def test_a_right_that_is_missing_is_said() -> None:
    """And no Event tells of what was not done twice."""
    kube = world()
    kube.fault = lambda what: (
        KubeError(what, "403 forbidden", 403) if what == "patch workload" else None
    )
    running = reconciler(kube)
    await running.round()
    await running.round()
    assert up_to_date(kube) == ("False", "RolloutForbidden")


async def test_an_image_is_changed_in_place_and_restored_when_it_does_not_run() -> None:
    """The record on the pod goes along; the breaker opens, so it is not tried again."""
    kube = world(inPlace=True)
    await reconciler(kube).round()
    (pod,) = kube.pods
    (sidecar,) = pod["spec"]["initContainers"]
    record = json.loads(pod["metadata"]["annotations"][ANNOTATION_INJECTION])
    assert (sidecar["image"], record["image"], record["previousImage"]) == (IMAGE, IMAGE, OLD)
    assert "patch workload" not in kube.writes
    pod["status"]["initContainerStatuses"] = [
        {
            "name": "sidelight", "ready": False, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull"}},
        }
    ]  # fmt: skip
    pod["metadata"]["resourceVersion"] = "80"
    for _ in range(3):
        await reconciler(kube).round()
    record = json.loads(pod["metadata"]["annotations"][ANNOTATION_INJECTION])
    assert (sidecar["image"], record["image"], record["previousImage"]) == (OLD, OLD, "")
    assert kube.writes.count("patch pod") == 2
    assert "SidecarImageRestored" in reasons(kube)
    assert kube.pods == [pod], "a pod that served was deleted"
    assert kube.models["chat"]["status"]["breaker"]


async def settle(kube: FakeKube) -> Json:
    for _ in range(3):
        await reconciler(kube).round()
    return copy.deepcopy({k: v for k, v in kube.__dict__.items() if isinstance(v, dict | list)})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=3), st.booleans(), st.booleans())
async def test_a_controller_killed_anywhere_restarts_nothing_twice(
    kills: list[int], answered: bool, in_place: bool
) -> None:
    """The cluster alone says what was done: one restart or one change, and the same end."""
    undisturbed = await settle(world(inPlace=in_place))
    kube = world(inPlace=in_place)
    for kill_at in kills:
        await killed_round(reconciler(kube), kube, kill_at, answered=answered)
    disturbed = await settle(kube)
    for made in (disturbed, undisturbed):
        done = [what for what in made.pop("writes") if what in ("patch workload", "patch pod")]
        assert done == ["patch pod" if in_place else "patch workload"]
    assert disturbed == undisturbed
