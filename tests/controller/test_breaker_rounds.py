"""The circuit breaker in whole rounds, and a controller that is killed anywhere in one."""

import copy
from datetime import timedelta

import pytest
from controller_world import (
    AFTER,
    INSTALLED,
    TOKENS,
    FakeKube,
    injects,
    model_body,
    pod_body,
    replica_set_body,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reconcile_world import Sidecars, killed_round

from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube import Json, KubeError

NOW = parse_time(AFTER) + timedelta(minutes=1)


def reconciler(kube: FakeKube) -> Reconciler:
    return Reconciler(
        kube, Sidecars(), injects, installed=INSTALLED, clock=lambda: NOW, tokens=TOKENS
    )


def crashing(name: str) -> Json:
    pod = pod_body(name, phase="Pending", ready=False)
    pod["status"]["initContainerStatuses"] = [
        {
            "name": "sidelight", "ready": False, "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 3}},
        }
    ]  # fmt: skip
    return pod


def world() -> FakeKube:
    kube = FakeKube()
    kube.models["chat"] = model_body()
    kube.pods = [crashing("chat-7c9d-a"), pod_body("chat-7c9d-b")]
    kube.workloads["replicaset", "chat-7c9d"] = replica_set_body()
    return kube


def breaker(kube: FakeKube) -> list[Json]:
    found: list[Json] = kube.models["chat"]["status"]["breaker"]
    return found


async def test_a_crashing_sidecar_is_taken_out_of_one_workload() -> None:
    """Status, condition and Events say so; the stuck pod goes, the serving one stays."""
    kube = world()
    await reconciler(kube).round()
    (entry,) = breaker(kube)
    assert (entry["workload"], entry["reason"]) == ("deployment/chat", "SidecarCrashed")
    conditions = {c["type"]: c for c in kube.models["chat"]["status"]["conditions"]}
    assert conditions["BreakerOpen"]["status"] == "True"
    told = [e for e in kube.events.values() if e["reason"] == "SidecarCrashed"]
    assert {e["involvedObject"]["kind"] for e in told} == {"ObservedModel", "Deployment"}
    assert len(kube.pods) == 2
    await reconciler(kube).round()
    assert [pod["metadata"]["name"] for pod in kube.pods] == ["chat-7c9d-b"]


@pytest.mark.parametrize(
    ("quota", "opens"),
    [
        ("requested: requests.cpu=50m, used: requests.cpu=1, limited: requests.cpu=1", True),
        ("requested: pods=1, used: pods=1, limited: pods=1", False),
    ],
)
async def test_refused_pods_open_it_when_the_sidecar_is_why(quota: str, opens: bool) -> None:
    """A quota that the sidecar alone exceeds; not one that is full anyway."""
    kube = world()
    kube.pods = []
    kube.events["refused"] = {
        "metadata": {"name": "refused", "creationTimestamp": AFTER}, "reason": "FailedCreate",
        "involvedObject": {"kind": "ReplicaSet", "name": "chat-7c9d"},
        "message": f'pods "chat-x" is forbidden: exceeded quota: q, {quota}',
        "lastTimestamp": AFTER,
    }  # fmt: skip
    await reconciler(kube).round()
    assert bool(breaker(kube)) is opens


async def test_a_new_spec_closes_it() -> None:
    """The status is empty again, and an Event says that pods get their sidecar again."""
    kube = world()
    await reconciler(kube).round()
    await reconciler(kube).round()
    kube.models["chat"]["metadata"]["generation"] = 3
    await reconciler(kube).round()
    assert breaker(kube) == []
    assert "BreakerClosed" in {e["reason"] for e in kube.events.values()}


async def settle(kube: FakeKube) -> Json:
    """Three more rounds of a controller that nobody kills; what stands then."""
    for _ in range(3):
        await reconciler(kube).round()
    return copy.deepcopy(
        {
            "models": kube.models, "pods": kube.pods, "events": kube.events,
            "config": kube.config_maps, "workloads": kube.workloads,
        }
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.booleans())
async def test_a_controller_killed_anywhere_ends_where_another_does(
    kills: list[int], answered: bool
) -> None:
    """Killed before or after any of its API calls, and started again: the cluster alone says how
    to go on. The end state is that of an undisturbed controller, and no Event is there twice.
    """
    undisturbed = await settle(world())
    kube = world()
    for kill_at in kills:
        await killed_round(reconciler(kube), kube, kill_at, answered=answered)
    disturbed = await settle(kube)
    assert disturbed == undisturbed
    said = [(e["involvedObject"]["kind"], e["message"]) for e in kube.events.values()]
    assert len(said) == len(set(said))


async def test_ten_minutes_without_an_api_server_change_nothing() -> None:
    """Every round fails, the next one that does not goes on as if nothing had been."""
    kube = world()
    running = reconciler(kube)
    await running.round()
    kube.writes.clear()
    kube.fault = lambda what: KubeError(what, "connection refused")
    for _ in range(60):
        with pytest.raises(KubeError):
            await running.round()
    kube.fault = None
    await running.round()
    assert kube.writes == ["delete pod"]


async def test_a_restored_etcd_is_a_cluster_like_any_other() -> None:
    """Older objects come back, newer ones are gone: the same controller makes it right."""
    kube = world()
    running = reconciler(kube)
    backup = copy.deepcopy(kube.__dict__)
    for _ in range(3):
        await running.round()
    kube.__dict__.update(backup)
    for _ in range(3):
        await running.round()
    fresh = await settle(world())
    assert (kube.models, kube.pods) == (fresh["models"], fresh["pods"])
    assert kube.config_maps == fresh["config"]
