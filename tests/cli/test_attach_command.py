"""`sidelight attach`: as the user, with the same decision as the controller's."""

import copy
import hashlib
import json
from typing import Any

import pytest
import yaml
from injection_world import engine, pod

from sidelight_operator.cli import main
from sidelight_operator.cli.attach import StoppedError, Wish, attach
from sidelight_operator.cli.cluster import kubeconfig_of, namespace_of, sidecar_image
from sidelight_operator.kube import KubeError

HASH = hashlib.sha256(b"token").hexdigest()
WISH = Wish("llm", "chat-a", timeout_seconds=0.0)
CONFIG = {"version": 1, "revision": "r1", "model": "chat", "summary_tokens": [HASH]}


def deployment(role: str, **environment: str) -> dict[str, Any]:
    variables = [{"name": name, "value": value} for name, value in environment.items()]
    container = {"name": role, "env": variables}
    return {
        "metadata": {"labels": {"app.kubernetes.io/component": role}},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


class Cluster:
    """What there is, by path; the kubelet starts what is added, in the state that is given."""

    def __init__(self) -> None:
        body = pod(engine())
        body["metadata"] |= {
            "name": "chat-a", "namespace": "llm", "uid": "uid-a",
            "creationTimestamp": "2026-11-24T09:00:00Z",
        }  # fmt: skip
        body["status"] = {
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
        }  # fmt: skip
        self.pod = body
        self.state: dict[str, Any] = {"running": {}}
        self.refusal: KubeError | None = None
        self.asked: list[str] = []
        model = {
            "metadata": {
                "name": "chat", "namespace": "llm", "uid": "uid-chat",
                "creationTimestamp": "2026-11-24T10:00:00Z",
            },
            "spec": {"selector": {"matchLabels": {"app": "chat"}}},
        }  # fmt: skip
        self.there: dict[str, Any] = {
            "/api/v1/namespaces/llm/pods/chat-a": body,
            "/api/v1/namespaces/llm": {"metadata": {"labels": {}}},
            "/api/v1/namespaces/llm/configmaps/sidelight-chat": {
                "data": {"config.json": json.dumps(CONFIG)}
            },
            "/apis/sidelight.dev/v1alpha1/namespaces/llm/observedmodels": [model],
            "/apis/apps/v1/deployments": [
                deployment("webhook", SIDELIGHT_SIDECAR_IMAGE="no"),
                deployment(
                    "controller",
                    SIDELIGHT_SIDECAR_IMAGE="localhost/s:9",
                    SIDELIGHT_SIDECAR_PULL_POLICY="Always",
                ),
            ],
        }

    async def read(self, path: str) -> Any:
        self.asked.append(path)
        return copy.deepcopy(self.there.get(path))

    async def read_all(self, path: str, selector: str = "") -> Any:
        self.asked.append(path)
        return copy.deepcopy(self.there[path])

    async def add_ephemeral_container(
        self, namespace: str, pod: str, uid: str, container: dict[str, Any]
    ) -> None:
        if self.refusal is not None:
            raise self.refusal
        assert (namespace, pod, uid) == ("llm", "chat-a", "uid-a")
        self.pod["spec"].setdefault("ephemeralContainers", []).append(container)
        self.pod["status"]["ephemeralContainerStatuses"] = [
            {"name": container["name"], "state": self.state}
        ]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_a_pod_is_attached_to_and_the_result_is_said(cluster: Cluster) -> None:
    """With the installation's image, the controller's configuration, and the tokens' hashes."""
    said = await attach(cluster, WISH)
    assert "LlamaCpp on port 8080 is observed for ObservedModel chat" in said
    (container,) = cluster.pod["spec"]["ephemeralContainers"]
    assert (container["image"], container["imagePullPolicy"]) == ("localhost/s:9", "Always")
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert json.loads(variables["SIDELIGHT_CONFIG"]) == CONFIG
    assert container["args"][container["args"].index("--token-sha256") + 1] == HASH


async def test_a_dry_run_prints_the_container_and_adds_nothing(cluster: Cluster) -> None:
    """YAML, for the eye; with an image of one's own."""
    wish = Wish("llm", "chat-a", image="localhost/mine:1", dry_run=True)
    printed = yaml.safe_load(await attach(cluster, wish))
    assert (printed["name"], printed["image"]) == ("sidelight-tap", "localhost/mine:1")
    assert "ephemeralContainers" not in cluster.pod["spec"]


async def test_twice_is_refused(cluster: Cluster) -> None:
    """There can be only one, and it stays."""
    await attach(cluster, WISH)
    with pytest.raises(StoppedError, match=r"NameTaken.*only one"):
        await attach(cluster, WISH)
    assert len(cluster.pod["spec"]["ephemeralContainers"]) == 1


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("/api/v1/namespaces/llm/pods/chat-a", None, "no pod chat-a in namespace llm"),
        ("/apis/sidelight.dev/v1alpha1/namespaces/llm/observedmodels", [], "NoModelMatches"),
        ("/api/v1/namespaces/llm/configmaps/sidelight-chat", None, "has not made ConfigMap"),
        (
            "/api/v1/namespaces/llm/configmaps/sidelight-chat",
            {"data": {"config.json": '{"version":1}'}},
            "no token",
        ),
        ("/apis/apps/v1/deployments", [], "no installation.*--image"),
        (
            "/api/v1/namespaces/llm",
            {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
            "PrivilegeNotAllowed.*restricted",
        ),
    ],
)
async def test_what_is_missing_is_said(cluster: Cluster, path: str, value: Any, says: str) -> None:
    """With the reason, and nothing is added."""
    cluster.there[path] = value
    with pytest.raises(StoppedError, match=says):
        await attach(cluster, WISH)
    assert "ephemeralContainers" not in cluster.pod["spec"]


