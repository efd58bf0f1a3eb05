"""Versions of real engines in a real cluster: one name for two things is told, and who has no name
is known by an image's digest.
"""

import copy
from collections.abc import Iterator

import pytest
import yaml
from cluster_client import ROOT, Cluster, wait_until
from installed import apply_model, condition, installed, status, until_asked

DEPLOYMENT, _ = yaml.safe_load_all((ROOT / "examples/llm.yaml").read_text())
LABEL = "app.kubernetes.io/version"
VERSION = DEPLOYMENT["spec"]["template"]["metadata"]["labels"][LABEL]


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, installed for the tests of this file."""
    with installed(cluster):
        yield cluster


def deploy(cluster: Cluster, namespace: str, name: str, context: str, replicas: int = 1) -> dict:
    """A Deployment whose engines are given a context of this length; one of its pods."""
    body = copy.deepcopy(DEPLOYMENT)
    body["metadata"]["name"] = name
    spec = body["spec"]
    spec["replicas"] = replicas
    spec["selector"]["matchLabels"]["deployment"] = name
    spec["template"]["metadata"]["labels"]["deployment"] = name
    (engine,) = spec["template"]["spec"]["containers"]
    engine["args"] = ["--host", "0.0.0.0", "--port", "8080", "--ctx-size", context]
    cluster.apply(body, "--namespace", namespace)
    return rolled_out(cluster, namespace, name, replicas)


def rolled_out(cluster: Cluster, namespace: str, name: str, replicas: int = 1) -> dict:
    """One of a Deployment's pods, once those before them are gone."""
    cluster.kubectl(
        "rollout", "status", f"deployment/{name}", "--namespace", namespace, "--timeout", "90s"
    )

    def alone():
        select = ("--namespace", namespace, "--selector", f"deployment={name}")
        pods = cluster.get("pods", *select)["items"]
        return pods if len(pods) == replicas else None

    return wait_until(alone, 60, "no pods of before")[0]


def versions(cluster: Cluster, namespace: str) -> dict[str, dict]:
    return {row["name"]: row for row in status(cluster, namespace).get("versions", ())}


def told(rows: dict[str, dict]) -> dict[str, dict] | None:
    """The rows, once there are two and the engines of both have said who they are."""
    said = [row for row in rows.values() if row["identity"].get("engineVersion")]
    return rows if len(said) == 2 else None


def test_two_things_under_one_version_are_told_and_a_digest_is_a_name(
    sidelight: Cluster, namespace: str
):
    """The odd pod, what differs and both values, in a condition that can be waited for; another
    version for it, by its image's digest where it has no label, puts it right.
    """
    apply_model(sidelight, namespace)
    until_asked(sidelight, namespace)
    om = ("om/chat", "--namespace", namespace)
    deploy(sidelight, namespace, "chat", "2048", replicas=2)
    sidelight.kubectl(
        "wait", *om, "--for=condition=VersionConsistent=True", "--timeout=60s", timeout=70
    )
    odd = deploy(sidelight, namespace, "odd", "1024")["metadata"]["name"]
    sidelight.kubectl(
        "wait", *om, "--for=condition=VersionConsistent=False", "--timeout=60s", timeout=70
    )
    found = condition(sidelight, namespace, "VersionConsistent")
    assert found["reason"] == "PodsDiffer"
    assert found["message"] == (
        f"version {VERSION}: pod {odd} has max_model_len 1024, 2 others 2048"
    )
    events = ("events", "--namespace", namespace, "--field-selector", "reason=PodsDiffer")
    wait_until(lambda: sidelight.get(*events)["items"], 20, "the Event")

    without = [
        {"op": "remove", "path": "/spec/template/metadata/labels/app.kubernetes.io~1version"}
    ]
    sidelight.kubectl(
        "patch", "deployment/odd", "--namespace", namespace, "--type=json",
        "--patch", yaml.safe_dump(without),
    )  # fmt: skip
    pod = rolled_out(sidelight, namespace, "odd")
    sidelight.kubectl(
        "wait", *om, "--for=condition=VersionConsistent=True", "--timeout=60s", timeout=70
    )
    (engine,) = (one for one in pod["status"]["containerStatuses"] if one["name"] == "llama")
    digest = "sha256:" + engine["imageID"].rpartition("sha256:")[2][:12]
    rows = wait_until(lambda: told(versions(sidelight, namespace)), 60, "both engines' own words")
    assert set(rows) == {VERSION, digest}
    for name, context in ((VERSION, "2048"), (digest, "1024")):
        identity = rows[name]["identity"]
        assert identity["settings"]["max_model_len"] == context
        assert identity["imageDigest"] == digest
        assert identity["template"].startswith("sha256:")
    alike = condition(sidelight, namespace, "VersionConsistent")
    assert alike["status"] == "True", alike
