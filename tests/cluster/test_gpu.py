"""GPU figures in a real cluster: an exporter that the operator finds, with recorded figures of the
devices that the pod would have. What only the API server checks is tried on it, too.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster_client import PREFIX, ROOT, Cluster, CommandError, wait_until
from installed import apply_model, condition, installed, status, until_asked

SCRAPE = (ROOT / "tests/fixtures/exporters/dcgm-plain.prom").read_text()
EXPORTER = (ROOT / "tests/support/small_exporter.py").read_text()
EXAMPLES = sorted((ROOT / "examples").glob("gpu-*.yaml"))
POD = "llama-0"
"""As the recorded scrape names it; it has the devices 0 and 1."""
DEVICE = "0 (GPU-5ba1e000)"
GPUS = "/status/capacity/nvidia.com~1gpu"
RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, with short rounds."""
    with installed(cluster, "controller.intervalSeconds=2"):
        yield cluster


@pytest.fixture
def gpus(cluster: Cluster) -> Iterator[None]:
    """The node has four GPUs, as a device plugin would say, while the test runs."""
    (node,) = cluster.get("nodes")["items"]
    name = node["metadata"]["name"]

    def patch(change: dict[str, Any]) -> None:
        arguments = ("--subresource=status", "--type=json", "--patch", json.dumps([change]))
        cluster.kubectl("patch", "node", name, *arguments)

    patch({"op": "add", "path": GPUS, "value": "4"})
    yield
    patch({"op": "remove", "path": GPUS})


def exporter(cluster: Cluster, namespace: str) -> str:
    """dcgm-exporter's stand-in, with rows of the pod that is to come; its address."""
    scrape = SCRAPE.replace('namespace="llm"', f'namespace="{namespace}"')
    files = {"metrics": scrape, "exporter.py": EXPORTER}
    metadata = {"name": "scrape"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files},
        "--namespace", namespace, "--server-side",
    )  # fmt: skip
    container = {
        "name": "exporter", "image": f"{PREFIX}/llama-server:dev", "securityContext": RESTRICTED,
        "command": ["python3", "/scrape/exporter.py", "/scrape/metrics", "9400"],
        "volumeMounts": [{"name": "scrape", "mountPath": "/scrape"}],
        "readinessProbe": {"httpGet": {"path": "/metrics", "port": 9400}, "periodSeconds": 1},
    }  # fmt: skip
    labels = {"app.kubernetes.io/name": "dcgm-exporter"}
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dcgm", "labels": labels},
        "spec": {
            "containers": [container], "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "scrape", "configMap": {"name": "scrape"}}],
        },
    }  # fmt: skip
    cluster.apply(pod, "--namespace", namespace)
    ready = ("wait", "--for=condition=Ready", "pod/dcgm", "--timeout=60s")
    cluster.kubectl(*ready, "--namespace", namespace)
    address: str = cluster.get("pod/dcgm", "--namespace", namespace)["status"]["podIP"]
    return address


def engine(**resources: Any) -> dict[str, Any]:
    """A pod with an engine, by its name the scrape's."""
    (deployment, _) = yaml.safe_load_all((ROOT / "examples/llm.yaml").read_text())
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    container["image"] = f"{PREFIX}/llama-server:dev"
    container["resources"] |= resources
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {
        "name": POD, "labels": template["metadata"]["labels"],
    }}  # fmt: skip


def ask(address: str) -> None:
    """One chat."""
    connection = http.client.HTTPConnection(address, 8080, timeout=60)
    body = {"messages": [{"role": "user", "content": "Say something."}], "max_tokens": 16}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    assert connection.getresponse().status == 200
    connection.close()


