"""The circuit breaker in a real cluster: each way in which Sidelight could keep a model down."""

from collections.abc import Iterator

import pytest
import yaml
from cluster_client import ROOT, Cluster, wait_until
from installed import apply_model, condition, install, installed, status, until_asked

ENGINE = (ROOT / "examples/llm.yaml").read_text()


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, installed for the tests of this file."""
    with installed(cluster) as made:
        yield made


def deploy(cluster: Cluster, namespace: str, *names: str) -> None:
    """The example's Deployment under other names; it is not waited for."""
    for name in names:
        body = next(yaml.safe_load_all(ENGINE))
        body["metadata"]["name"] = name
        body["spec"]["selector"]["matchLabels"]["app"] = name
        body["spec"]["template"]["metadata"]["labels"]["app"] = name
        cluster.apply(body, "--namespace", namespace)


def serves(cluster: Cluster, namespace: str, name: str, *, within: float = 60) -> dict:
    """The pod of the Deployment, once it is ready."""

    def ready():
        pods = cluster.get("pods", "--namespace", namespace, "--selector", f"app={name}")["items"]
        for pod in pods:
            conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
            if conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]:
                return pod
        return None

    return wait_until(ready, within, f"a ready pod of {name}")


def opened(cluster: Cluster, namespace: str, name: str) -> str:
    """The breaker's reason for the one workload of a model, once it is open."""
    (entry,) = wait_until(
        lambda: status(cluster, namespace, name).get("breaker"), 60, f"the breaker of {name}"
    )
    assert entry["workload"] == f"deployment/{name}"
    assert condition(cluster, namespace, "BreakerOpen", name)["status"] == "True"
    return entry["reason"]


def told(cluster: Cluster, namespace: str, name: str) -> set[str]:
    """Reasons of the Events that `kubectl describe deployment` shows."""
    uid = cluster.get(f"deployment/{name}", "--namespace", namespace)["metadata"]["uid"]
    events = cluster.get(
        "events", "--namespace", namespace, "--field-selector", f"involvedObject.uid={uid}"
    )
    return {event["reason"] for event in events["items"]}


def has_sidecar(pod: dict) -> bool:
    return "sidelight.dev/injection" in pod["metadata"].get("annotations", {})


def test_a_quota_that_only_the_sidecar_exceeds(sidelight: Cluster, namespace: str):
    """The pod is refused, then created without a sidecar; a quota that is full anyway opens
    nothing.
    """
    apply_model(sidelight, namespace)
    until_asked(sidelight, namespace)
    sidelight.kubectl(
        "create", "quota", "tight", "--namespace", namespace, "--hard=requests.cpu=100m"
    )
    deploy(sidelight, namespace, "chat")
    assert opened(sidelight, namespace, "chat") == "PodsRejected"
    assert not has_sidecar(serves(sidelight, namespace, "chat", within=90))
    assert "PodsRejected" in told(sidelight, namespace, "chat")
    # Now the quota is full, with or without a sidecar.
    apply_model(sidelight, namespace, "late")
    deploy(sidelight, namespace, "late")
    wait_until(lambda: "FailedCreate" in refused(sidelight, namespace), 30, "the pod refused")
    wait_until(lambda: condition(sidelight, namespace, "BreakerOpen", "late"), 30, "a status of it")
    assert (
        "breaker" not in status(sidelight, namespace, "late")
        or not status(sidelight, namespace, "late")["breaker"]
    )


def refused(cluster: Cluster, namespace: str) -> set[str]:
    events = cluster.get("events", "--namespace", namespace)["items"]
    return {e["reason"] for e in events if e["involvedObject"]["name"].startswith("late-")}


def test_a_sidecar_that_fails_and_an_upgrade_that_mends_it(sidelight: Cluster, namespace: str):
    """An init container that fails, a sidecar that crashes, an image that is not there: each is
    tripped within a minute, for its workload alone, and the model serves without a sidecar. The
    right image closes the breakers again.
    """
    apply_model(sidelight, namespace, "well")
    until_asked(sidelight, namespace, "well")
    deploy(sidelight, namespace, "well")
    observed = serves(sidelight, namespace, "well")
    assert has_sidecar(observed)

    # The operator's image knows neither `redirect` nor `run`.
    install(sidelight, sidecar="sidelight-operator:dev")
    apply_model(sidelight, namespace, "init", interception={"mode": "Redirect"})
    apply_model(sidelight, namespace, "crash", interception={"mode": "PortTakeover"})
    deploy(sidelight, namespace, "init", "crash")
    assert opened(sidelight, namespace, "init") == "InitContainerFailed"
    assert opened(sidelight, namespace, "crash") == "SidecarCrashed"
    for name in ("init", "crash"):
        assert not has_sidecar(serves(sidelight, namespace, name, within=90))
        assert told(sidelight, namespace, name) & {"InitContainerFailed", "SidecarCrashed"}

    install(sidelight, sidecar="sidelight-sidecar:missing")
    apply_model(sidelight, namespace, "image")
    deploy(sidelight, namespace, "image")
    assert opened(sidelight, namespace, "image") == "SidecarImageNotPulled"
    assert not has_sidecar(serves(sidelight, namespace, "image", within=90))

    install(sidelight)
    wait_until(
        lambda: condition(sidelight, namespace, "BreakerOpen", "image")["status"] == "False",
        40, "the breaker closed",
    )  # fmt: skip
    assert "BreakerClosed" in told(sidelight, namespace, "image")
    sidelight.kubectl("rollout", "restart", "deployment/image", "--namespace", namespace)
    wait_until(
        lambda: status(sidelight, namespace, "image")["pods"]["ratio"] == "1/1", 90, "it observed"
    )
    still = serves(sidelight, namespace, "well")
    assert still["metadata"]["uid"] == observed["metadata"]["uid"], "a serving pod was replaced"
