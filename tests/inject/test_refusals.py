"""Pods that are left alone: each with its reason, and unchanged."""

import copy
from typing import Any

import pytest
from injection_world import RESTRICTED, engine, judge, model, pod

from sidelight_contract.names import Reason

REDIRECT = {"interception": {"mode": "Redirect"}}
TAKEOVER = {"interception": {"mode": "PortTakeover"}}

CASES: dict[str, tuple[Reason, dict[str, Any], list[Any], dict[str, str]]] = {
    "no model": (
        Reason.NO_MODEL_MATCHES, pod(), [model(selector={"matchLabels": {"app": "x"}})], {},
    ),
    "two models": (Reason.SEVERAL_MODELS_MATCH, pod(), [model("one"), model("two")], {}),
    "opted out": (
        Reason.OPTED_OUT, pod(labels={"sidelight.dev/inject": "false"}), [model()], {},
    ),
    "host network": (Reason.HOST_NETWORK, pod(hostNetwork=True), [model()], {}),
    "windows": (Reason.UNSUPPORTED_POD, pod(os={"name": "windows"}), [model()], {}),
    "two containers of one name": (
        Reason.UNSUPPORTED_POD, pod(engine(), engine(image="other")), [model()], {},
    ),
    "an init container named as a container": (
        Reason.UNSUPPORTED_POD,
        pod(engine(), initContainers=[{"name": engine()["name"], "image": "x"}]), [model()], {},
    ),
    "unknown engine": (
        Reason.ENGINE_UNKNOWN, pod({"name": "c", "image": "nginx"}), [model()], {},
    ),
    "no such container": (
        Reason.ENGINE_CONTAINER_NOT_FOUND, pod(), [model(engine={"container": "gpu"})], {},
    ),
    "generic, several containers": (
        Reason.ENGINE_CONTAINER_NOT_FOUND, pod(engine(), {"name": "other", "image": "x"}),
        [model(engine={"type": "Generic", "port": "8080"})], {},
    ),
    "port of an unknown variable": (
        Reason.PORT_UNKNOWN, pod(engine(args=["--port", "$(PORT)"])), [model()], {},
    ),
    "port of a shell variable": (
        Reason.PORT_UNKNOWN,
        pod(engine(command=["sh", "-c"], args=["llama-server --port $PORT"])), [model()], {},
    ),
    "no such port name": (
        Reason.PORT_NOT_FOUND, pod(), [model(engine={"port": "grpc"})], {},
    ),
    "contradicting port": (
        Reason.PORT_NOT_FOUND, pod(), [model(engine={"port": "9000"})], {},
    ),
    "reserved port": (
        Reason.PORT_RESERVED, pod(engine(args=["--port", "15001"])), [model()], {},
    ),
    "our container's name": (
        Reason.NAME_TAKEN, pod(engine(), {"name": "sidelight", "image": "x"}), [model()], {},
    ),
    "our volume's name": (
        Reason.NAME_TAKEN, pod(volumes=[{"name": "sidelight-config"}]), [model()], {},
    ),
    "our port's name": (
        Reason.NAME_TAKEN,
        pod(engine(ports=[{"name": "sidelight", "containerPort": 8080}])), [model()], {},
    ),
    "redirect where it is forbidden": (
        Reason.PRIVILEGE_NOT_ALLOWED, pod(), [model(**REDIRECT)], RESTRICTED,
    ),
    "takeover of a shell script": (
        Reason.PORT_NOT_MOVABLE,
        pod(engine(command=["sh", "-c"], args=["llama-server $FLAGS"], envFrom=[{}])),
        [model(engine={"port": "8080"}, **TAKEOVER)], {},
    ),
    "takeover of a privileged port": (
        Reason.PORT_NOT_MOVABLE, pod(engine(args=["--port", "80"])), [model(**TAKEOVER)], {},
    ),
    "address from elsewhere": (
        Reason.PORT_UNKNOWN,
        pod(engine(image="ollama/ollama", command=["ollama", "serve"], args=[], env=[{
            "name": "OLLAMA_HOST", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y"}},
        }])),
        [model()], {},
    ),
    "TGI's usual port in another image": (
        Reason.PORT_UNKNOWN,
        pod(engine(command=["text-generation-launcher"], args=[], ports=[])),
        [model()],
        {},
    ),
    "takeover of an unknown command": (
        Reason.PORT_NOT_MOVABLE, pod(engine(command=["/start.sh"], args=[])),
        [model(engine={"type": "LlamaCpp"}, **TAKEOVER)], {},
    ),
    "neither mode is possible": (
        Reason.PORT_NOT_MOVABLE, pod(engine(ports=[])),
        [model(engine={"type": "Generic", "port": "8080"})], RESTRICTED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_pod_that_cannot_be_observed_is_left_alone_with_its_reason(case: str) -> None:
    """Nothing is patched, the given pod is not touched, and a sentence says why."""
    reason, body, models, namespace = CASES[case]
    before = copy.deepcopy(body)
    decision = judge(body, *models, namespace=namespace)
    assert (decision.reason, decision.outcome, decision.patched) == (reason, "skip", None)
    assert body == before
    assert decision.message


def test_two_models_are_both_named() -> None:
    """Their owner must know which ones to narrow."""
    message = judge(pod(), model("one"), model("two")).message
    assert "one and two" in message


def test_when_neither_mode_is_possible_both_reasons_are_given() -> None:
    """Pod Security, and what PortTakeover lacks."""
    _, body, models, namespace = CASES["neither mode is possible"]
    message = judge(body, *models, namespace=namespace).message
    assert "restricted" in message
    assert "PortTakeover" in message
