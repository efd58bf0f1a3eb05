"""The whole of Sidelight in a real cluster: installed by its chart, around a real engine."""

import copy
import http.client
import json
from collections.abc import Iterator

import pytest
import yaml
from cluster_client import ROOT, Cluster, CommandError, run, wait_until
from installed import SYSTEM, install, installed, relay_pids, status, until_asked
from installed import apply_model as installed_model

LLM = (ROOT / "examples/llm.yaml").read_text()
MODEL = yaml.safe_load((ROOT / "examples/observedmodel.yaml").read_text())


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, installed for the tests of this file."""
    with installed(cluster):
        yield cluster


def apply_model(cluster: Cluster, namespace: str, **spec: object) -> None:
    """The example's model, once it has its first status and new pods are injected."""
    installed_model(cluster, namespace, **(MODEL["spec"] | spec))
    until_asked(cluster, namespace)


def deploy(cluster: Cluster, namespace: str) -> dict:
    """The example's Deployment, rolled out; its one pod."""
    cluster.apply(LLM, "--namespace", namespace)
    cluster.kubectl(
        "rollout", "status", "deployment/chat", "--namespace", namespace, "--timeout", "90s"
    )
    return only_pod(cluster, namespace)


def only_pod(cluster: Cluster, namespace: str) -> dict:
    """The one pod of the Deployment, once those before it are gone."""

    def one():
        pods = cluster.get("pods", "--namespace", namespace, "--selector", "app=chat")["items"]
        return pods if len(pods) == 1 else None

    return wait_until(one, 60, "one pod")[0]


def ask(address: str, *, stream: bool, port: int = 80) -> bytes:
    connection = http.client.HTTPConnection(address, port, timeout=30)
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "stream": stream}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    response = connection.getresponse()
    assert response.status == 200
    answer = response.read()
    connection.close()
    return answer


def service(cluster: Cluster, namespace: str) -> str:
    return cluster.get("service/chat", "--namespace", namespace)["spec"]["clusterIP"]


def observed_requests(cluster: Cluster, namespace: str) -> int:
    return sum(v["requests"] for v in status(cluster, namespace).get("versions", []))


@pytest.mark.parametrize("mode", ["Redirect", "PortTakeover"])
def test_a_request_through_the_service_is_in_the_status(
    sidelight: Cluster, namespace: str, mode: str
):
    """Both modes: injected at creation, in the path of the Service, seen within 30 s; and the
    engine's own metrics say the same.
    """
    apply_model(sidelight, namespace, interception={"mode": mode})
    pod = deploy(sidelight, namespace)
    assert json.loads(pod["metadata"]["annotations"]["sidelight.dev/injection"])["mode"] == mode
    address = service(sidelight, namespace)
    for number in range(4):
        ask(address, stream=number % 2 == 0)
    wait_until(lambda: observed_requests(sidelight, namespace) == 4, 90, "4 requests in the status")
    (version,) = status(sidelight, namespace)["versions"]
    assert version["name"] == "2026-11-01"
    assert version["identity"]["servedModels"] == ["smollm2"]
    assert version["window"]["timeToFirstToken"]["count"] == 2
    assert status(sidelight, namespace)["pods"]["ratio"] == "1/1"
    assert [m["mode"] for m in status(sidelight, namespace)["interception"]] == [mode]
    agree = wait_until(lambda: metrics_agree(sidelight, namespace), 60, "a comparison")
    assert (agree["status"], agree["reason"]) == ("True", "FiguresAgree")
    assert "output tokens 16 = 16" in agree["message"]


def metrics_agree(cluster: Cluster, namespace: str) -> dict | None:
    """The condition, once there is something to say."""
    found = {c["type"]: c for c in status(cluster, namespace)["conditions"]}.get("MetricsAgree")
    return found if found and found["status"] != "Unknown" else None


