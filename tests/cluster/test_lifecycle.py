"""Install, upgrade, uninstall in any order: nothing is missed meanwhile, nothing is left behind."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from admitted import POD, Api, Stream, api, injected
from cluster_client import Cluster, wait_until
from installed import SYSTEM, apply_model, install, uninstall

PREVIOUS = Path(__file__).parent / "charts" / "sidelight-0.1.0.tgz"
"""The chart before the controller kept certificates and namespaces, as `helm package` made it."""
CRD = "crd/observedmodels.sidelight.dev"
MODEL = {
    "apiVersion": "sidelight.dev/v1alpha1", "kind": "ObservedModel", "metadata": {"name": "chat"},
    "spec": {"selector": {"matchLabels": {"app": "chat"}}},
}  # fmt: skip
RESTRICTED = copy.deepcopy(POD)
"""The same pod, as Pod Security `restricted` takes it."""
RESTRICTED["spec"]["securityContext"] = {
    "runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip
RESTRICTED["spec"]["containers"][0]["securityContext"] = {
    "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
}  # fmt: skip
KINDS = (
    "mutatingwebhookconfigurations,validatingadmissionpolicies,clusterroles,clusterrolebindings,"
    "roles,rolebindings,secrets,services,deployments,networkpolicies,poddisruptionbudgets,"
    "configmaps,serviceaccounts,leases"
)


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster without Sidelight, also afterwards."""
    yield cluster
    uninstall(cluster)
    cluster.kubectl("delete", CRD, "--ignore-not-found", "--timeout", "60s")


def left(cluster: Cluster) -> list[str]:
    """Whatever has Sidelight's name, anywhere."""
    names = cluster.kubectl("get", KINDS, "--all-namespaces", "--output", "name").split()
    return [name for name in names if "sidelight" in name]


def test_an_upgrade_from_the_previous_chart_misses_no_pod(empty: Cluster, namespace: str):
    """From a certificate that Helm made to the controller's own; then once more, with nothing of
    the old left but the certificate that its replicas served with.
    """
    install(empty, chart=PREVIOUS)
    empty.apply(MODEL, "--namespace", namespace)
    with api(empty) as pods:
        wait_until(lambda: injected(pods.dry_run(namespace)), 10, "a pod injected")
        with Stream(pods, namespace).flowing() as stream:
            for _ in range(2):
                install(empty)
                (webhook,) = empty.get("mutatingwebhookconfiguration/sidelight")["webhooks"]
                (expression,) = webhook["namespaceSelector"]["matchExpressions"]
                assert expression["values"] == [namespace]
    stream.check(at_least=200)
    assert not [name for name in left(empty) if name.endswith("sidelight-webhook-tls")]


def test_uninstalled_with_models_there_it_leaves_only_them(empty: Cluster, namespace: str):
    """They keep nothing from being deleted later, and take what was made for them along."""
    install(empty)
    apply_model(empty, namespace)
    empty.helm("uninstall", "sidelight", "--namespace", SYSTEM, "--wait")
    model = empty.get("observedmodel/chat", "--namespace", namespace)
    assert "finalizers" not in model["metadata"]
    assert left(empty) == ["configmap/sidelight-chat"]
    with api(empty) as pods:
        assert not injected(pods.dry_run(namespace))
    empty.kubectl("delete", CRD, "--timeout", "30s")
    wait_until(lambda: not left(empty), 60, "nothing left")


def test_its_definition_deleted_first_it_is_uninstalled_as_well(empty: Cluster, namespace: str):
    """With every ObservedModel gone at one blow, under a running operator."""
    install(empty)
    apply_model(empty, namespace)
    empty.kubectl("delete", CRD, "--timeout", "30s")
    with api(empty) as pods:
        wait_until(lambda: not injected(pods.dry_run(namespace)), 10, "pods as they are")
    empty.helm("uninstall", "sidelight", "--namespace", SYSTEM, "--wait")
    wait_until(lambda: not left(empty), 60, "nothing left")


def test_with_roles_in_one_namespace_it_works_there_and_mends_its_secrets(
    empty: Cluster, namespace: str
):
    """`watch.namespaces`: status and injection without a ClusterRole but that for the webhook's
    configuration; a deleted key is made again.
    """
    install(empty, f"watch.namespaces={{{namespace}}}")
    roles = empty.kubectl("get", "clusterroles", "--output", "name").split()
    assert [name for name in roles if "sidelight" in name] == [
        "clusterrole.rbac.authorization.k8s.io/sidelight-admission"
    ]
    secret = ("secret/sidelight-summary-key", "--namespace", SYSTEM)
    before = empty.get(*secret)["metadata"]["uid"]
    empty.kubectl("delete", *secret)
    empty.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    apply_model(empty, namespace)
    with api(empty) as pods:
        wait_until(lambda: admitted(pods, namespace), 30, "a pod injected as the label allows")
    again = wait_until(lambda: empty.get(*secret), 30, "the key made again")
    assert again["metadata"]["uid"] != before
    assert again["data"]["current"]
    logs = [
        empty.kubectl("logs", f"deployment/sidelight-{role}", "--namespace", SYSTEM)
        for role in ("webhook", "controller")
    ]
    assert "forbidden" not in "".join(logs).lower()


def admitted(pods: Api, namespace: str) -> bool:
    """Whether a pod comes in with a sidecar; refused it is until the label is known."""
    try:
        return injected(pods.dry_run(namespace, RESTRICTED))
    except AssertionError:
        return False
