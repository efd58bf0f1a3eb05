"""Adapters, and versions that ended, as kubectl sees them: a real API server, the controller's own
rounds by controllers of their own, sidecars whose requests are made up.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from cluster_client import Cluster
from controller_world import INSTALLED, TOKENS, injects, summary
from gated_pod import gated_pod
from reconcile_world import Sidecars

from sidelight_contract.summary import Summary, TokenCounts
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube.api import connect

OLD, NEW = "198.51.100.1", "198.51.100.2"
MODEL = {
    "apiVersion": "sidelight.dev/v1alpha1", "kind": "ObservedModel",
    "metadata": {"name": "chat"},
    "spec": {"selector": {"matchLabels": {"app": "chat"}}},
}  # fmt: skip


def told(requests: int, *, lost: int = 0, adapter: int = 0) -> Summary:
    """A sidecar of whose requests so many were lost sight of, and so many an adapter answered."""
    made = summary(requests, requests_lost=lost)
    part = made.total[0]
    part.finish_reasons, part.streamed = {"stop": requests}, requests
    part.abandoned.phases, part.abandoned.tokens = {"decode": 2}, TokenCounts(prompt=9, output=4)
    if adapter:
        other = summary(adapter).total[0]
        other.model = "sql"
        made.total.append(other)
        made.window.append(other)
        made.sidecar.adapters = {"sql": "smollm2"}
    return made


async def a_round(kubeconfig: str, answers: dict[str, Summary], now: datetime) -> None:
    sidecars = Sidecars()
    sidecars.by_address |= answers
    async with connect(kubeconfig) as kube:
        await Reconciler(
            kube, sidecars, injects, installed=INSTALLED, clock=lambda: now, tokens=TOKENS
        ).round()


def test_a_version_and_its_adapter_stay_for_a_day_when_their_last_pod_has_gone(
    crd: Cluster, namespace: str
) -> None:
    """The API server takes all of it; each round is another controller's."""
    crd.apply(MODEL, "--namespace", namespace)
    for version, address in (("v1", OLD), ("v2", NEW)):
        gated_pod(crd, namespace, version, address)
    om, now = ("om/chat", "--namespace", namespace), datetime.now(UTC)

    def a_round_with(answers: dict[str, Summary], after: timedelta) -> dict[str, dict]:
        asyncio.run(a_round(crd.kubeconfig, answers, now + after))
        return {version["name"]: version for version in crd.get(*om)["status"]["versions"]}

    old, new = told(3, lost=1, adapter=5), told(40)
    before = a_round_with({OLD: old, NEW: new}, timedelta(0))
    assert {name: found["requests"] for name, found in before.items()} == {
        "v1": 3, "v1/sql": 5, "v2": 40,
    }  # fmt: skip
    assert before["v1/sql"]["identity"]["parent"] == "smollm2"
    assert (before["v1"]["coverage"], before["v1"]["requestsLost"]) == ("88.88%", 1)
    assert before["v1"]["abandoned"]["phases"] == {"decode": 2}
    assert "COVERAGE" in crd.kubectl("get", *om, "-o", "wide")

    crd.kubectl("delete", "pod", "-n", namespace, "-l", "sidelight.dev/version=v1", "--now")
    after = a_round_with({NEW: new}, timedelta(minutes=1))
    assert {name: found["state"] for name, found in after.items()} == {
        "v1": "Ended", "v1/sql": "Ended", "v2": "Serving",
    }  # fmt: skip
    assert after["v1"]["requests"] == 3
    assert next(iter(after)) == "v2"
    written = crd.get(*om)["metadata"]["resourceVersion"]
    assert a_round_with({NEW: new}, timedelta(hours=23)) == after
    assert crd.get(*om)["metadata"]["resourceVersion"] == written
    assert list(a_round_with({NEW: new}, timedelta(hours=25))) == ["v2"]
