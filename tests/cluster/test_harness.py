"""The cluster is a real one: what later tests rest on holds."""

import json
import urllib.request

import pytest
from cluster_client import PREFIX, ROOT, Cluster, CommandError, wait_until

IMAGE = f"{PREFIX}/sidelight-sidecar:dev"
"""Has Python, a shell and nft."""


def pod(name: str, *, init: list[dict], main: dict) -> dict:
    """A pod of containers with our own image that end as soon as they are told."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "initContainers": [{"image": IMAGE, **container} for container in init],
            "containers": [{"image": IMAGE, **main}],
        },
    }


def server(name: str, port: int, **more: object) -> dict:
    """A container that answers every request with its own name."""
    program = (
        "import http.server as h\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(b'%s')\n"
        "h.ThreadingHTTPServer(('', %d), H).serve_forever()"
    )
    return {"name": name, "command": ["python3", "-c", program % (name, port)], **more}


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        return response.read().decode()


def test_the_example_engine_serves_through_its_service(cluster: Cluster, namespace: str):
    """examples/llm.yaml, unchanged, becomes ready and answers as llama.cpp does."""
    cluster.apply((ROOT / "examples/llm.yaml").read_text(), "--namespace", namespace)
    cluster.kubectl(
        "rollout", "status", "deployment/chat", "--namespace", namespace, "--timeout", "90s"
    )
    address = cluster.get("service/chat", "--namespace", namespace)["spec"]["clusterIP"]
    request = urllib.request.Request(
        f"http://{address}/v1/chat/completions",
        data=json.dumps(
            {"messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 4}
        ).encode(),
    )

    def answer():
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    body = wait_until(answer, 15, "an answer from the Service")
    assert body["model"] == "smollm2"
    assert body["usage"]["completion_tokens"] == 4


def test_a_native_sidecar_is_up_before_the_main_container_starts(cluster: Cluster, namespace: str):
    """Its startup probe holds the main container back."""
    sidecar = server(
        "sidecar",
        9000,
        restartPolicy="Always",
        startupProbe={"httpGet": {"path": "/", "port": 9000}, "initialDelaySeconds": 2},
    )
    cluster.apply(pod("order", init=[sidecar], main=server("main", 8000)), "-n", namespace)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/order", "-n", namespace, "--timeout=60s")
    status = cluster.get("pod/order", "-n", namespace)["status"]
    (first,), (second,) = status["initContainerStatuses"], status["containerStatuses"]
    assert first["started"]
    assert first["state"]["running"]["startedAt"] < second["state"]["running"]["startedAt"]


def test_an_init_container_can_redirect_a_port(cluster: Cluster, namespace: str):
    """Rules in the pod's own network, from the machine's side: what mode Redirect rests on."""
    rules = (
        "table ip try { chain in { type nat hook prerouting priority -100; "
        "tcp dport 8000 redirect to :15001; }; }"
    )
    privileges = {"runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}}
    init = {"name": "rules", "command": ["nft", rules], "securityContext": privileges}
    cluster.apply(pod("redirect", init=[init], main=server("relay", 15001)), "-n", namespace)
    cluster.kubectl(
        "wait", "--for=condition=Ready", "pod/redirect", "-n", namespace, "--timeout=60s"
    )
    address = cluster.get("pod/redirect", "-n", namespace)["status"]["podIP"]
    assert wait_until(lambda: get(f"http://{address}:8000/"), 15, "an answer") == "relay"


def test_a_restricted_namespace_refuses_a_privileged_init_container(
    cluster: Cluster, namespace: str
):
    """Pod Security is enforced, as the choice of the mode assumes."""
    cluster.kubectl(
        "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    asks = {"name": "rules", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}
    with pytest.raises(CommandError, match=r'must not include "NET_ADMIN"'):
        cluster.apply(pod("refused", init=[asks], main={"name": "main"}), "-n", namespace)
