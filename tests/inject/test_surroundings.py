"""What the cluster and the namespace set: native sidecars, limits, quotas, registries."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from injection_world import SETTINGS, model, pod

from sidelight_contract.injection import decode_record
from sidelight_contract.names import ANNOTATION_INJECTION, Reason
from sidelight_operator.controller.quantities import parse_quantity
from sidelight_operator.inject import Decision, InjectionSettings, NamespaceFacts, decide
from sidelight_operator.inject.bounds import LIMIT_RANGES, QUOTAS, facts_of, kept

OLD = InjectionSettings(SETTINGS.sidecar_image, native_sidecar=False)
CPU = {"cpu": "1"}
"""The limit where there must be one."""
PRIVATE = InjectionSettings(SETTINGS.sidecar_image, pull_secrets=("ours", "theirs"))


def judged(
    body: dict[str, Any],
    settings: InjectionSettings = SETTINGS,
    *,
    limits: dict[str, Any] | None = None,
    quota: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
) -> Decision:
    """The decision with a LimitRange's bounds for containers and a quota's `hard`."""
    bounds = [{"type": "Pod", "max": {"memory": "1"}}, {"type": "Container", **(limits or {})}]
    facts = NamespaceFacts(
        limit_ranges=[{"metadata": {"name": "bounds"}, "spec": {"limits": bounds}}],
        quotas=[{"spec": {"hard": quota or {}}}],
    )
    return decide(body, facts, [model(**(spec or {}))], settings)


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
            {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "384Mi"}},
        ),
        (
            {"max": {"memory": "1Gi", "cpu": "2"}},
            {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi", **CPU}},
        ),
        (
            {"max": {"cpu": "300m"}, "maxLimitRequestRatio": {"cpu": "7"}},
            {
                "requests": {"cpu": "50m", "memory": "96Mi"},
                "limits": {"memory": "384Mi", "cpu": "300m"},
            },
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "3"}},
            {"requests": {"cpu": "334m", "memory": "96Mi"}, "limits": {"memory": "384Mi", **CPU}},
        ),
        (
            {"default": {"cpu": "100m", "memory": "64Mi"}},
            {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi", **CPU}},
        ),
        (
            {"min": {"memory": "400Mi"}, "maxLimitRequestRatio": {"memory": "1"}},
            {"requests": {"cpu": "50m", "memory": "400Mi"}, "limits": {"memory": "400Mi"}},
        ),
    ],
)
def test_requests_are_always_set_and_fit_the_namespaces_limits(
    limits: dict[str, Any], resources: dict[str, Any]
) -> None:
    """What the API server would refuse is not asked for."""
    assert sidecar_of(judged(pod(), limits=limits))["resources"] == resources


@pytest.mark.parametrize(
    "limits",
    [
        {"max": {"memory": "256Mi"}},
        {"max": {"cpu": "20m"}},
        {"max": {"memory": "1Gi"}, "min": {"memory": "2Gi"}},
    ],
)
def test_a_limit_below_what_the_sidecar_needs_leaves_the_pod_alone(limits: dict[str, Any]) -> None:
    """With less, the relay could be killed with a model's traffic in its hands."""
    decision = judged(pod(), limits=limits)
    assert decision.reason is Reason.LIMITS_TOO_LOW
    assert "LimitRange bounds" in decision.message


def test_a_cpu_limit_is_set_only_where_a_quota_demands_one() -> None:
    """A quota of limits.cpu refuses a container without; else nothing throttles the relay."""
    assert "cpu" not in sidecar_of(judged(pod(), quota={"pods": "9"}))["resources"]["limits"]
    assert sidecar_of(judged(pod(), quota={"limits.cpu": "9"}))["resources"]["limits"]["cpu"] == "1"


