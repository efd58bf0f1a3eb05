"""What shipping records adds to a pod: room, Secrets, memory; and nothing without sinks."""

from typing import Any

import pytest
from injection_world import engine, judge, model, pod

from sidelight_contract.names import Reason

Json = dict[str, Any]
FILE = {"name": "files", "file": {}}
SPANS = {"name": "traces", "otlp": {"endpoint": "http://collector:4318", "engineSpans": True}}
KAFKA = {
    "name": "topic",
    "secretRef": {"name": "sidelight-kafka"},
    "kafka": {"brokers": ["kafka:9092"], "topic": "llm"},
}


def injected(*sinks: Json, **more: Any) -> Json:
    decision = judge(pod(**more), model(export={"sinks": list(sinks)}))
    assert decision.patched is not None, decision.message
    patched: Json = decision.patched
    return patched


def sidecar_of(body: Json) -> Json:
    return next(one for one in body["spec"]["initContainers"] if one["name"] == "sidelight")


def test_a_secret_is_optional_and_read_only_in_a_folder_of_its_sink():
    """So that a pod starts without it."""
    body = injected(KAFKA)
    (volume,) = [v for v in body["spec"]["volumes"] if "secret" in v]
    assert volume["secret"] == {
        "secretName": "sidelight-kafka", "optional": True, "defaultMode": 0o444,
    }  # fmt: skip
    (mount,) = [m for m in sidecar_of(body)["volumeMounts"] if m["name"] == volume["name"]]
    assert (mount["mountPath"], mount["readOnly"]) == ("/etc/sidelight/secrets/topic", True)
    (container,) = body["spec"]["containers"]
    assert container.get("volumeMounts") is None, "the engine gets nothing of it"


def test_an_empty_dir_has_twice_the_room_that_the_sink_allows_itself():
    """The kubelet evicts a pod that is past it."""
    body = injected(FILE)
    (volume,) = [v for v in body["spec"]["volumes"] if v["name"] == "sidelight-export-file-files"]
    assert volume["emptyDir"] == {"sizeLimit": "2112Mi"}


def test_with_sinks_the_sidecar_has_memory_for_the_capture_process():
    """By as much as that process may take."""
    resources = [sidecar_of(body)["resources"] for body in (injected(), injected(FILE))]
    assert [one["limits"]["memory"] for one in resources] == ["384Mi", "608Mi"]
    assert [one["requests"]["memory"] for one in resources] == ["96Mi", "160Mi"]


def test_the_version_is_told_by_the_label_that_names_it():
    """Records have it; a pod without a label has none."""
    labels = {"app.kubernetes.io/version": "v7"}
    env = {e["name"]: e.get("value") for e in sidecar_of(injected(FILE, labels=labels))["env"]}
    assert env["SIDELIGHT_VERSION"] == "v7"
    assert "SIDELIGHT_VERSION" not in {e["name"] for e in sidecar_of(injected(FILE))["env"]}


@pytest.mark.parametrize("sinks", [[], [SPANS]], ids=["no sink", "a sink asks"])
def test_a_pod_that_has_the_port_of_engines_spans_keeps_it(sinks: list[Json]):
    """The sidecar starts first, and would take it; also where a sink asks only later."""
    other = {"name": "other", "image": "b", "ports": [{"containerPort": 15418}]}
    for containers, expected in (((engine(), other), "0"), ((engine(),), None)):
        decision = judge(pod(*containers), model(export={"sinks": sinks}))
        assert decision.patched is not None, decision.message
        env = {e["name"]: e.get("value") for e in sidecar_of(decision.patched)["env"]}
        assert env.get("SIDELIGHT_ENGINE_SPANS_PORT") == expected
        again = judge(decision.patched, model(export={"sinks": sinks}))
        assert again.patched == decision.patched


def test_injecting_again_takes_the_volumes_of_before_away():
    """Once with sinks, then without: as if never."""
    first = judge(pod(), model(export={"sinks": [FILE, KAFKA]})).patched
    assert first is not None
    assert judge(first, model()).patched == judge(pod(), model()).patched


def test_a_pod_with_a_volume_of_our_name_is_refused():
    """It is not ours to take away later."""
    body = pod(engine(), volumes=[{"name": "sidelight-export-spool", "emptyDir": {}}])
    assert judge(body).reason is Reason.NAME_TAKEN


@pytest.mark.parametrize("name", ["db-password", "sidelight", "Sidelight-x", "sidelight-x/../y"])
def test_a_secret_of_another_name_is_refused_by_the_schema(name: str):
    """Whoever may write ObservedModels can have no other Secret sent anywhere."""
    with pytest.raises(ValueError, match="String should match pattern"):
        model(export={"sinks": [{**KAFKA, "secretRef": {"name": name}}]})
