"""What happens to pods that are not as they would be made today: the plan."""

from dataclasses import replace
from typing import Any

import pytest
from controller_world import HASH, IMAGE, deployment_body, model_body, pod_body

from sidelight_contract.names import ANNOTATION_RESTARTED, Reason
from sidelight_operator.attach.taps import Tap, TapState
from sidelight_operator.controller.models import Model, parse_model
from sidelight_operator.controller.pods import PodView, Refusal, Target, view_pod
from sidelight_operator.controller.rollout import RolloutPlan, Surroundings, cause_of, plan_rollout
from sidelight_operator.controller.workloads import finished, why_not_restartable
from sidelight_operator.kube import Json

NEW = Target("fedcba987654", IMAGE)
SAME = Target(HASH, IMAGE)
NEWER_IMAGE = Target(HASH, "localhost/sidelight-sidecar:next")
WHEN_OUTDATED = {"policy": "WhenOutdated"}


def model(**rollout: Any) -> Model:
    return parse_model(model_body(rollout=rollout or WHEN_OUTDATED))


def pod(name: str, target: Target | None = NEW, owner: str = "chat", **facts: Any) -> PodView:
    ready = facts.pop("ready", True)
    body = pod_body(name, ready=ready, owner=("ReplicaSet", f"{owner}-7c9d"), **facts)
    view = view_pod(body, [])
    return replace(view, target=target, annotation="{}", labels={"app": owner})


