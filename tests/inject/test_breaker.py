"""The circuit breaker's word is the injector's: a workload that it names is left alone."""

import pytest
from injection_world import judge, model, pod

from sidelight_contract.injection import decode_record
from sidelight_contract.names import ANNOTATION_INJECTION, Reason
from sidelight_operator.inject.breaker import open_breakers
from sidelight_operator.inject.owner import workload_of
from sidelight_operator.inject.types import Json, ObservedModelView


def owned(kind: str, name: str, **labels: str) -> Json:
    """A pod that a workload's controller made."""
    body = pod(labels=labels)
    body["metadata"]["ownerReferences"] = [
        {"kind": "Node", "name": "n"}, {"kind": kind, "name": name, "controller": True},
    ]  # fmt: skip
    return body


@pytest.mark.parametrize(
    ("body", "workload"),
    [
        (pod(), ""),
        (owned("ReplicaSet", "chat-7c9d", **{"pod-template-hash": "7c9d"}), "deployment/chat"),
        (owned("ReplicaSet", "a-7c", **{"rollouts-pod-template-hash": "7c"}), "rollout/a"),
        (owned("ReplicaSet", "chat-7c9d"), "replicaset/chat-7c9d"),
        (owned("ReplicaSet", "chat", **{"pod-template-hash": "7c9d"}), "replicaset/chat"),
        (owned("StatefulSet", "chat"), "statefulset/chat"),
        (owned("Job", "batch-29384756"), "cronjob/batch"),
        (owned("Job", "batch-1"), "job/batch-1"),
    ],
)
def test_a_workload_has_kubectls_name(body: Json, workload: str) -> None:
    """A Deployment's or Rollout's own, not its ReplicaSet's, whose name every change replaces."""
    assert workload_of(body["metadata"]) == workload


def test_pods_of_a_workload_with_an_open_breaker_are_left_alone() -> None:
    """Those of another workload, and of none, are injected as before."""
    tripped = ObservedModelView("chat", model().spec, frozenset({"statefulset/chat"}))
    decision = judge(owned("StatefulSet", "chat"), tripped)
    assert (decision.reason, decision.patched) == (Reason.BREAKER_OPEN, None)
    assert "statefulset/chat" in decision.message
    assert judge(owned("StatefulSet", "other"), tripped).reason is Reason.INJECTED
    assert judge(pod(), tripped).reason is Reason.INJECTED


def test_another_generation_closes_the_breaker() -> None:
    """Before the controller has come round to say so."""
    status = {"breaker": [{"workload": "deployment/chat", "generation": 3}]}
    assert open_breakers(status, 3) == {"deployment/chat"}
    assert open_breakers(status, 4) == frozenset()
    assert open_breakers({}, 1) == frozenset()


def test_the_fingerprint_names_what_needs_a_restart() -> None:
    """The mode is in it, the image and what the API server completes are not."""

    def fingerprint(body: Json, **spec: object) -> str:
        patched = judge(body, model(**spec)).patched
        assert patched is not None
        record = decode_record(patched["metadata"]["annotations"][ANNOTATION_INJECTION])
        assert record is not None
        assert record.image == "localhost/sidelight-sidecar:test"
        return record.config_hash

    completed = pod()
    completed["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP"
    completed["spec"]["restartPolicy"] = "Always"
    takeover = {"interception": {"mode": "PortTakeover"}}
    assert fingerprint(pod()) == fingerprint(completed) != ""
    assert fingerprint(pod(), **takeover) == fingerprint(completed, **takeover)
    assert fingerprint(pod()) != fingerprint(pod(), **takeover)
