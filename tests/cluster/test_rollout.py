"""Outdated pods in a real cluster: restarted through their owner, or given a new image in place."""

import http.client
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_client import PREFIX, ROOT, Cluster, CommandError, run, wait_until
from installed import SYSTEM, apply_model, condition, install, installed, status, until_asked

PROVIDER = str(ROOT / "hack/cluster/provider.sh")
ENGINE = (ROOT / "examples/llm.yaml").read_text()


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, with the right to restart workloads."""
    with installed(cluster, "rollout.enabled=true") as made:
        yield made


def deploy(cluster: Cluster, namespace: str) -> None:
    cluster.apply(ENGINE, "--namespace", namespace)
    cluster.kubectl("rollout", "status", "deployment/chat", "-n", namespace, "--timeout", "90s")


def the_pod(cluster: Cluster, namespace: str) -> dict:
    """The Deployment's one pod, once it is alone and ready."""

    def alone():
        pods = cluster.get("pods", "--namespace", namespace, "--selector", "app=chat")["items"]
        (pod,) = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return pod if is_ready(pod) else None

    def attempt():
        try:
            return alone()
        except ValueError:
            return None

    return wait_until(attempt, 90, "one ready pod")


def is_ready(pod: dict) -> bool:
    return {c["type"]: c["status"] for c in pod["status"]["conditions"]}.get("Ready") == "True"


def record(pod: dict) -> dict:
    return json.loads(pod["metadata"]["annotations"]["sidelight.dev/injection"])


def container(pod: dict, key: str, name: str) -> dict:
    return next(c for c in pod["status"][key] if c["name"] == name)


def ask(cluster: Cluster, namespace: str) -> None:
    address = cluster.get("service/chat", "--namespace", namespace)["spec"]["clusterIP"]
    connection = http.client.HTTPConnection(address, 80, timeout=30)
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    assert connection.getresponse().status == 200
    connection.close()


def all_observed(cluster: Cluster, namespace: str) -> None:
    wait_until(
        lambda: status(cluster, namespace)["pods"]["ratio"] == "1/1"
        and condition(cluster, namespace, "UpToDate")["status"] == "True",
        90, "the pod observed and up to date",
    )  # fmt: skip


def outdated(cluster: Cluster, namespace: str) -> int:
    return status(cluster, namespace)["pods"]["outdated"]


def test_a_changed_spec_is_reported_and_then_restarts_its_workload(
    sidelight: Cluster, namespace: str
):
    """Manual: counted. WhenOutdated: an exhausted budget holds it up; then one restart, and all is
    up to date. What the controller may do to a Deployment is that, and nothing else.
    """
    apply_model(sidelight, namespace)
    until_asked(sidelight, namespace)
    deploy(sidelight, namespace)
    all_observed(sidelight, namespace)
    first = the_pod(sidelight, namespace)
    takeover = {"mode": "PortTakeover"}
    apply_model(sidelight, namespace, interception=takeover)
    assert condition(sidelight, namespace, "UpToDate")["reason"] == "PodsOutdated"
    assert outdated(sidelight, namespace) == 1

    sidelight.kubectl(
        "create", "pdb", "keep", "--namespace", namespace, "--selector=app=chat",
        "--min-available=1",
    )  # fmt: skip
    apply_model(sidelight, namespace, interception=takeover, rollout={"policy": "WhenOutdated"})
    held = condition(sidelight, namespace, "UpToDate")
    assert held["reason"] == "RolloutWaits"
    assert "PodDisruptionBudget keep" in held["message"]
    assert the_pod(sidelight, namespace)["metadata"]["uid"] == first["metadata"]["uid"]

    sidelight.kubectl("delete", "pdb", "keep", "--namespace", namespace)
    wait_until(
        lambda: condition(sidelight, namespace, "UpToDate")["status"] == "True", 120, "up to date"
    )
    assert record(the_pod(sidelight, namespace))["mode"] == "PortTakeover"
    deployment = sidelight.get("deployment/chat", "--namespace", namespace)
    assert deployment["metadata"]["generation"] == 2, "it was restarted more than once"
    may_only_restart(sidelight, namespace)


def may_only_restart(cluster: Cluster, namespace: str) -> None:
    """The chart's policy: as the controller, an image cannot be put into a Deployment."""
    image = {"spec": {"template": {"spec": {"containers": [{"name": "llama", "image": "evil"}]}}}}
    for patch in (image, {"spec": {"replicas": 5}}, {"metadata": {"labels": {"a": "b"}}}):
        with pytest.raises(CommandError, match="may restart a workload by its own annotation"):
            cluster.kubectl(
                "patch", "deployment/chat", "--namespace", namespace, "--patch", json.dumps(patch),
                "--as", f"system:serviceaccount:{SYSTEM}:sidelight-controller",
            )  # fmt: skip


def load_under_another_tag(folder: Path) -> str:
    """The sidecar's image once more, as `next`: the same content, another image to Kubernetes."""
    archives = run(str(ROOT / "hack/images.sh"), timeout=1200).split()
    (source,) = [path for path in archives if "sidelight-sidecar" in path]
    name, copy = f"{PREFIX}/sidelight-sidecar:next", folder / "next.tar"
    with tarfile.open(source) as old, tarfile.open(copy, "w") as new:
        for member in old:
            content = old.extractfile(member)
            if member.name == "manifest.json" and content is not None:
                manifest = json.load(content)
                manifest[0]["RepoTags"] = [name]
                content = io.BytesIO(json.dumps(manifest).encode())
                member.size = len(content.getvalue())
            new.addfile(member, content)
    run(PROVIDER, "load-image", str(copy), timeout=120)
    return name


def test_a_new_image_reaches_a_running_pod_and_the_engine_goes_on(
    sidelight: Cluster, namespace: str, tmp_path: Path
):
    """In place: the same engine container, started when it was; the sidecar restarted once; what
    comes afterwards is observed. An image that does not run is taken back.
    """
    apply_model(sidelight, namespace, rollout={"policy": "WhenOutdated", "inPlace": True})
    until_asked(sidelight, namespace)
    deploy(sidelight, namespace)
    all_observed(sidelight, namespace)
    before = the_pod(sidelight, namespace)
    engine = container(before, "containerStatuses", "llama")

    values = ("rollout.enabled=true",)
    install(sidelight, *values, sidecar="sidelight-sidecar:missing")
    entry = wait_until(lambda: status(sidelight, namespace)["breaker"], 90, "the breaker open")[0]
    assert entry["reason"] == "SidecarImageNotPulled"
    wait_until(
        lambda: is_ready(sidelight.get(f"pod/{before['metadata']['name']}", "-n", namespace)),
        60, "the pod ready again",
    )  # fmt: skip

    name = load_under_another_tag(tmp_path)
    install(sidelight, *values, sidecar="sidelight-sidecar:next")
    wait_until(lambda: record(the_pod(sidelight, namespace))["image"] == name, 90, "the new image")
    wait_until(
        lambda: condition(sidelight, namespace, "UpToDate")["status"] == "True", 60, "up to date"
    )
    after = the_pod(sidelight, namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    now = container(after, "containerStatuses", "llama")
    for key in ("containerID", "restartCount", "state"):
        assert now[key] == engine[key], "the engine was restarted"
    sidecar = container(after, "initContainerStatuses", "sidelight")
    assert sidecar["restartCount"] > 0
    ask(sidelight, namespace)
    wait_until(
        lambda: sum(v["requests"] for v in status(sidelight, namespace)["versions"]) == 1,
        40, "the request after it in the status",
    )  # fmt: skip
