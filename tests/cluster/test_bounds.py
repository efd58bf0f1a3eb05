"""Namespaces with a LimitRange and a ResourceQuota: what the API server takes, and who says why."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster_client import ROOT, Cluster, wait_until
from installed import SYSTEM, apply_model, installed, status

ENGINE = (ROOT / "examples/llm.yaml").read_text()
RESOURCES = {
    "requests": {"cpu": "250m", "memory": "300Mi"}, "limits": {"cpu": "1", "memory": "600Mi"},
}  # fmt: skip


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, installed for the tests of this file."""
    with installed(cluster) as made:
        yield made


@pytest.fixture
def second(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Another namespace."""
    name = f"{namespace}-low"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def limit_range(**bounds: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "bounds"},
        "spec": {"limits": [{"type": "Container", **bounds}]},
    }  # fmt: skip


def deployment(resources: dict[str, Any]) -> dict[str, Any]:
    """The example's, with these resources."""
    body: dict[str, Any] = next(yaml.safe_load_all(ENGINE))
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    return body


def tried(cluster: Cluster, namespace: str, resources: dict[str, Any]) -> dict[str, Any]:
    """The Deployment's pod, as the API server would have it."""
    template = deployment(resources)["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**template["metadata"], "name": "never-made"}
    dry_run = ("create", "--dry-run=server", "--output=json", "--filename=-", "-n", namespace)
    made: dict[str, Any] = json.loads(cluster.kubectl(*dry_run, stdin=json.dumps(pod)))
    return made


def pod_of(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The pod of the Deployment, once it is ready."""
    wait = ("wait", "--for=condition=Available", "deployment/chat", "--timeout=60s")
    cluster.kubectl(*wait, "--namespace", namespace)
    (pod,) = cluster.get("pods", "--namespace", namespace)["items"]
    found: dict[str, Any] = pod
    return found


def added(pod: dict[str, Any]) -> dict[str, Any]:
    """Resources of what Sidelight added to a pod, by container."""
    inits = pod["spec"].get("initContainers", ())
    return {one["name"]: one["resources"] for one in inits}


def test_bounds_are_kept_and_what_is_too_low_is_told(
    sidelight: Cluster, namespace: str, second: str
):
    """With a minimum and a ratio, and a quota that wants CPU limits, the injected pod is admitted,
    runs and is observed. Where less is allowed than the sidecar needs, the pod starts without it,
    and the webhook, the status and the Deployment's Events name one reason.
    """
    sidelight.apply(
        limit_range(
            min={"cpu": "80m", "memory": "48Mi"}, maxLimitRequestRatio={"cpu": "4", "memory": "2"}
        ),
        "-n", namespace,
    )  # fmt: skip
    hard = "--hard=limits.cpu=4,requests.cpu=2,limits.memory=4Gi,requests.memory=4Gi"
    sidelight.kubectl("create", "quota", "team", "-n", namespace, hard)
    sidelight.apply(limit_range(max={"memory": "350Mi"}), "-n", second)
    for place in (namespace, second):
        apply_model(sidelight, place)

    wait_until(lambda: "sidelight" in added(tried(sidelight, namespace, RESOURCES)), 30, "it asks")
    sidelight.apply(deployment(RESOURCES), "-n", namespace)
    # Until the API server asks about this namespace too: the webhook says why, in its log.
    wait_until(
        lambda: tried(sidelight, second, {}) and said(sidelight, second) == {"LimitsTooLow"},
        30, "the webhook's word about a pod",
    )  # fmt: skip
    sidelight.apply(deployment({}), "-n", second)

    assert added(pod_of(sidelight, namespace)) == {
        "sidelight": {
            "requests": {"cpu": "250m", "memory": "192Mi"},
            "limits": {"cpu": "1", "memory": "384Mi"},
        },
        "sidelight-init": {
            "requests": {"cpu": "250m", "memory": "48Mi"},
            "limits": {"cpu": "1", "memory": "64Mi"},
        },
    }
    assert added(pod_of(sidelight, second)) == {}
    wait_until(
        lambda: status(sidelight, namespace)["pods"]["ratio"] == "1/1", 30, "the pod observed"
    )
    assert status(sidelight, namespace)["pods"]["outdated"] == 0
    assert not status(sidelight, namespace).get("breaker")
    (named,) = wait_until(
        lambda: status(sidelight, second)["pods"].get("notObserved"), 30, "why it is not observed"
    )
    assert named["reason"] == "LimitsTooLow"
    assert "LimitRange bounds" in named["message"]
    wait_until(lambda: "LimitsTooLow" in told(sidelight, second), 20, "an Event of the Deployment")


def said(cluster: Cluster, namespace: str) -> set[str]:
    """Reasons that the webhook's log gives for pods of a namespace."""
    pods = "app.kubernetes.io/component=webhook"
    text = cluster.kubectl("logs", "--namespace", SYSTEM, "--selector", pods, "--tail=-1")
    lines = [json.loads(line) for line in text.splitlines() if namespace in line]
    return {line["reason"] for line in lines if line.get("namespace") == namespace}


def told(cluster: Cluster, namespace: str) -> set[str]:
    """Reasons of the Events that `kubectl describe deployment` shows."""
    uid = cluster.get("deployment/chat", "--namespace", namespace)["metadata"]["uid"]
    events = cluster.get(
        "events", "--namespace", namespace, "--field-selector", f"involvedObject.uid={uid}"
    )
    return {event["reason"] for event in events["items"]}
