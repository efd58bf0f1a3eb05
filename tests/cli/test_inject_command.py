"""`sidelight inject`: the webhook's result, a skip, and input that cannot be used."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from injection_world import pod

from sidelight_operator.cli import main

MODEL = {
    "apiVersion": "sidelight.dev/v1alpha1",
    "kind": "ObservedModel",
    "metadata": {"name": "chat"},
    "spec": {"selector": {"matchLabels": {"app": "chat"}}},
}


def run(folder: Path, resource: Any, model: Any = MODEL, *more: str) -> int:
    """The command's exit status for two objects."""
    (folder / "pod.yaml").write_text(yaml.safe_dump(resource))
    (folder / "model.yaml").write_text(yaml.safe_dump(model))
    return main(["inject", "-f", f"{folder}/pod.yaml", "-m", f"{folder}/model.yaml", *more])


def init_names(text: str) -> list[str]:
    return [entry["name"] for entry in yaml.safe_load(text)["spec"]["initContainers"]]


def test_a_pod_is_printed_as_the_webhook_would_make_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Redirect, where nothing forbids it; the image is the one that was given."""
    assert run(tmp_path, pod(), MODEL, "--sidecar-image", "localhost/s:1") == 0
    printed = capsys.readouterr().out
    assert init_names(printed) == ["sidelight-init", "sidelight"]
    assert "localhost/s:1" in printed


def test_a_workloads_pod_under_pod_security(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The template of a Deployment, in a namespace with a label."""
    body = pod()
    workload = {"kind": "Deployment", "spec": {"template": body}}
    label = "pod-security.kubernetes.io/enforce=baseline"
    assert run(tmp_path, workload, MODEL, "--namespace-label", label) == 0
    assert init_names(capsys.readouterr().out) == ["sidelight"]


def test_weights_that_will_not_be_read_are_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, beside the pod, which is injected."""
    selector = {"matchLabels": {"app": "chat"}}
    asks = {**MODEL, "spec": {"selector": selector, "version": {"readWeights": True}}}
    assert run(tmp_path, pod(), asks) == 0
    out, err = capsys.readouterr()
    assert init_names(out) == ["sidelight-init", "sidelight"]
    assert err == "weights are not read: nothing that the engine is told names its model\n"


def test_a_pod_that_is_left_alone_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reason and sentence on stderr, nothing on stdout, status 1."""
    assert run(tmp_path, pod(hostNetwork=True)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("HostNetwork: ")


@pytest.mark.parametrize(
    ("resource", "model", "more", "said"),
    [
        ({"kind": "ConfigMap"}, MODEL, [], "has no pod in it"),
        ([1], MODEL, [], "give one Kubernetes object"),
        (pod(), {"kind": "Pod"}, [], "not ObservedModel"),
        (pod(), {**MODEL, "spec": {}}, [], "spec.selector"),
        (pod(), MODEL, ["--namespace-label", "x"], "KEY=VALUE"),
    ],
)
def test_input_that_cannot_be_used_says_where(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    resource: Any,
    model: Any,
    more: list[str],
    said: str,
) -> None:
    """One line on stderr, status 2."""
    assert run(tmp_path, resource, model, *more) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names it."""
    assert main(["inject", "-f", "/nowhere.yaml", "-m", "/nowhere.yaml"]) == 2
    assert "/nowhere.yaml" in capsys.readouterr().err


LEADER = {"leaderworkerset.sigs.k8s.io/worker-index": "0"}
FILTERED = {**MODEL, "spec": {**MODEL["spec"], "engine": {"podFilter": {"matchLabels": LEADER}}}}


@pytest.mark.parametrize(
    "workload",
    [
        {"kind": "StatefulSet", "spec": {"template": pod()}},
        {"kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1", "spec": {"template": pod()}},
        {"kind": "Job", "spec": {"template": pod(restartPolicy="Never")}},
        {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": pod()}}}},
        {"kind": "PodTemplate", "template": pod()},
    ],
    ids=lambda workload: workload["kind"],
)
def test_pods_of_every_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], workload: dict[str, Any]
) -> None:
    """The pod is found wherever its owner keeps the template."""
    assert run(tmp_path, workload) == 0
    assert init_names(capsys.readouterr().out) == ["sidelight-init", "sidelight"]


def test_of_a_leader_worker_set_the_leader_is_injected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`podFilter` names it by the label that its controller gives; the worker is said to be left
    alone.
    """
    workload = {
        "kind": "LeaderWorkerSet",
        "spec": {"leaderWorkerTemplate": {"workerTemplate": pod(), "leaderTemplate": pod()}},
    }
    assert run(tmp_path, workload, FILTERED) == 0
    out, err = capsys.readouterr()
    (leader,) = yaml.safe_load_all(out)
    assert leader["metadata"]["labels"]["sidelight.dev/injected"] == "true"
    assert err.startswith("worker: PodFiltered: ")


def test_what_kserve_makes_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An InferenceService has no pod in it."""
    assert run(tmp_path, {"kind": "InferenceService", "spec": {"predictor": {}}}) == 2
    assert "the Deployment that it made" in capsys.readouterr().err


def test_limits_of_the_namespace_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A LimitRange below what the sidecar needs, by itself or as `kubectl get` prints them."""
    limits = tmp_path / "limits.yaml"
    bounds = {"type": "Container", "max": {"memory": "256Mi"}}
    limit_range = {"kind": "LimitRange", "spec": {"limits": [bounds]}}
    for written in (limit_range, {"kind": "List", "items": [limit_range]}):
        limits.write_text(yaml.safe_dump(written))
        assert run(tmp_path, pod(), MODEL, "--namespace-object", str(limits)) == 1
        assert capsys.readouterr().err.startswith("LimitsTooLow: ")
