"""The cluster is a real one: what later tests rest on holds."""

import json
import urllib.request

import pytest
from cluster_client import ROOT, Cluster, CommandError, wait_until


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


def test_a_restricted_namespace_refuses_a_privileged_init_container(
    cluster: Cluster, namespace: str
):
    """Pod Security is enforced, as the choice of the mode assumes."""
    cluster.kubectl(
        "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "redirect", "namespace": namespace},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "localhost/sidelight-sidecar:dev",
                    "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}},
                }
            ]
        },
    }
    with pytest.raises(CommandError, match=r'must not include "NET_ADMIN"'):
        cluster.apply(pod)