def workload(name: str, *, restarted_for: str = "", **status: int) -> Json:
    body = deployment_body(name)
    body["status"] |= status
    if restarted_for:
        body["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION_RESTARTED: restarted_for}
    return body


def plan(of: Model, *pods: PodView, bodies: Any = (), **around: Any) -> RolloutPlan:
    known = {f"deployment/{body['metadata']['name']}": body for body in bodies}
    return plan_rollout(of, pods, Surroundings(known, **around))


def restarted(made: RolloutPlan) -> list[str]:
    return [restart.workload for restart in made.restarts]


def test_up_to_date_pods_are_left_alone() -> None:
    """And nothing is said but that."""
    made = plan(model(), pod("a", SAME), pod("b", None))
    assert (made.status, made.reason, made.restarts) == ("True", Reason.ALL_PODS_UP_TO_DATE, ())
    assert plan(model()).status == "Unknown"


def test_manual_is_told_and_nothing_else() -> None:
    """Whatever is outdated: users' workloads are theirs."""
    made = plan(model(policy="Manual"), pod("a"), bodies=[workload("chat")])
    assert (made.status, made.reason) == ("False", Reason.PODS_OUTDATED)
    assert "1 pods carry another sidecar" in made.message
    assert (made.restarts, made.images) == ((), ())


@pytest.mark.parametrize("reason", [Reason.CREATED_BEFORE_MODEL, Reason.WEBHOOK_MISSED])
def test_a_pod_that_was_missed_is_restarted_too(reason: Reason) -> None:
    """It would have a sidecar today; one that is refused would have none."""
    missed = replace(pod("a", injected_for=""), refusal=Refusal(reason, "m"))
    assert restarted(plan(model(), missed, bodies=[workload("chat")])) == ["deployment/chat"]
    refused = replace(missed, target=None, refusal=Refusal(Reason.HOST_NETWORK, "m"))
    assert plan(model(), refused, bodies=[workload("chat")]).restarts == ()


@pytest.mark.parametrize("why", [None, Refusal(Reason.TAP_ENDED, "its lease was over")])
def test_a_pod_with_an_attached_tap_is_restarted_for_a_sidecar(why: Refusal | None) -> None:
    """Whether the tap runs or has ended: it was for the time until then."""
    state = TapState.RUNNING if why is None else TapState.ENDED
    tapped = replace(pod("a"), tap=Tap(None, state), refusal=why)
    made = plan(model(), tapped, bodies=[workload("chat")])
    assert restarted(made) == ["deployment/chat"]
    assert "1 pods have an attached tap and would have a sidecar" in made.message
    assert plan(model(), replace(tapped, target=None), bodies=[workload("chat")]).status == "True"


def test_one_workload_at_a_time_in_order() -> None:
    """The next begins when the last one's rollout is over and its pods are ready."""
    pods = [pod("a", owner="a"), pod("b", owner="b")]
    before = plan(model(), *pods, bodies=[workload("a"), workload("b")])
    assert restarted(before) == ["deployment/a"]
    cause = before.restarts[0].cause
    going = workload("a", restarted_for=cause, updatedReplicas=0)
    now = plan(model(), *pods, bodies=[going, workload("b")])
    assert (restarted(now), now.reason) == ([], Reason.ROLLOUT_IN_PROGRESS)
    done = workload("a", restarted_for=cause)
    unready = pod("a2", SAME, owner="a", ready=False)
    assert restarted(plan(model(), unready, pods[1], bodies=[done, workload("b")])) == []
    well = pod("a2", SAME, owner="a")
    after = plan(model(), well, pods[1], bodies=[done, workload("b")])
    assert restarted(after) == ["deployment/b"]


def test_as_many_as_the_spec_allows() -> None:
    """Not one more."""
    of = model(policy="WhenOutdated", workloadsAtOnce=2)
    names = ["a", "b", "c"]
    made = plan(of, *(pod(n, owner=n) for n in names), bodies=[workload(n) for n in names])
    assert restarted(made) == ["deployment/a", "deployment/b"]


@pytest.mark.parametrize(
    ("bodies", "around", "says"),
    [
        ([workload("chat", updatedReplicas=0)], {}, "has a rollout"),
        ([workload("chat", availableReplicas=0)], {}, "has a rollout"),
        ([workload("chat", observedGeneration=2)], {}, "has a rollout"),
        (
            [workload("chat")],
            {"budgets": [{"metadata": {"name": "pdb"}, "spec": {"selector": {}}}]},
            "PodDisruptionBudget pdb",
        ),
        ([workload("chat")], {"breaker_open": True}, "circuit breaker"),
    ],
)
def test_a_restart_waits(bodies: list[Json], around: Any, says: str) -> None:
    """For a rollout that goes on, an exhausted budget, an open breaker; and says for which."""
    made = plan(model(), pod("a"), bodies=bodies, **around)
    assert (made.restarts, made.reason) == ((), Reason.ROLLOUT_WAITS)
    assert says in made.message


def test_a_budget_of_other_pods_or_with_room_is_no_hindrance() -> None:
    """Only one that is exhausted and about these pods is."""
    budgets = [
        {"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"app": "other"}}}},
        {"metadata": {"name": "y"}, "spec": {"selector": {}}, "status": {"disruptionsAllowed": 1}},
        {"metadata": {"name": "z"}, "spec": {}},
    ]
    made = plan(model(), pod("a"), bodies=[workload("chat")], budgets=budgets)
    assert restarted(made) == ["deployment/chat"]


def test_a_restart_that_did_not_help_is_not_tried_again() -> None:
    """It would go on for ever. Another cause is another restart."""
    cause = cause_of([pod("a")])
    made = plan(model(), pod("a"), bodies=[workload("chat", restarted_for=cause)])
    assert (made.restarts, made.reason) == ((), Reason.ROLLOUT_DID_NOT_HELP)
    again = plan(model(), pod("a", NEWER_IMAGE), bodies=[workload("chat", restarted_for=cause)])
    assert restarted(again) == ["deployment/chat"]


def test_what_has_no_rollout_of_its_own_is_reported() -> None:
    """A bare pod, a Job, a Deployment that KServe keeps, OnDelete, a partition, a pause."""
    bare = replace(pod("a"), workload="")
    made = plan(model(), bare)
    assert (made.restarts, made.reason) == ((), Reason.ROLLOUT_NOT_SUPPORTED)
    kept = deployment_body()
    kept["metadata"]["ownerReferences"] = [
        {"kind": "InferenceService", "name": "chat", "controller": True}
    ]
    assert "InferenceService chat" in why_not_restartable("deployment/chat", kept)
    for kind, spec in (
        ("job", {}),
        ("rollout", {}),
        ("deployment", {"paused": True}),
        ("statefulset", {"updateStrategy": {"type": "OnDelete"}}),
        ("statefulset", {"updateStrategy": {"rollingUpdate": {"partition": 2}}}),
    ):
        assert why_not_restartable(f"{kind}/chat", deployment_body(**spec))
    assert why_not_restartable("deployment/chat", None)
    assert why_not_restartable("deployment/chat", deployment_body()) == ""


def test_each_kind_says_in_its_own_way_that_its_rollout_is_over() -> None:
    """Deployment, StatefulSet and DaemonSet."""
    assert finished(deployment_body())
    stateful = deployment_body() | {"kind": "StatefulSet"}
    assert finished(stateful)
    stateful["status"] = stateful["status"] | {"currentRevision": "1", "updateRevision": "2"}
    assert not finished(stateful)
    daemons = deployment_body() | {"kind": "DaemonSet"}
    counts = {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}
    daemons["status"] = {"observedGeneration": 3, **counts}
    assert finished(daemons)
    daemons["status"]["numberAvailable"] = 2
    assert not finished(daemons)


def test_an_old_image_is_changed_in_place_one_pod_at_a_time() -> None:
    """Only where the image is all, and where it is asked for; else the workload is restarted."""
    of = model(policy="WhenOutdated", inPlace=True)
    made = plan(of, pod("a", NEWER_IMAGE), pod("b", NEWER_IMAGE), bodies=[workload("chat")])
    assert [(i.pod.name, i.image) for i in made.images] == [("a", NEWER_IMAGE.image)]
    assert made.restarts == ()
    assert plan(of, pod("a"), bodies=[workload("chat")]).images == ()
    other = plan(model(), pod("a", NEWER_IMAGE), bodies=[workload("chat")])
    assert (other.images, restarted(other)) == ((), ["deployment/chat"])


def test_no_image_is_changed_while_a_pod_is_not_ready() -> None:
    """It may be the one whose image was changed last."""
    of = model(policy="WhenOutdated", inPlace=True)
    made = plan(of, pod("a", SAME, ready=False), pod("b", NEWER_IMAGE), bodies=[workload("chat")])
    assert (made.images, made.reason) == ((), Reason.ROLLOUT_WAITS)
    assert "pod a is not ready" in made.message


def test_an_image_that_does_not_run_is_taken_back_whatever_else_is_going_on() -> None:
    """Also with an open breaker, and with the policy back at Manual."""
    changed = pod("a", None)
    changed = replace(
        changed,
        injection=replace(changed.injection, previous_image="sidecar:old"),
        trouble=Refusal(Reason.SIDECAR_IMAGE_NOT_PULLED, "m"),
    )
    for of in (model(), model(policy="Manual")):
        (change,) = plan(of, changed, breaker_open=True).images
        assert (change.image, change.restored) == ("sidecar:old", True)
