"""The API server killed under a model that serves, and back half a minute later."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from cluster_client import ROOT, Cluster, wait_until
from installed import SYSTEM, apply_model, installed, status, until_asked
from outage import API, ControlPlane

AWAY_SECONDS = 25.0
LLM = (ROOT / "examples/llm.yaml").read_text()
MODEL = yaml.safe_load((ROOT / "examples/observedmodel.yaml").read_text())


@pytest.fixture
def control(cluster: Cluster) -> ControlPlane:
    """The processes of the built-in cluster; another one's are not ours to kill."""
    folder = Path(cluster.kubeconfig).parent
    if not (folder / "pid" / API).exists():
        pytest.skip("not the built-in cluster: its API server is no process of this machine")
    return ControlPlane(folder)


class Traffic:
    """Chats through the Service, one after the other, for as long as the block lasts."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._end = threading.Event()
        self.answered = 0
        self.failed: list[str] = []

    def _run(self) -> None:
        body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2})
        while not self._end.wait(0.3):
            try:
                connection = http.client.HTTPConnection(self._address, 80, timeout=20)
                connection.request("POST", "/v1/chat/completions", body)
                response = connection.getresponse()
                response.read()
                connection.close()
                assert response.status == 200, response.status
                self.answered += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failed.append(repr(error))

    @contextmanager
    def flowing(self) -> Iterator["Traffic"]:
        """Chat meanwhile."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            thread.join(60)


def operators(cluster: Cluster) -> dict[str, int]:
    """Restarts of Sidelight's own pods."""
    pods = cluster.get("pods", "--namespace", SYSTEM)["items"]
    return {
        pod["metadata"]["name"]: sum(c["restartCount"] for c in pod["status"]["containerStatuses"])
        for pod in pods
    }


def requests(cluster: Cluster, namespace: str) -> int:
    return sum(v["requests"] for v in status(cluster, namespace).get("versions", []))


def test_traffic_does_not_feel_that_the_api_server_is_away(
    cluster: Cluster, control: ControlPlane, namespace: str
):
    """Every request is answered, and counted afterwards; Sidelight's pods are not restarted, and
    the next pod is injected.
    """
    with installed(cluster):
        apply_model(cluster, namespace, **MODEL["spec"])
        until_asked(cluster, namespace)
        cluster.apply(LLM, "--namespace", namespace)
        cluster.kubectl("rollout", "status", "deployment/chat", "-n", namespace, "--timeout", "90s")
        address = cluster.get("service/chat", "-n", namespace)["spec"]["clusterIP"]
        before = operators(cluster)
        with Traffic(address).flowing() as traffic:
            wait_until(lambda: traffic.answered >= 3, 30, "first answers")
            control.stop(API)
            try:
                so_far = traffic.answered
                time.sleep(AWAY_SECONDS)
                meanwhile = traffic.answered - so_far
            finally:
                control.start(API)
            wait_until(lambda: cluster.kubectl("get", "--raw", "/readyz"), 60, "the API server")
            until_asked(cluster, namespace)
        assert traffic.failed == []
        assert meanwhile >= 10, "enough to mean something"
        wait_until(
            lambda: requests(cluster, namespace) == traffic.answered, 40,
            f"{traffic.answered} requests in the status",
        )  # fmt: skip
        assert status(cluster, namespace)["pods"]["ratio"] == "1/1"
        assert operators(cluster) == before
