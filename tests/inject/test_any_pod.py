"""What holds for any pod: a decision, the same one twice, and nothing half done."""

import copy
import json
from typing import Any

import yaml
from any_pod import any_namespace, any_pod, any_spec
from hypothesis import given, settings
from injection_world import SETTINGS, judge, model

from sidelight_contract.names import ANNOTATION_INJECTION, OWN_PORTS, OWN_PORTS_BESIDE_MESH
from sidelight_contract.spec import Engine
from sidelight_operator.cli.inject import inject
from sidelight_operator.inject import Decision, NamespaceFacts
from sidelight_operator.inject.detect import find_engine

Json = dict[str, Any]
MOVED = {OWN_PORTS.takeover, OWN_PORTS_BESIDE_MESH.takeover}


@given(any_pod(), any_spec, any_namespace)
@settings(max_examples=400)
def test_there_is_a_decision_and_it_is_the_same_again(
    pod: Json, spec: Json, namespace: dict[str, str]
) -> None:
    """No exception; the pod that was given is not touched; injecting twice is injecting once."""
    before = copy.deepcopy(pod)
    first = judge(pod, model(**spec), namespace=namespace)
    assert pod == before
    assert first.message
    if first.patched is not None:
        assert judge(first.patched, model(**spec), namespace=namespace).patched == first.patched


@given(any_pod(), any_spec, any_namespace)
@settings(max_examples=200)
def test_an_injection_is_whole(pod: Json, spec: Json, namespace: dict[str, str]) -> None:
    """No probe that keeps a container alive asks the relay; a moved engine serves on its new port;
    a script changes in the number alone; names are unique.
    """
    decision = judge(pod, model(**spec), namespace=namespace)
    if decision.patched is None:
        return
    body = decision.patched["spec"]
    names = [one["name"] for key in ("containers", "initContainers") for one in body.get(key) or ()]
    assert len(names) == len(set(names))
    if decision.mode in ("Redirect", "PortTakeover"):
        assert not list(alive_through_relay(decision))
    if decision.mode == "PortTakeover":
        assert_moved(decision)


def alive_through_relay(decision: Decision) -> Any:
    """Probes that keep a container alive and ask the port that leads through the relay."""
    assert decision.patched is not None
    for container in decision.patched["spec"]["containers"]:
        ports = {port.get("name"): port["containerPort"] for port in container.get("ports") or ()}
        for name in ("livenessProbe", "startupProbe"):
            for kind in ("httpGet", "tcpSocket", "grpc"):
                port = ((container.get(name) or {}).get(kind) or {}).get("port", 0)
                if ports.get(port, port) == decision.port:
                    yield container["name"], name


def assert_moved(decision: Decision) -> None:
    """Looked at anew, the engine serves where the relay looks for it; words changed in a number."""
    assert decision.patched is not None
    assert decision.engine is not None
    containers = [c for c in decision.patched["spec"]["containers"] if c["name"] != "sidelight"]
    asked = {"type": decision.engine.value, "container": decision.engine_container}
    assert find_engine(containers, Engine.model_validate(asked)).port in MOVED
    record = json.loads(decision.patched["metadata"]["annotations"][ANNOTATION_INJECTION])
    for edit in record.get("edits", ()):
        old, new = edit.get("old"), edit["new"]
        if edit["path"][0] in ("command", "args") and isinstance(old, str):
            assert one_change(old, new) or f" {new.split()[-1]}" in new


def one_change(old: str, new: str) -> bool:
    """Whether two texts differ in one place, where the new one has the new port."""
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))
    return any(
        new[: at + len(str(port))].endswith(str(port))
        and old[:at] == new[:at]
        and old.endswith(new[at + len(str(port)) :])
        for port in MOVED
        for at in range(max(0, start - 5), start + 1)
    )


@given(any_pod(), any_spec, any_namespace)
@settings(max_examples=50)
def test_the_command_decides_as_the_webhook_does(
    pod: Json, spec: Json, namespace: dict[str, str]
) -> None:
    """The pod as YAML, in a Deployment's template: the same decision, word for word."""
    view = model(**spec)
    template = yaml.safe_load(yaml.safe_dump({k: pod[k] for k in ("metadata", "spec")}))
    workload = {"kind": "Deployment", "spec": {"template": template}}
    ((_, offline),) = inject(workload, [view], NamespaceFacts(namespace), SETTINGS)
    assert offline == judge(pod, view, namespace=namespace)
