"""Sidelight, installed by its chart in the cluster of the tests."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster_client import PREFIX, ROOT, Cluster, run, wait_until

SYSTEM = "sidelight-system"


CHART = ROOT / "helm/sidelight"


def install(
    cluster: Cluster, *values: str, sidecar: str = "sidelight-sidecar:dev", chart: Path = CHART
) -> None:
    """Install or upgrade the chart, with `sidecar` as the image that is injected."""
    repository, _, tag = f"{PREFIX}/{sidecar}".rpartition(":")
    cluster.helm(
        "upgrade", "--install", "sidelight", str(chart), "--namespace", SYSTEM,
        "--create-namespace", "--wait", "--timeout", "150s",
        "--set", f"image.operator.repository={PREFIX}/sidelight-operator,image.operator.tag=dev",
        "--set", f"image.sidecar.repository={repository},image.sidecar.tag={tag}",
        *(word for value in values for word in ("--set", value)),
    )  # fmt: skip
    # Helm does not wait for the pods of before, and the API server may go on asking them.
    wait_until(lambda: not leaving(cluster), 60, "the pods of before gone")


def leaving(cluster: Cluster) -> list[str]:
    """Sidelight's own pods that are about to end."""
    pods = cluster.get("pods", "--namespace", SYSTEM)["items"]
    return [p["metadata"]["name"] for p in pods if "deletionTimestamp" in p["metadata"]]


def uninstall(cluster: Cluster) -> None:
    """Take the release away, with all that its Deployments made.

    Helm waits for the Deployments alone. A garbage collector that could not watch meanwhile (the
    API server was away) takes the next Deployment of the same name for the one before, and would
    keep that one's pods for good.
    """
    cluster.helm("uninstall", "sidelight", "--namespace", SYSTEM, "--wait", "--ignore-not-found")
    ours = ("-l", "app.kubernetes.io/instance=sidelight", "--namespace", SYSTEM)
    wait_until(lambda: not cluster.kubectl("get", "replicaset,pod", *ours), 180, "its pods gone")


@contextmanager
def installed(cluster: Cluster, *values: str) -> Iterator[Cluster]:
    """The chart, and nothing of it afterwards."""
    install(cluster, *values)
    try:
        yield cluster
    finally:
        uninstall(cluster)
        cluster.kubectl("delete", "crd", "observedmodels.sidelight.dev", "--timeout", "60s")


def plugin(cluster: Cluster, *arguments: str) -> str:
    """`kubectl sidelight`, as a user has it: the plugin on PATH."""
    path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    return run(
        cluster.program("kubectl"), "sidelight", *arguments,
        KUBECONFIG=cluster.kubeconfig, PATH=path,
    )  # fmt: skip


def engine_pid(pod: str) -> int:
    """The id of the pod's engine, as this machine, which is the node, has it."""
    for process in Path("/proc").iterdir():
        try:
            if b"llama" not in (process / "cmdline").read_bytes():
                continue
            if f"HOSTNAME={pod}".encode() in (process / "environ").read_bytes().split(b"\0"):
                return int(process.name)
        except (OSError, ValueError):
            continue
    raise AssertionError(f"no engine of {pod} on this machine")


def relay_pids(pod: str) -> list[int]:
    """Processes of the relay in the pod, as this machine sees them."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if b"sidelight_sidecar.relay" not in (process / "cmdline").read_bytes():
                continue
            if f"SIDELIGHT_POD_NAME={pod}".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except (OSError, ValueError):
            continue
    return found


def condition(cluster: Cluster, namespace: str, kind: str, model: str = "chat") -> dict[str, Any]:
    """A condition of an ObservedModel; empty before there is one."""
    found = status(cluster, namespace, model).get("conditions", [])
    return next((item for item in found if item["type"] == kind), {})


def status(cluster: Cluster, namespace: str, model: str = "chat") -> dict[str, Any]:
    """The status of an ObservedModel; empty before there is one."""
    found = cluster.get(f"observedmodel/{model}", "--namespace", namespace)
    result: dict[str, Any] = found.get("status", {})
    return result


def apply_model(cluster: Cluster, namespace: str, name: str = "chat", **spec: Any) -> None:
    """An ObservedModel of the pods `app: NAME`, once the controller has seen it."""
    body = {
        "apiVersion": "sidelight.dev/v1alpha1", "kind": "ObservedModel",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, **spec},
    }  # fmt: skip
    cluster.apply(body, "--namespace", namespace)
    generation = cluster.get(f"observedmodel/{name}", "-n", namespace)["metadata"]["generation"]
    wait_until(
        lambda: status(cluster, namespace, name).get("observedGeneration") == generation,
        40, "the controller's status of this spec",
    )  # fmt: skip


def until_asked(cluster: Cluster, namespace: str, name: str = "chat") -> None:
    """Return once pods `app: NAME` are injected: the API server learns of the namespace with its
    first ObservedModel, each replica of the webhook learns of the model by itself, and the node's
    proxy learns of each replica; none of them at once. Hence ten in a row.
    """
    engine = {"name": "engine", "image": f"{PREFIX}/llama-server:dev"}
    engine |= {"command": ["llama-server"], "args": ["--port", "8080"]}
    engine |= {"securityContext": {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}
    }}  # fmt: skip
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "never-made", "labels": {"app": name}},
        "spec": {"containers": [engine], "securityContext": {
            "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}
        }},
    }  # fmt: skip

    def injected() -> bool:
        dry_run = ("create", "--dry-run=server", "--output=json", "--filename=-")
        made = json.loads(cluster.kubectl(*dry_run, "-n", namespace, stdin=json.dumps(pod)))
        return "sidelight.dev/injection" in made["metadata"].get("annotations", {})

    wait_until(lambda: all(injected() for _ in range(10)), 60, "ten new pods injected")
