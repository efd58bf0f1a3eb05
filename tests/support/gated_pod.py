"""Pods of a real API server that nobody schedules, and that say they run."""

import copy
import json

from cluster_client import Cluster
from controller_world import pod_body


def gated_pod(cluster: Cluster, namespace: str, version: str, address: str) -> None:
    """A pod `chat-VERSION` with a sidecar at `address`."""
    labels = {"sidelight.dev/version": version}
    body = pod_body(f"chat-{version}", labels=labels, ip=address, owner=None)
    told = body.pop("status")
    for key in ("uid", "creationTimestamp", "resourceVersion", "namespace", "ownerReferences"):
        body["metadata"].pop(key, None)
    body |= {"apiVersion": "v1", "kind": "Pod"}
    body["spec"] = copy.deepcopy(body["spec"]) | {"schedulingGates": [{"name": "test/never"}]}
    cluster.apply(body, "--namespace", namespace)
    told["podIPs"] = [{"ip": address}]
    told["initContainerStatuses"][0] |= {
        "image": "i", "imageID": "", "restartCount": 0, "started": True,
        "state": {"running": {}},
    }  # fmt: skip
    cluster.kubectl(
        "patch", "pod", f"chat-{version}", "-n", namespace, "--subresource=status",
        "--type=merge", "--patch", json.dumps({"status": told}),
    )  # fmt: skip
