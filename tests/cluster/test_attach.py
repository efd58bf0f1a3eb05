"""Live attach in a real cluster: a model that serves is observed, and notices nothing."""

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from cluster_client import ROOT, Cluster, CommandError, wait_until
from installed import SYSTEM, apply_model, engine_pid, installed, plugin, status, until_asked

from sidelight_operator.kube import KubeError
from sidelight_operator.kube.api import connect

ENGINE = (ROOT / "examples/llm.yaml").read_text()
LABEL = "pod-security.kubernetes.io/enforce"
CONTROLLER = f"system:serviceaccount:{SYSTEM}:sidelight-controller"
STREAM = {
    "messages": [{"role": "user", "content": "Count as far as you can."}], "stream": True,
    "max_tokens": 700, "temperature": 0, "seed": 7, "ignore_eos": True, "cache_prompt": False,
    "stream_options": {"include_usage": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, with the right to attach and short rounds."""
    with installed(cluster, "liveAttach.enabled=true", "controller.intervalSeconds=2") as made:
        yield made


def serving(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The example's one pod, Ready."""
    cluster.apply(ENGINE, "--namespace", namespace)
    cluster.kubectl(
        "rollout", "status", "deployment/chat", "--namespace", namespace, "--timeout", "90s"
    )
    (pod,) = cluster.get("pods", "--namespace", namespace, "--selector", "app=chat")["items"]
    return pod


def pod_of(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get(f"pod/{name}", "--namespace", namespace)
    return found


def tap_state(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    """The state of the pod's tap, as the kubelet has it."""
    for item in pod_of(cluster, namespace, name)["status"].get("ephemeralContainerStatuses", []):
        if item["name"] == "sidelight-tap":
            return item["state"]
    return {}


@dataclass(frozen=True)
class Engine:
    """What must not change about the engine."""

    container: str
    started: str
    restarts: int
    process: tuple[int, str]
    """Its id and when it began, as this machine has them."""


def engine_of(cluster: Cluster, namespace: str, name: str) -> Engine:
    (found,) = pod_of(cluster, namespace, name)["status"]["containerStatuses"]
    return Engine(
        found["containerID"],
        found["state"]["running"]["startedAt"],
        found["restartCount"],
        process_of(name),
    )


def process_of(pod: str) -> tuple[int, str]:
    pid = engine_pid(pod)
    stat = Path(f"/proc/{pid}/stat").read_text()
    return pid, stat.rpartition(")")[2].split()[19]


def ask(connection: http.client.HTTPConnection, body: dict[str, Any]) -> http.client.HTTPResponse:
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    response = connection.getresponse()
    assert response.status == 200
    return response


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream that ended as it should, without what tells two answers apart."""
    assert stream.endswith(b"data: [DONE]\n\n")
    events = []
    for line in stream.removesuffix(b"data: [DONE]\n\n").split(b"\n\n"):
        if line:
            event = json.loads(line.removeprefix(b"data: "))
            events.append({k: v for k, v in event.items() if k in ("choices", "model", "object")})
    return events


def observed(cluster: Cluster, namespace: str) -> int:
    return sum(item["requests"] for item in status(cluster, namespace).get("versions", []))


class Kept:
    """A connection that is kept open: llama.cpp closes one that is idle for 5 s, and one that had
    a stream.
    """

    def __init__(self, address: str) -> None:
        self.connection = connect_to(address)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep)
        self._healthy = True

    def __enter__(self) -> Self:
        self._check()
        self.socket = self.connection.sock.getsockname()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()
        self.connection.close()

    def rest(self) -> None:
        """Stop, and leave the connection to who wants to use it at once."""
        self._stop.set()
        self._thread.join(timeout=30)

    def unharmed(self) -> bool:
        """Whether every answer came, over one and the same socket."""
        return self._healthy and self.connection.sock.getsockname() == self.socket

    def _keep(self) -> None:
        while not self._stop.wait(0.5):
            try:
                self._check()
            except (OSError, http.client.HTTPException):
                self._healthy = False
                return

    def _check(self) -> None:
        self.connection.request("GET", "/health")
        self.connection.getresponse().read()


def connect_to(address: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(address, 80, timeout=120)


def answer(address: str, body: dict[str, Any]) -> bytes:
    with closing(connect_to(address)) as connection:
        return ask(connection, body).read()


def targets(cluster: Cluster) -> list[dict[str, Any]]:
    """The attached taps that Prometheus would find, by the chart's Service."""
    service = cluster.get("service/sidelight-controller", "--namespace", SYSTEM)["spec"]
    found = get(f"{service['clusterIP']}:{service['ports'][0]['port']}", "/targets?attached=true")
    groups: list[dict[str, Any]] = json.loads(found)
    return groups


def get(address: str, path: str) -> bytes:
    with closing(http.client.HTTPConnection(address, timeout=10)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read()


def test_a_serving_pod_is_attached_to_with_a_stream_in_flight(sidelight: Cluster, namespace: str):
    """Under Pod Security baseline. The engine's process, container and start stay the same; a
    stream that is under way and a kept connection are unharmed; what is asked next over that
    connection, and over others, is in the status, with its timing and tokens; Prometheus is told
    where it can have it. The tap judges by a `spec.slo` that came after it. When the model is
    deleted, the tap ends itself.
    """
    sidelight.kubectl("label", "namespace", namespace, f"{LABEL}=baseline")
    name = serving(sidelight, namespace)["metadata"]["name"]
    address = sidelight.get("service/chat", "--namespace", namespace)["spec"]["clusterIP"]
    reference = events_of(answer(address, STREAM))
    before = engine_of(sidelight, namespace, name)

    with Kept(address) as kept, closing(connect_to(address)) as connection:
        response = ask(connection, STREAM)
        got = [response.read1(64)]
        reader = threading.Thread(target=lambda: got.append(response.read()))
        reader.start()
        apply_model(sidelight, namespace, rollout={"attachRunning": True})
        wait_until(
            lambda: "running" in tap_state(sidelight, namespace, name), 60, "the tap running"
        )
        assert reader.is_alive(), "the stream ended too early to show anything"
        attached = tap_state(sidelight, namespace, name)
        apply_model(
            sidelight, namespace,
            rollout={"attachRunning": True}, slo={"duration": "1ms", "errors": []},
        )  # fmt: skip
        reader.join(timeout=120)
        assert events_of(b"".join(got)) == reference
        kept.rest()
        ask(kept.connection, {**STREAM, "stream": False, "max_tokens": 5}).read()
        assert kept.unharmed()

    for _ in range(2):
        answer(address, {**STREAM, "max_tokens": 5})
    wait_until(lambda: observed(sidelight, namespace) == 3, 60, "3 requests in the status")
    now = status(sidelight, namespace)
    (version,) = now["versions"]
    assert version["window"]["timeToFirstToken"]["count"] == 2
    assert version["tokens"]["output"] == 15
    assert now["pods"]["ratio"] == "1/1"
    assert {c["type"]: c["status"] for c in now["conditions"]}["Ready"] == "True"
    (mode,) = now["interception"]
    assert (mode["mode"], mode["reason"]) == ("Tap", "AttachedToRunningPod")
    coverage = mode["coverage"]  # beside an engine that takes every processor some may be lost
    assert (coverage["captured"] == "100%") is (coverage["packetsLost"] == 0)
    assert engine_of(sidelight, namespace, name) == before
    (target,) = [group for group in targets(sidelight) if group["labels"]["pod"] == name]
    assert target["labels"]["namespace"] == namespace
    assert (target["labels"]["observed_model"], target["labels"]["mode"]) == ("chat", "Tap")
    assert b"\nsidelight_requests_total{" in get(*target["targets"], "/metrics")

    def judged() -> bool:
        answer(address, {**STREAM, "max_tokens": 5})
        figures = status(sidelight, namespace).get("slo", {}).get("figures", [])
        return any(f["name"] == "duration" and f["bad"] and not f["good"] for f in figures)

    wait_until(judged, 90, "requests judged by a spec.slo that came after the tap")
    assert tap_state(sidelight, namespace, name) == attached

    sidelight.kubectl("delete", "observedmodel/chat", "--namespace", namespace)
    ended = wait_until(
        lambda: tap_state(sidelight, namespace, name).get("terminated"), 60, "the tap ended"
    )
    assert ended["exitCode"] == 0
    assert "no longer selects" in ended["message"]
    assert engine_of(sidelight, namespace, name) == before


def test_restricted_is_refused_with_the_reason(sidelight: Cluster, namespace: str):
    """In the status and by the command; the pod stays as it was."""
    sidelight.kubectl("label", "namespace", namespace, f"{LABEL}=restricted")
    name = serving(sidelight, namespace)["metadata"]["name"]
    apply_model(sidelight, namespace, rollout={"attachRunning": True})
    (missing,) = wait_until(
        lambda: status(sidelight, namespace)["pods"].get("notObserved"), 30, "the pod named"
    )
    assert missing["reason"] == "PrivilegeNotAllowed"
    assert "restricted forbids" in missing["message"]
    with pytest.raises(CommandError, match="PrivilegeNotAllowed"):
        plugin(sidelight, "attach", name, "--namespace", namespace)
    assert "ephemeralContainers" not in pod_of(sidelight, namespace, name)["spec"]


def test_the_command_attaches_and_checks(sidelight: Cluster, namespace: str):
    """Without attachRunning nothing is attached unasked. `kubectl sidelight attach` does it, once;
    `kubectl sidelight check` finds the installation whole, with a pod that is really tried out.
    The controller itself can add nothing but its tap.
    """
    name = serving(sidelight, namespace)["metadata"]["name"]
    apply_model(sidelight, namespace)
    (missing,) = wait_until(
        lambda: status(sidelight, namespace)["pods"].get("notObserved"), 30, "the pod named"
    )
    assert missing["reason"] == "CreatedBeforeModel"
    said = plugin(sidelight, "attach", f"pod/{name}", "--namespace", namespace)
    assert "is observed for ObservedModel chat" in said
    wait_until(lambda: status(sidelight, namespace)["pods"]["ratio"] == "1/1", 60, "observed")
    with pytest.raises(CommandError, match="NameTaken"):
        plugin(sidelight, "attach", name, "--namespace", namespace)
    lines = plugin(sidelight, "check", "--namespace", namespace).splitlines()
    assert all(line.startswith("ok ") for line in lines), lines
    assert any("a pod tried out for chat gets its sidecar" in line for line in lines)

    uid = pod_of(sidelight, namespace, name)["metadata"]["uid"]
    shell = {"name": "shell", "image": "localhost/x:1", "securityContext": {}}
    with pytest.raises(KubeError, match="its own tap to a pod, and nothing else"):
        asyncio.run(add_as_controller(sidelight.kubeconfig, namespace, name, uid, shell))


async def add_as_controller(
    kubeconfig: str, namespace: str, pod: str, uid: str, container: dict[str, Any]
) -> None:
    async with connect(kubeconfig) as client:
        client._api.set_default_header("Impersonate-User", CONTROLLER)
        await client.add_ephemeral_container(namespace, pod, uid, container)


def test_a_new_pod_can_be_tapped_from_the_start(sidelight: Cluster, namespace: str):
    """`interception.mode: Tap`: a native sidecar, the engine untouched, requests in the status."""
    sidelight.kubectl("label", "namespace", namespace, f"{LABEL}=baseline")
    apply_model(sidelight, namespace, interception={"mode": "Tap"})
    until_asked(sidelight, namespace)
    pod = serving(sidelight, namespace)
    (engine,) = next(iter(yaml.safe_load_all(ENGINE)))["spec"]["template"]["spec"]["containers"]
    (found,) = pod["spec"]["containers"]
    assert (found["args"], found["readinessProbe"]["httpGet"]["port"]) == (engine["args"], "http")
    address = sidelight.get("service/chat", "--namespace", namespace)["spec"]["clusterIP"]
    wait_until(lambda: status(sidelight, namespace)["pods"]["ratio"] == "1/1", 60, "observed")
    answer(address, {**STREAM, "max_tokens": 5})
    wait_until(lambda: observed(sidelight, namespace) == 1, 60, "the request in the status")
    (mode,) = status(sidelight, namespace)["interception"]
    assert (mode["mode"], mode["reason"]) == ("Tap", "ModeRequested")
