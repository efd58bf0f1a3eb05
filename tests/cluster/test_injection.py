"""Injected pods on a real API server and a real node, with a real engine, without the webhook."""

import copy
import http.client
import json
from contextlib import suppress
from typing import Any

import pytest
import yaml
from any_pod import any_pod, any_spec
from cluster_client import PREFIX, ROOT, Cluster, CommandError, wait_until
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from injection_world import model

from sidelight_contract.names import ADMIN_PORT
from sidelight_operator.inject import InjectionSettings, NamespaceFacts, decide

SETTINGS = InjectionSettings(f"{PREFIX}/sidelight-sidecar:dev")
SERVE = "llama-server --host 0.0.0.0 --port 8080 --ctx-size 2048 --parallel 2 --alias smollm2"


def engine_pod(name: str) -> dict[str, Any]:
    """The example's pod, under a name of its own."""
    (deployment, _) = yaml.safe_load_all((ROOT / "examples/llm.yaml").read_text())
    pod = copy.deepcopy(deployment["spec"]["template"])
    pod["spec"]["containers"][0]["image"] = f"{PREFIX}/llama-server:dev"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        **pod,
        "metadata": {"name": name, "labels": {"app": "chat", "run": name}},
    }


def injected(pod: dict[str, Any], **spec: Any) -> dict[str, Any]:
    decision = decide(pod, NamespaceFacts(), [model(**spec)], SETTINGS)
    assert decision.patched is not None, decision.message
    return decision.patched


def ask(address: str, port: int) -> None:
    connection = http.client.HTTPConnection(address, port, timeout=30)
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    response = connection.getresponse()
    assert response.status == 200
    response.read()
    connection.close()


