"""The webhook in a real cluster: whom it is asked about, and that nobody is missed."""

import base64
import json
from collections.abc import Iterator

import pytest
from admitted import POD, Api, Stream, api, containers, injected
from cluster_client import Cluster, CommandError, wait_until
from installed import SYSTEM, apply_model, installed

WEBHOOK = ("deployment/sidelight-webhook", "--namespace", SYSTEM)
CONFIGURATION = "mutatingwebhookconfiguration/sidelight"
MANAGED = {"app.kubernetes.io/managed-by": "sidelight"}


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, installed for the tests of this file."""
    with installed(cluster):
        yield cluster


@pytest.fixture(scope="module")
def pods(sidelight: Cluster) -> Iterator[Api]:
    """Pods to be admitted."""
    with api(sidelight) as found:
        yield found


def entry(cluster: Cluster) -> dict:
    return cluster.get(CONFIGURATION)["webhooks"][0]


def selected(cluster: Cluster) -> list[str]:
    (expression,) = entry(cluster)["namespaceSelector"]["matchExpressions"]
    return expression.get("values", [])


def bundle(cluster: Cluster) -> str:
    return base64.b64decode(entry(cluster)["clientConfig"]["caBundle"]).decode()


def test_nobody_is_missed_while_webhooks_restart_and_the_authority_changes(
    sidelight: Cluster, pods: Api, namespace: str
):
    """A rollout, a deleted replica, and a lost authority: every pod that comes meanwhile is
    injected; the old authority stays trusted beside the new one.
    """
    apply_model(sidelight, namespace)
    wait_until(lambda: injected(pods.dry_run(namespace)), 10, "a first pod injected")
    with Stream(pods, namespace).flowing() as stream:
        sidelight.kubectl("rollout", "restart", *WEBHOOK)
        sidelight.kubectl("rollout", "status", *WEBHOOK, "--timeout", "90s")
        replica = sidelight.kubectl(
            "get", "pods", "--namespace", SYSTEM, "--output", "name", "--selector",
            "app.kubernetes.io/component=webhook", "--field-selector", "status.phase=Running",
        ).split()[0]  # fmt: skip
        sidelight.kubectl("delete", replica, "--namespace", SYSTEM, "--wait=false")
        before = bundle(sidelight)
        sidelight.kubectl(
            "patch", "secret", "sidelight-webhook-authority", "--namespace", SYSTEM,
            "--type", "json", "--patch", '[{"op": "remove", "path": "/data"}]',
        )  # fmt: skip
        apply_model(sidelight, namespace, "other")  # wakes the controller
        wait_until(lambda: bundle(sidelight) != before, 40, "a new authority in the bundle")
        sidelight.kubectl("wait", "--for=delete", replica, "--namespace", SYSTEM, "--timeout=60s")
        sidelight.kubectl("rollout", "status", *WEBHOOK, "--timeout", "90s")
    stream.check(at_least=200)
    assert bundle(sidelight).count("BEGIN CERTIFICATE") == 2
    assert bundle(sidelight).endswith(before)


def test_only_namespaces_with_a_model_are_asked_about(
    sidelight: Cluster, pods: Api, namespace: str
):
    """From the first ObservedModel to the last; a pod elsewhere costs the API server no call."""
    assert namespace not in selected(sidelight)
    assert not injected(pods.dry_run(namespace))
    apply_model(sidelight, namespace)
    wait_until(lambda: namespace in selected(sidelight), 10, "the namespace selected")
    wait_until(lambda: injected(pods.dry_run(namespace)), 10, "a pod injected")
    sidelight.kubectl("delete", "observedmodel/chat", "--namespace", namespace)
    wait_until(lambda: namespace not in selected(sidelight), 10, "the namespace given up")
    assert not injected(pods.dry_run(namespace))


def test_no_container_of_ours_has_the_pods_token(sidelight: Cluster, pods: Api, namespace: str):
    """The API server would mount it into each; the engine's own stays."""
    apply_model(sidelight, namespace)
    pod = wait_until(
        lambda: found if injected(found := pods.dry_run(namespace)) else None, 10, "a pod"
    )
    assert containers(pod) == ["sidelight-init", "sidelight", "engine"]
    (token,) = [
        volume["name"] for volume in pod["spec"]["volumes"]
        if any("serviceAccountToken" in source
               for source in volume.get("projected", {}).get("sources", ()))
    ]  # fmt: skip
    spec = pod["spec"]
    mounted = {
        item["name"]: token in [mount["name"] for mount in item.get("volumeMounts", ())]
        for item in (*spec["initContainers"], *spec["containers"])
    }
    assert mounted == {"sidelight-init": False, "sidelight": False, "engine": True}
    assert "secret" not in json.dumps(spec["volumes"])


@pytest.mark.parametrize(
    ("role", "verb", "what"),
    [
        ("controller", "get", "secrets"), ("controller", "list", "secrets"),
        ("controller", "create", "pods"), ("controller", "update", "pods"),
        ("controller", "patch", "pods/ephemeralcontainers"), ("controller", "create", "pods/exec"),
        ("controller", "create", "mutatingwebhookconfigurations"),
        ("controller", "patch", "mutatingwebhookconfigurations/other"),
        ("controller", "impersonate", "users"), ("controller", "delete", "observedmodels"),
        ("webhook", "get", "secrets"), ("webhook", "create", "pods"),
        ("webhook", "patch", "observedmodels"), ("webhook", "create", "events"),
    ],
)  # fmt: skip
def test_what_the_operator_may_not_do(sidelight: Cluster, role: str, verb: str, what: str):
    """The API server's own word, in any namespace."""
    user = f"system:serviceaccount:{SYSTEM}:sidelight-{role}"
    with pytest.raises(CommandError, match="no"):
        sidelight.kubectl("auth", "can-i", verb, what, "--as", user, "--all-namespaces")


@pytest.mark.parametrize("name", ["sidelight-theirs", "other"])
def test_a_users_config_map_is_out_of_the_controllers_reach(
    sidelight: Cluster, namespace: str, name: str
):
    """Whatever its name: by the chart's policy, to the controller's own account."""
    where = (f"configmap/{name}", "--namespace", namespace)
    sidelight.kubectl("create", "configmap", name, "--namespace", namespace, "--from-literal=a=b")
    for patch in ({"data": {"a": "c"}}, {"metadata": {"labels": MANAGED}, "data": {"a": "c"}}):
        with pytest.raises(CommandError, match="may write its own ConfigMaps"):
            sidelight.kubectl(
                "patch", *where, "--patch", json.dumps(patch),
                "--as", f"system:serviceaccount:{SYSTEM}:sidelight-controller",
            )  # fmt: skip
    assert sidelight.get(*where)["data"] == {"a": "b"}


def test_a_pod_of_the_operators_own_namespace_is_not_asked_about(sidelight: Cluster, pods: Api):
    """Also with an ObservedModel there: Sidelight must not wait for itself."""
    apply_model(sidelight, SYSTEM)
    try:
        wait_until(lambda: SYSTEM in selected(sidelight), 10, "the namespace selected")
        assert not injected(pods.dry_run(SYSTEM, POD))
    finally:
        sidelight.kubectl("delete", "observedmodel/chat", "--namespace", SYSTEM)
