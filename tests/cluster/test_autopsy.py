"""Why requests were slow, from sidecars to `kubectl sidelight autopsy`, over a real API server."""

import asyncio
from datetime import UTC, datetime

from cluster_client import Cluster
from controller_world import INSTALLED, TOKENS, injects, summary
from gated_pod import gated_pod
from installed import plugin
from reconcile_world import Sidecars

from sidelight_contract.autopsy import Autopsy, Cause
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube.api import connect

ADDRESS = "198.51.100.1"
AT = 1_795_519_900.0
MODEL = {
    "apiVersion": "sidelight.dev/v1alpha1", "kind": "ObservedModel", "metadata": {"name": "chat"},
    "spec": {"selector": {"matchLabels": {"app": "chat"}}},
}  # fmt: skip
TOLD = [
    Autopsy("m", "chat", AT, Cause.QUEUED, "it waited 9s", times_usual=8.0, duration_ms=12_300),
    Autopsy("m", "chat", AT + 5, Cause.ENGINE_RESET, "the engine broke off the connection",
            error="upstream_reset", duration_ms=80),
]  # fmt: skip


async def one_round(kubeconfig: str, told: list[Autopsy]) -> None:
    sidecars = Sidecars()
    sidecars.by_address[ADDRESS] = answer = summary()
    answer.autopsies = told
    async with connect(kubeconfig) as kube:
        await Reconciler(
            kube, sidecars, injects,
            installed=INSTALLED, clock=lambda: datetime.now(UTC), tokens=TOKENS,
        ).round()  # fmt: skip


def test_kubectl_says_why_requests_were_slow(crd: Cluster, namespace: str):
    """As a user types it; before anything is known it says so, and of a wrong name, too."""
    crd.apply(MODEL, "--namespace", namespace)
    gated_pod(crd, namespace, "v1", ADDRESS)
    asyncio.run(one_round(crd.kubeconfig, []))
    assert "no request of the last minutes" in plugin(crd, "autopsy", "chat", "-n", namespace)
    asyncio.run(one_round(crd.kubeconfig, TOLD))
    said = plugin(crd, "autopsy", "om/chat", "-n", namespace).splitlines()
    assert said == [
        "2026-11-24T11:31:40Z  chat-v1  12.3s  queued", "    it waited 9s",
        "2026-11-24T11:31:45Z  chat-v1  80.0ms  engine_reset",
        "    the engine broke off the connection",
    ]  # fmt: skip