def observed(address: str) -> float:
    """Chat requests that the sidecar at an address has counted."""
    connection = http.client.HTTPConnection(address, ADMIN_PORT, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    lines = [line for line in text.splitlines() if line.startswith("sidelight_requests_total{")]
    return sum(float(line.split()[1]) for line in lines if 'operation="chat"' in line)


def test_engines_are_moved_and_named_ports_lead_through_the_sidecar(
    cluster: Cluster, namespace: str
):
    """An engine in a shell script is moved and serves; a Service that names the port goes through
    the sidecar in mode NamedPort, and the number goes to the engine; no container of ours has the
    pod's service account token; the pod of a Job ends.
    """
    script = engine_pod("script")
    script["spec"]["containers"][0] |= {"command": ["sh", "-c"], "args": [f"exec {SERVE}  # go"]}
    named = engine_pod("named")
    job = engine_pod("job")
    job["spec"]["restartPolicy"] = "Never"
    ended = {"command": ["python3", "-c"], "args": ["print('done')"]}
    job["spec"]["containers"] = [job["spec"]["containers"][0] | ended]
    for part in ("startupProbe", "readinessProbe", "livenessProbe"):
        del job["spec"]["containers"][0][part]
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "named"},
        "spec": {"selector": {"run": "named"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }  # fmt: skip
    generic = {"type": "Generic", "port": "8080"}
    for body in (
        injected(script, interception={"mode": "PortTakeover"}),
        injected(named, interception={"mode": "NamedPort"}),
        injected(job, engine=generic),
        service,
    ):
        cluster.apply(body, "--namespace", namespace)
    for name in ("script", "named"):
        cluster.kubectl(
            "wait", "--for=condition=Ready", f"pod/{name}", "-n", namespace, "--timeout=120s"
        )
    addresses = {
        name: cluster.get(f"pod/{name}", "-n", namespace)["status"]["podIP"]
        for name in ("script", "named")
    }
    ask(addresses["script"], 8080)
    wait_until(lambda: observed(addresses["script"]) == 1, 20, "the moved engine's request")
    ask(addresses["named"], 8080)
    ask(cluster.get("service/named", "-n", namespace)["spec"]["clusterIP"], 80)
    wait_until(lambda: observed(addresses["named"]) == 1, 20, "the Service's request alone")
    for name in addresses:
        found = cluster.get(f"pod/{name}", "-n", namespace)
        assert [c["restartCount"] for c in found["status"]["containerStatuses"]] == [0]
        (sidecar,) = found["spec"]["initContainers"]
        assert not [m for m in sidecar["volumeMounts"] if m["name"].startswith("kube-api-access")]
    wait_until(
        lambda: cluster.get("pod/job", "-n", namespace)["status"]["phase"] == "Succeeded",
        60,
        "the Job's pod at its end",
    )


def test_what_the_api_server_takes_it_takes_injected(cluster: Cluster, namespace: str):
    """Pods of any shape, before and after: none is refused because of Sidelight."""
    cases: list[tuple[dict, dict]] = []

    @given(st.lists(st.tuples(any_pod(), any_spec), min_size=30, max_size=30))
    @settings(
        max_examples=4, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def gather(pairs: list[tuple[dict, dict]]) -> None:
        cases.extend(pairs)

    gather()
    bodies = []
    for number, (pod, spec) in enumerate(cases):
        decision = decide(pod, NamespaceFacts(), [model(**spec)], SETTINGS)
        if decision.patched is not None:
            bodies.append(named(pod, f"pod-{number}-before"))
            bodies.append(named(decision.patched, f"pod-{number}-after"))
    bodies = bodies[:120]
    assert len(bodies) >= 60
    accepted = dry_run(cluster, namespace, bodies)
    before = {name for name in accepted if name.endswith("-before")}
    assert len(before) >= 15
    missing = {name for name in before if name.replace("-before", "-after") not in accepted}
    assert not missing, [body for body in bodies if body["metadata"]["name"] in missing]


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        ({"profile": {"programs": ["serve"]}}, ""),
        ({"type": "Generic", "profile": {"defaultPort": 9000}}, ""),
        ({"type": "Generic"}, "engine.type Generic needs engine.port"),
        ({"type": "Generic", "profile": {"portFlag": "--port"}}, "engine.profile.defaultPort"),
        ({"type": "VLLM", "profile": {"programs": ["serve"]}}, "must be Auto or Generic"),
        ({"profile": {"portFlag": "--port"}}, "needs images or programs"),
        ({"profile": {"programs": ["serve"], "portFlag": "port"}}, "should match"),
        ({"podFilter": {}}, "selector must name at least one label"),
        ({"morePorts": ["1", "2", "3", "4", "5", "6", "7", "8"]}, "must have at most 7 items"),
    ],
)
def test_an_engines_rules_are_the_api_servers(
    crd: Cluster, namespace: str, engine: dict, says: str
):
    """Each rule about a profile, as a sentence; what is right is taken."""
    body = {
        "apiVersion": "sidelight.dev/v1alpha1", "kind": "ObservedModel",
        "metadata": {"name": "own"},
        "spec": {"selector": {"matchLabels": {"app": "own"}}, "engine": engine},
    }  # fmt: skip
    if says:
        with pytest.raises(CommandError, match=says):
            crd.apply(body, "--namespace", namespace)
    else:
        crd.apply(body, "--namespace", namespace)


@pytest.fixture(scope="module")
def crd(crd: Cluster) -> Cluster:
    """It takes the example of a server of one's own."""
    example = (ROOT / "examples/observedmodel-own-engine.yaml").read_text()
    crd.apply(example, "--dry-run=server")
    return crd


def named(pod: dict[str, Any], name: str) -> dict[str, Any]:
    metadata = {key: value for key, value in pod["metadata"].items() if key != "generateName"}
    return {**pod, "metadata": {**metadata, "name": name}}


def dry_run(cluster: Cluster, namespace: str, bodies: list[dict]) -> set[str]:
    """The names of those that the API server takes, unknown fields being errors."""
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict"
    accepted = set()
    for body in bodies:
        with suppress(CommandError):
            cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
            accepted.add(body["metadata"]["name"])
    return accepted
