"""What the API server makes of a new pod, asked again and again: with a dry run the webhook is
called as for any pod, and nothing has to start.
"""

import copy
import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster_client import Cluster, wait_until

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "chat-", "labels": {"app": "chat"}},
    "spec": {
        "containers": [
            {
                "name": "engine", "image": "localhost/llama-server:dev",
                "command": ["llama-server"],
                "args": ["--host", "0.0.0.0", "--port", "8080"], "ports": [{"containerPort": 8080}],
            }
        ]
    },
}  # fmt: skip


class Api:
    """The API server by way of `kubectl proxy`."""

    def __init__(self, port: int) -> None:
        self._port = port

    def dry_run(self, namespace: str, pod: dict[str, Any] = POD) -> dict[str, Any]:
        """The pod as it would be created."""
        path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(pod), headers)
            response = connection.getresponse()
            body: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        assert response.status == 201, body
        return body


@contextmanager
def api(cluster: Cluster) -> Iterator[Api]:
    """Access for the time of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [cluster.program("kubectl"), "proxy", f"--port={port}"]
    process = subprocess.Popen(
        command, env=cluster.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _answers(port), 20, "kubectl proxy")
        yield Api(port)
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def containers(pod: dict[str, Any]) -> list[str]:
    """Names of its init containers and containers."""
    spec = pod["spec"]
    return [item["name"] for item in (*spec.get("initContainers", ()), *spec["containers"])]


def injected(pod: dict[str, Any]) -> bool:
    """Whether it has a sidecar."""
    return "sidelight" in containers(pod)


class Stream:
    """Pods, one after the other, for as long as the block lasts."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._end = threading.Event()
        self.admitted: list[bool] = []
        self.missed_at: list[float] = []
        self.error: Exception | None = None

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._end.is_set():
            try:
                good = injected(self._api.dry_run(self._namespace, copy.deepcopy(POD)))
            except Exception as error:  # noqa: BLE001 - told by the block's end
                self.error = error
                return
            self.admitted.append(good)
            if not good:
                self.missed_at.append(round(time.monotonic() - begun, 2))
            self._end.wait(0.02)

    @contextmanager
    def flowing(self) -> Iterator["Stream"]:
        """Admit pods meanwhile."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            thread.join(60)
        assert self.error is None, self.error

    def check(self, at_least: int) -> None:
        """Every pod was injected, and there were enough of them to mean something."""
        assert not self.missed_at, (
            f"{len(self.missed_at)} of {len(self.admitted)}: {self.missed_at}"
        )
        assert len(self.admitted) >= at_least