@pytest.mark.parametrize("mode", ["Redirect", "PortTakeover", "Tap"])
def test_bounds_do_not_change_the_hash(mode: str) -> None:
    """A LimitRange or a quota that comes, changes or goes makes no running pod outdated."""

    def word(**bounds: Any) -> str:
        decision = judged(pod(), spec={"interception": {"mode": mode}}, **bounds)
        assert decision.patched is not None
        record = decode_record(decision.patched["metadata"]["annotations"][ANNOTATION_INJECTION])
        assert record is not None
        return record.config_hash

    assert word() == word(limits={"min": {"cpu": "1"}}, quota={"limits.cpu": "9"})


QUANTITIES = st.sampled_from(
    [
        "1",
        "10m",
        "50m",
        "100m",
        "333m",
        "0.5",
        "2",
        "1500m",
        "64Mi",
        "1Gi",
        "384Mi",
        "400M",
        "77777Ki",
    ]
)
RATIOS = st.sampled_from(["1", "1.1", "2", "3", "7", "10500m", "100"])
BOUNDS = st.fixed_dictionaries(
    {},
    optional={
        **{
            kind: st.fixed_dictionaries({}, optional={"cpu": QUANTITIES, "memory": QUANTITIES})
            for kind in ("min", "max", "default")
        },
        "maxLimitRequestRatio": st.fixed_dictionaries(
            {}, optional={"cpu": RATIOS, "memory": RATIOS}
        ),
    },
)


@given(st.lists(BOUNDS, max_size=3), st.booleans())
def test_whatever_the_bounds_are_the_api_server_would_take_it(
    ranges: list[dict[str, Any]], demanded: bool
) -> None:
    """Or the pod is left alone; by the rules of the API server's own LimitRanger, and whether the
    bounds are whole or what is kept of them, in whatever order.
    """
    whole = [
        {"metadata": {"name": f"r{at}"}, "spec": {"limits": [{"type": "Container", **bounds}]}}
        for at, bounds in enumerate(ranges)
    ]
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"limits.cpu": "9"} if demanded else {}}}
    decision = decide(pod(), NamespaceFacts({}, whole, [quota]), [model()], SETTINGS)
    found = [(LIMIT_RANGES, body) for body in reversed(whole)] + [(QUOTAS, quota)]
    less = [(kind, one) for kind, body in found if (one := kept(kind, body)) is not None]
    assert decide(pod(), facts_of({}, less), [model()], SETTINGS) == decision
    if decision.patched is None:
        assert decision.reason is Reason.LIMITS_TOO_LOW
        return
    for container in decision.patched["spec"]["initContainers"]:
        asked = container["resources"]
        assert not demanded or "cpu" in asked["limits"]
        for bounds in ranges:
            admit(asked, bounds)


def admit(asked: dict[str, dict[str, str]], bounds: dict[str, Any]) -> None:
    """`plugin/pkg/admission/limitranger`, for one container and one item of a LimitRange."""
    defaults = {**bounds.get("max", {}), **bounds.get("default", {})}
    limits = {**defaults, **asked["limits"]}
    for name in ("cpu", "memory"):
        request = parse_quantity(asked["requests"][name])
        limit = parse_quantity(limits[name]) if name in limits else None
        if least := bounds.get("min", {}).get(name):
            assert request >= parse_quantity(least)
            assert limit is None or limit >= parse_quantity(least)
        if most := bounds.get("max", {}).get(name):
            assert limit is not None
            assert max(limit, request) <= parse_quantity(most)
        if ratio := bounds.get("maxLimitRequestRatio", {}).get(name):
            assert limit is not None
            assert limit <= parse_quantity(ratio) * request


def test_no_container_of_ours_gets_the_pods_service_account_token() -> None:
    """Something else is mounted where the API server would mount it."""
    patched = judged(pod()).patched
    assert patched is not None
    for container in patched["spec"]["initContainers"]:
        mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        assert mounts["/var/run/secrets/kubernetes.io/serviceaccount"] == "sidelight-config"
