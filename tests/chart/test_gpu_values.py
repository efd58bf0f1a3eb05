"""The chart's part in GPU figures: which exporters are looked for, with which rights; consent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidelight_operator.controller.settings import Settings
from sidelight_operator.controller.settings import parse_settings as parse_controller
from sidelight_operator.webhook.app import parse_settings as parse_webhook

CHART = Path(__file__).resolve().parents[2] / "helm/sidelight"
Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


def container_of(objects: Objects, role: str) -> dict[str, Any]:
    spec = objects["Deployment", f"sidelight-{role}"]["spec"]["template"]["spec"]
    found: dict[str, Any] = spec["containers"][0]
    return found


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container["env"]}


def settings(objects: Objects) -> Settings:
    container = container_of(objects, "controller")
    return parse_controller(container["args"][1:], environment(container))


def test_usual_exporters_are_known_without_a_word(render: Render) -> None:
    """NVIDIA's operator and chart, GKE's own, and AMD's two; wherever they are."""
    found = {(rule.kind, rule.selector): rule for rule in settings(render()).exporters}
    assert found.keys() == {
        ("dcgm", "app=nvidia-dcgm-exporter"),
        ("dcgm", "app.kubernetes.io/name=dcgm-exporter"),
        ("dcgm", "app.kubernetes.io/name=gke-managed-dcgm-exporter"),
        ("amd", "app.kubernetes.io/name=metrics-exporter,daemonset-name"),
        ("amd", "app=exporter-amdgpu-metrics-exporter"),
    }
    assert {rule.port for rule in found.values() if rule.kind == "dcgm"} == {9400}
    assert {rule.port for rule in found.values() if rule.kind == "amd"} == {5000}
    assert {rule.namespace for rule in found.values()} == {""}


OWN = (
    "gpu.exporters[0].kind=dcgm", "gpu.exporters[0].namespace=gpu-operator",
    "gpu.exporters[0].labelSelector=app in (a\\, b)", "gpu.exporters[0].port=9401",
    "gpu.exporters[1].kind=amd", "gpu.exporters[1].namespace=team",
    "gpu.exporters[1].labelSelector=app=x", "gpu.exporters[1].port=5000",
)  # fmt: skip


def test_a_list_of_ones_own_replaces_them(render: Render) -> None:
    """A selector passes whole, whatever is in it."""
    first, second = settings(render(*OWN)).exporters
    assert (first.namespace, first.selector, first.port) == ("gpu-operator", "app in (a, b)", 9401)
    assert (second.kind, second.namespace) == ("amd", "team")


def test_no_right_is_added_where_the_controller_lists_all_pods_anyway(render: Render) -> None:
    """Without `watch.namespaces`."""
    assert ("Role", "sidelight-exporters") not in render(*OWN)


def test_with_namespaces_pods_of_those_that_are_named_may_be_listed(
    helm: Callable[..., str],
) -> None:
    """And nothing else; none is made where the controller may already, or for all namespaces."""
    options = [part for value in (*OWN, "watch.namespaces={team,b}") for part in ("--set", value)]
    text = helm("template", "sidelight", str(CHART), "--namespace", "sidelight-system", *options)
    objects = [item for item in yaml.safe_load_all(text) if item]
    roles = [item for item in objects if item["metadata"]["name"] == "sidelight-exporters"]
    role, binding = roles
    assert [item["metadata"]["namespace"] for item in roles] == ["gpu-operator", "gpu-operator"]
    (rule,) = role["rules"]
    assert (rule["apiGroups"], rule["resources"], rule["verbs"]) == ([""], ["pods"], ["list"])
    assert binding["subjects"][0]["name"] == "sidelight-controller"
    assert binding["roleRef"]["name"] == "sidelight-exporters"


def test_defaults_make_no_role_in_a_namespace_that_may_not_be_there(render: Render) -> None:
    """Helm would fail on it."""
    assert ("Role", "sidelight-exporters") not in render("watch.namespaces={a}")


@pytest.mark.parametrize("value", [False, True])
def test_webhook_and_controller_have_one_word_for_what_is_allowed(
    render: Render, *, value: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every pod would be outdated for ever."""
    objects = render(f"gpu.allowUnsafeVisibleAll={str(value).lower()}", "gpu.nvmlMemory=80Mi")
    controller = settings(objects)
    container = container_of(objects, "webhook")
    for name, text in environment(container).items():
        monkeypatch.setenv(name, text)
    webhook = parse_webhook(container["args"][1:])
    assert controller.allow_unsafe_visible_all is webhook.allow_unsafe_visible_all is value
    assert controller.nvml_memory == webhook.nvml_memory == "80Mi"


@pytest.mark.parametrize(
    "value",
    [
        "gpu.exporters[0].kind=tpu", "gpu.exporters[0].port=0", "gpu.nvmlMemory=64",
        "gpu.allowUnsafeVisibleAll=please", "gpu.exporters[0].path=/x",
    ],
)  # fmt: skip
def test_values_that_mean_nothing_are_refused(helm: Callable[..., str], value: str) -> None:
    """By the schema, before anything is installed."""
    with pytest.raises(Exception, match=r"gpu"):
        helm("template", "sidelight", str(CHART), "--set", value)


@pytest.mark.parametrize(
    "text",
    ["x", "{}", '[{"kind":"dcgm"}]', '[{"kind":"dcgm","labelSelector":"","port":9400}]',
     '[{"kind":"dcgm","labelSelector":"a","port":0}]',
     '[{"kind":"dcgm","labelSelector":"a","port":9400,"more":1}]'],
)  # fmt: skip
def test_the_controller_refuses_exporters_that_it_cannot_look_for(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a sentence, and not by looking for nothing."""
    with pytest.raises(SystemExit):
        parse_controller([f"--gpu-exporters={text}"], {})
    assert "--gpu-exporters" in capsys.readouterr().err
