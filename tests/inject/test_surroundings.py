"""What the cluster and the namespace set: native sidecars, limits, quotas, registries."""

from typing import Any

import pytest
from injection_world import SETTINGS, model, pod

from sidelight_contract.names import Reason
from sidelight_operator.inject import Decision, InjectionSettings, NamespaceFacts, decide

OLD = InjectionSettings(SETTINGS.sidecar_image, native_sidecar=False)
PRIVATE = InjectionSettings(SETTINGS.sidecar_image, pull_secrets=("ours", "theirs"))


def judged(
    body: dict[str, Any],
    settings: InjectionSettings = SETTINGS,
    *,
    limits: dict[str, Any] | None = None,
    quota: dict[str, Any] | None = None,
) -> Decision:
    """The decision with a LimitRange's bounds for containers and a quota's `hard`."""
    bounds = [{"type": "Pod", "max": {"memory": "1"}}, {"type": "Container", **(limits or {})}]
    facts = NamespaceFacts(
        limit_ranges=[{"metadata": {"name": "bounds"}, "spec": {"limits": bounds}}],
        quotas=[{"spec": {"hard": quota or {}}}],
    )
    return decide(body, facts, [model()], settings)


def sidecar_of(decision: Decision) -> dict[str, Any]:
    """The sidecar that was added, native or not."""
    assert decision.patched is not None, decision.message
    spec = decision.patched["spec"]
    every = [*spec["containers"], *spec["initContainers"]]
    found: dict[str, Any] = next(one for one in every if one["name"] == "sidelight")
    return found


def test_on_an_old_cluster_a_pod_that_is_to_end_is_left_alone() -> None:
    """A regular sidecar would keep a Job from completing; a server gets one, first in the row."""
    assert judged(pod(restartPolicy="Never"), OLD).reason is Reason.JOB_WOULD_NOT_END
    patched = judged(pod(), OLD).patched
    assert patched is not None
    assert [one["name"] for one in patched["spec"]["containers"]] == ["sidelight", "server"]
    assert "restartPolicy" not in patched["spec"]["containers"][0]


def test_a_private_registrys_secret_is_added_once_and_taken_out_again() -> None:
    """The pod's own stay, one that is there already is not added."""
    first = judged(pod(imagePullSecrets=[{"name": "theirs"}]), PRIVATE).patched
    assert first is not None
    assert first["spec"]["imagePullSecrets"] == [{"name": "theirs"}, {"name": "ours"}]
    assert judged(first, PRIVATE).patched == first
    without = judged(first).patched
    assert without is not None
    assert without["spec"]["imagePullSecrets"] == [{"name": "theirs"}]
    assert (
        "imagePullSecrets"
        not in (judged(judged(pod(), PRIVATE).patched or {}).patched or {})["spec"]
    )


@pytest.mark.parametrize(
    ("limits", "resources"),
    [
        ({}, {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}}),
        (
            {"min": {"cpu": "100m", "memory": "0.5Gi"}},
            {"requests": {"cpu": "100m", "memory": "0.5Gi"}, "limits": {"memory": "0.5Gi"}},
        ),
        (
            {"maxLimitRequestRatio": {"memory": "2"}},
            {"requests": {"cpu": "50m", "memory": "384Mi"}, "limits": {"memory": "384Mi"}},
        ),
        (
            {"max": {"memory": "1Gi", "cpu": "1"}},
            {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}},
        ),
    ],
)
def test_requests_are_always_set_and_fit_the_namespaces_limits(
    limits: dict[str, Any], resources: dict[str, Any]
) -> None:
    """What the API server would refuse is not asked for."""
    assert sidecar_of(judged(pod(), limits=limits))["resources"] == resources


@pytest.mark.parametrize("limits", [{"max": {"memory": "256Mi"}}, {"max": {"cpu": "20m"}}])
def test_a_limit_below_what_the_sidecar_needs_leaves_the_pod_alone(limits: dict[str, Any]) -> None:
    """With less, the relay could be killed with a model's traffic in its hands."""
    decision = judged(pod(), limits=limits)
    assert decision.reason is Reason.LIMITS_TOO_LOW
    assert "LimitRange bounds" in decision.message


def test_a_cpu_limit_is_set_only_where_a_quota_demands_one() -> None:
    """A quota of limits.cpu refuses a container without; else nothing throttles the relay."""
    assert "cpu" not in sidecar_of(judged(pod(), quota={"pods": "9"}))["resources"]["limits"]
    assert sidecar_of(judged(pod(), quota={"limits.cpu": "9"}))["resources"]["limits"]["cpu"] == "1"


def test_no_container_of_ours_gets_the_pods_service_account_token() -> None:
    """Something else is mounted where the API server would mount it."""
    patched = judged(pod()).patched
    assert patched is not None
    for container in patched["spec"]["initContainers"]:
        mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        assert mounts["/var/run/secrets/kubernetes.io/serviceaccount"] == "sidelight-config"