def test_a_restricted_namespace_gets_port_takeover_and_says_why(sidelight: Cluster, namespace: str):
    """Pod Security `restricted`: Auto moves the engine, and the status has the reason."""
    sidelight.kubectl(
        "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    apply_model(sidelight, namespace)
    deploy(sidelight, namespace)
    ask(service(sidelight, namespace), stream=True)
    modes = wait_until(
        lambda: status(sidelight, namespace).get("interception"), 30, "the mode in the status"
    )
    assert modes[0]["mode"] == "PortTakeover"
    assert modes[0]["reason"] == "PodSecurityForbidsRedirect"


def test_pods_of_before_are_named_and_a_restart_takes_them_in_and_out(
    sidelight: Cluster, namespace: str
):
    """Created before the model: named with the reason. Without the model, a restart leaves no
    trace of Sidelight in the pod.
    """
    plain = deploy(sidelight, namespace)
    apply_model(sidelight, namespace)

    def named():
        return status(sidelight, namespace).get("pods", {}).get("notObserved")

    (missing,) = wait_until(named, 30, "the pod in notObserved")
    assert missing["reason"] == "CreatedBeforeModel"
    assert missing["name"] == plain["metadata"]["name"]
    restart = ("rollout", "restart", "deployment/chat", "--namespace", namespace)
    sidelight.kubectl(*restart)
    wait_until(
        lambda: status(sidelight, namespace)["pods"]["ratio"] == "1/1", 120, "the new pod observed"
    )
    sidelight.kubectl("delete", "observedmodel/chat", "--namespace", namespace)
    sidelight.kubectl(*restart)
    sidelight.kubectl(
        "rollout", "status", "deployment/chat", "--namespace", namespace, "--timeout", "90s"
    )
    assert "sidelight" not in json.dumps(only_pod(sidelight, namespace))


def test_a_pod_created_while_the_webhook_is_away_runs_and_is_named(
    sidelight: Cluster, namespace: str
):
    """Both replicas down: the pod starts, unobserved, and the status says so."""
    apply_model(sidelight, namespace)
    webhook = ("deployment/sidelight-webhook", "--namespace", SYSTEM)
    sidelight.kubectl("scale", *webhook, "--replicas", "0")
    try:
        wait_until(
            lambda: (
                not sidelight.get(
                    "pods",
                    "--namespace",
                    SYSTEM,
                    "--selector",
                    "app.kubernetes.io/component=webhook",
                )["items"]
            ),
            60,
            "no webhook pods",
        )
        deploy(sidelight, namespace)

        def named():
            return status(sidelight, namespace).get("pods", {}).get("notObserved")

        (missing,) = wait_until(named, 40, "the pod in notObserved")
        assert missing["reason"] == "WebhookMissed"
    finally:
        sidelight.kubectl("scale", *webhook, "--replicas", "2")
        sidelight.kubectl("rollout", "status", *webhook, "--timeout", "90s")


def test_liveness_goes_around_a_stopped_relay(sidelight: Cluster, namespace: str):
    """The relay stopped (SIGSTOP): the pod turns unready, the engine is not restarted, and all is
    well when the relay goes on.
    """
    apply_model(sidelight, namespace, interception={"mode": "Redirect"})
    pod = deploy(sidelight, namespace)
    name = pod["metadata"]["name"]

    def signal_relay(signal: str) -> None:
        # Process 1 cannot be stopped from inside its own namespace; the node can.
        relays = relay_pids(name)
        assert relays
        for pid in relays:
            run_kill(signal, pid)

    def ready() -> bool:
        found = sidelight.get(f"pod/{name}", "--namespace", namespace)["status"]
        return {c["type"]: c["status"] for c in found["conditions"]}["Ready"] == "True"

    signal_relay("STOP")
    try:
        wait_until(lambda: not ready(), 60, "the pod unready")
    finally:
        signal_relay("CONT")
    wait_until(ready, 60, "the pod ready again")
    found = sidelight.get(f"pod/{name}", "--namespace", namespace)["status"]
    assert [c["restartCount"] for c in found["containerStatuses"]] == [0]
    ask(service(sidelight, namespace), stream=False)


def run_kill(signal: str, pid: int) -> None:
    run("kill", f"-{signal}", str(pid))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"selector": {}}, "selector must name at least one label"),
        ({"engine": {"type": "Generic"}}, "engine.type Generic needs engine.port"),
        ({"engine": {"port": "70000"}}, "must be a number from 1 to 65535"),
        ({"engine": {"port": "15001"}}, "must not be one of Sidelight's own ports"),
        (
            {
                "engine": {"type": "Generic", "port": "8000"},
                "interception": {"mode": "PortTakeover"},
            },
            "cannot move the port of a Generic engine",
        ),
    ],
)
def test_a_bad_model_is_refused_with_a_sentence(
    sidelight: Cluster, namespace: str, spec: dict, says: str
):
    """Each rule of the schema, as the API server says it."""
    model = copy.deepcopy(MODEL)
    model["spec"] |= spec
    with pytest.raises(CommandError, match=says):
        sidelight.apply(model, "--namespace", namespace)


def test_a_selector_that_matches_nothing_is_said(sidelight: Cluster, namespace: str):
    """No pods: Ready is not True, and the reason is a word that a user understands."""
    apply_model(sidelight, namespace)
    conditions = {c["type"]: c for c in status(sidelight, namespace)["conditions"]}
    assert conditions["Ready"]["reason"] == "NoPodsSelected"


def test_an_upgrade_keeps_the_certificate(sidelight: Cluster):
    """Installing the chart again changes neither certificate nor trust."""
    bundle = "jsonpath={.webhooks[0].clientConfig.caBundle}"
    get = ("get", "mutatingwebhookconfiguration", "--output", bundle)
    before = sidelight.kubectl(*get, "--selector", "app.kubernetes.io/instance=sidelight")
    install(sidelight)
    after = sidelight.kubectl(*get, "--selector", "app.kubernetes.io/instance=sidelight")
    assert before == after
