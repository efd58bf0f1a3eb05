"""Which workload a pod belongs to, as kubectl names it: `deployment/chat`."""

import re
from collections.abc import Mapping
from typing import Any

_REPLICA_SET_OWNERS = {
    "pod-template-hash": "deployment",
    "rollouts-pod-template-hash": "rollout",
}
"""A Deployment and an Argo Rollout each mark their ReplicaSets' pods with a label."""
_CRON_JOB = re.compile(r"-[0-9]{8,11}$")
"""How a CronJob ends the names of its Jobs: with the minute they were due."""


def workload_of(metadata: Mapping[str, Any]) -> str:
    """The workload that makes pods like this one anew, from the pod's metadata; "" for none.

    Read from names and labels alone, because at admission there is nothing else.
    """
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return _made_by(owner["kind"], owner["name"], metadata.get("labels") or {})
    return ""


def _made_by(kind: str, name: str, labels: Mapping[str, str]) -> str:
    if kind == "ReplicaSet":
        for label, owner in _REPLICA_SET_OWNERS.items():
            if (ending := labels.get(label)) and name.endswith(f"-{ending}"):
                return f"{owner}/{name.removesuffix(f'-{ending}')}"
    if kind == "Job" and _CRON_JOB.search(name):
        return f"cronjob/{_CRON_JOB.sub('', name)}"
    return f"{kind.lower()}/{name}"