async def test_a_pod_that_does_not_serve_is_left_alone(cluster: Cluster) -> None:
    """It is busy with starting."""
    cluster.pod["status"]["conditions"][0]["status"] = "False"
    with pytest.raises(StoppedError, match="not Ready"):
        await attach(cluster, WISH)


async def test_the_api_servers_refusal_is_said_in_its_words(cluster: Cluster) -> None:
    """A policy, or a right that the user lacks."""
    cluster.refusal = KubeError("PATCH pod", "403 denied by policy x", 403)
    with pytest.raises(StoppedError, match="denied by policy x"):
        await attach(cluster, WISH)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"waiting": {"reason": "ErrImagePull"}}, "does not run after 0 s .ErrImagePull."),
        ({"terminated": {"exitCode": 2, "message": '{"why":"no NET_RAW"}'}}, "ended: no NET_RAW"),
    ],
)
async def test_a_container_that_does_not_come_up_is_said(
    cluster: Cluster, state: dict[str, Any], says: str
) -> None:
    """After the time that is given to it."""
    cluster.state = state
    with pytest.raises(StoppedError, match=says):
        await attach(cluster, WISH)


def test_no_cluster_is_an_exit_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """2, and which file was tried."""
    assert main(["attach", "pod/x", "--kubeconfig", "/nowhere/config"]) == 2
    assert "/nowhere/config" in capsys.readouterr().err


def test_the_plugin_is_called_what_the_user_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`kubectl sidelight` in its help, as kubectl finds it under the name kubectl-sidelight."""
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/kubectl-sidelight"])
    with pytest.raises(SystemExit):
        main(["attach", "--help"])
    assert "usage: kubectl sidelight attach" in capsys.readouterr().out


def test_the_namespace_is_that_of_the_current_context(tmp_path: Any) -> None:
    """As kubectl has it; -n is preferred, and without anything it is `default`."""
    config = tmp_path / "config"
    contexts = [
        {"name": "one", "context": {"namespace": "a"}},
        {"name": "two", "context": {"namespace": "b"}},
        {"name": "bare", "context": {}},
    ]
    config.write_text(yaml.safe_dump({"current-context": "two", "contexts": contexts}))
    assert namespace_of(None, str(config)) == "b"
    assert namespace_of("mine", str(config)) == "mine"
    assert namespace_of(None, f"/nowhere:{config}") == "b"
    config.write_text(yaml.safe_dump({"current-context": "bare", "contexts": contexts}))
    assert namespace_of(None, str(config)) == "default"
    assert namespace_of(None, "/nowhere") == "default"
    assert kubeconfig_of(None, {"KUBECONFIG": "x"}) == "x"
    assert kubeconfig_of("y", {"KUBECONFIG": "x"}) == "y"
    assert kubeconfig_of(None, {}) is None


def test_an_installation_without_the_variable_has_no_image() -> None:
    """As one that is not Sidelight's controller."""
    assert sidecar_image([deployment("controller"), deployment("other")]) == ("", "")


async def test_no_secret_is_read(cluster: Cluster) -> None:
    """The user needs no right to."""
    await attach(cluster, WISH)
    assert cluster.asked
    assert not any("secrets" in path for path in cluster.asked)