def figures(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """What the status says of the version's GPUs."""
    versions = status(cluster, namespace).get("versions") or [{}]
    found: dict[str, Any] = versions[0].get("gpu", {})
    return found


def told(cluster: Cluster, namespace: str, kind: str) -> tuple[str, str]:
    found = condition(cluster, namespace, kind)
    return found.get("status", ""), found.get("reason", "")


def test_an_exporter_is_found_its_figures_shown_its_errors_named_its_absence_said(
    sidelight: Cluster, namespace: str, gpus: None
) -> None:
    """Model, power and utilisation of the pod's own devices, and tokens a joule once there was a
    chat; an XID with pod and device; and that nothing is seen any more when the exporter is gone.
    """
    address = exporter(sidelight, namespace)
    apply_model(sidelight, namespace)
    until_asked(sidelight, namespace)
    sidelight.apply(engine(limits={"nvidia.com/gpu": "2"}), "--namespace", namespace)
    ready = ("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=90s")
    sidelight.kubectl(*ready, "--namespace", namespace)
    pod = sidelight.get(f"pod/{POD}", "--namespace", namespace)
    (sidecar,) = [c for c in pod["spec"]["initContainers"] if c["name"] == "sidelight"]
    assert "nvidia.com/gpu" not in json.dumps(sidecar)

    seen = wait_until(
        lambda: (f := figures(sidelight, namespace)).get("utilization") and f,
        60, "figures of GPUs in the status",
    )  # fmt: skip
    assert seen["devices"] == ["2 x NVIDIA H100 80GB HBM3"]
    assert (seen["pods"], seen["sources"], seen["power"]) == ("1/1", ["DCGM"], "512W")
    assert seen["utilization"] == "93.0%"
    assert told(sidelight, namespace, "GPUVisible") == ("True", "GPUsSeen")
    assert told(sidelight, namespace, "GPUHealthy") == ("True", "GPUsHealthy")
    assert "93.0%" in sidelight.kubectl("get", "om", "--namespace", namespace)

    ask(pod["status"]["podIP"])
    wait_until(lambda: figures(sidelight, namespace).get("tokensPerJoule"), 40, "tokens a joule")

    connection = http.client.HTTPConnection(address, 9400, timeout=10)
    connection.request("POST", "/xid/79")
    assert connection.getresponse().status == 200
    wait_until(
        lambda: told(sidelight, namespace, "GPUHealthy") == ("False", "GPUErrors"),
        40, "the error in the status",
    )  # fmt: skip
    message = condition(sidelight, namespace, "GPUHealthy")["message"]
    assert f"pod {POD}, device {DEVICE}: XID 79" in message
    assert told(sidelight, namespace, "Ready")[0] == "True"
    events = sidelight.get("events", "--namespace", namespace)["items"]
    assert [event["message"] for event in events if event["reason"] == "GPUErrors"] == [message]

    sidelight.kubectl("delete", "pod/dcgm", "--namespace", namespace)
    wait_until(
        lambda: told(sidelight, namespace, "GPUVisible") == ("False", "NoExporterFound"),
        60, "the missing exporter in the status",
    )  # fmt: skip


CLAIMS = [{"name": "gpus", "resourceClaimTemplateName": "two-gpus"}]


def test_the_api_server_takes_a_pod_whose_sidecar_shares_the_engines_claim(
    sidelight: Cluster, common_namespace: str
) -> None:
    """Under Pod Security `restricted`, and with a quota that allows no claim: who shares one has
    none more.
    """
    quota = {"spec": {"hard": {"count/resourceclaims.resource.k8s.io": "0"}}}
    quota |= {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-claims"}}
    sidelight.apply(quota, "--namespace", common_namespace)
    label = "pod-security.kubernetes.io/enforce=restricted"
    sidelight.kubectl("label", "namespace", common_namespace, label, "--overwrite")
    apply_model(sidelight, common_namespace, gpu={"source": "NVML"})
    until_asked(sidelight, common_namespace)
    pod = engine(claims=[{"name": "gpus", "request": "first"}])
    pod["spec"]["resourceClaims"] = CLAIMS
    dry_run = ("create", "--dry-run=server", "--output=json", "--filename=-")
    made = json.loads(
        sidelight.kubectl(*dry_run, "--namespace", common_namespace, stdin=json.dumps(pod))
    )
    (sidecar,) = [c for c in made["spec"]["initContainers"] if c["name"] == "sidelight"]
    assert sidecar["resources"]["claims"] == [{"name": "gpus", "request": "first"}]
    assert sidecar["resources"]["limits"] == {"memory": "448Mi"}
    record = json.loads(made["metadata"]["annotations"]["sidelight.dev/injection"])
    assert (record.get("gpu", ""), record["mode"]) == ("", "PortTakeover")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_api_server_takes_each_example(
    sidelight: Cluster, common_namespace: str, path: Any
) -> None:
    """With the rules of the schema that only it checks, and no field that it does not know."""
    strict = ("--dry-run=server", "--validate=strict")
    sidelight.apply(path.read_text(), "--namespace", common_namespace, *strict)


@pytest.mark.parametrize(
    ("gpu", "says"),
    [
        ({"source": "TPU"}, "Unsupported value"),
        ({"nvml": {"claim": "gpus"}}, "gpu.nvml needs gpu.source NVML"),
        ({"source": "DCGM", "nvml": {"unsafeVisibleAll": True}}, "gpu.nvml needs gpu.source NVML"),
        ({"source": "NVML", "nvml": {"claim": "Not_A_Name"}}, "spec.gpu.nvml.claim"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    sidelight: Cluster, common_namespace: str, gpu: dict[str, Any], says: str
) -> None:
    """Where it is written, not in every sidecar."""
    model = {"apiVersion": "sidelight.dev/v1alpha1", "kind": "ObservedModel",
             "metadata": {"name": "refused"},
             "spec": {"selector": {"matchLabels": {"app": "x"}}, "gpu": gpu}}  # fmt: skip
    with pytest.raises(CommandError, match=says):
        sidelight.apply(model, "--namespace", common_namespace, "--dry-run=server")
