"""A verdict as kubectl sees it: a real API server, the controller's own rounds, simulated sidecars.

The clock is the test's, so that an hour of traffic takes a second.
"""

import asyncio
import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cluster_client import Cluster, CommandError
from controller_world import INSTALLED, TOKENS, injects, summary
from gated_pod import gated_pod
from reconcile_world import Sidecars
from strata_world import some

from sidelight_contract.strata import Strata
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube.api import connect

OLD, NEW = "198.51.100.1", "198.51.100.2"


def model(compare: dict) -> dict:
    return {
        "apiVersion": "sidelight.dev/v1alpha1", "kind": "ObservedModel",
        "metadata": {"name": "chat"},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}, "compare": compare},
    }  # fmt: skip


async def rounds(kubeconfig: str, slower: float, waiting: subprocess.Popen[str]) -> int:
    """A round a minute until kubectl has seen what it waits for; how many there were."""
    now = [datetime.now(UTC)]
    sidecars, strata = Sidecars(), {OLD: Strata(), NEW: Strata()}
    async with connect(kubeconfig) as kube:
        reconciler = Reconciler(
            kube, sidecars, injects, installed=INSTALLED, clock=lambda: now[0], tokens=TOKENS
        )
        for minute in range(200):
            if waiting.poll() is not None:
                return minute
            for seed, (address, factor) in enumerate(((OLD, 1.0), (NEW, slower))):
                row = some(200, seed=2 * minute + seed, token=0.02 * factor)
                strata[address].merge(Strata([row]))
                sidecars.by_address[address] = told = summary()
                told.strata.merge(strata[address])
            await reconciler.round()
            await asyncio.sleep(0)
            now[0] += timedelta(minutes=1)
    return 200


@pytest.mark.parametrize(
    ("slower", "waited_for", "verdict"),
    [
        (1.0, "condition=Verdict=True", "Promote"),
        (1.2, "condition=Verdict=False", "Rollback"),
        (1.0, "jsonpath={.status.compare.verdict}=Promote", "Promote"),
    ],
)
def test_kubectl_waits_for_a_verdict(
    crd: Cluster, namespace: str, slower: float, waited_for: str, verdict: str
):
    """Whoever rolls out needs no more than kubectl; the status says why, and an Event says it."""
    crd.apply(model({}), "--namespace", namespace)
    for version, address in (("v1", OLD), ("v2", NEW)):
        gated_pod(crd, namespace, version, address)
    waiting = subprocess.Popen(
        [crd.program("kubectl"), "wait", "om/chat", "-n", namespace, f"--for={waited_for}",
         "--timeout=60s"],
        env={**os.environ, "KUBECONFIG": crd.kubeconfig}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        minutes = asyncio.run(rounds(crd.kubeconfig, slower, waiting))
        said, failed = waiting.communicate(timeout=30)
    finally:
        waiting.kill()
    assert waiting.returncode == 0, failed
    assert "condition met" in said
    assert minutes > 10, "the verdict fell before there was evidence"
    found = crd.get("om/chat", "--namespace", namespace)["status"]
    compare = found["compare"]
    assert (compare["baseline"], compare["candidate"]) == ("v1", "v2")
    assert compare["verdict"] == verdict
    (condition,) = [c for c in found["conditions"] if c["type"] == "Verdict"]
    assert condition["message"] == "; ".join(compare["reasons"])
    events = crd.get("events", "--namespace", namespace)["items"]
    assert verdict in [event["reason"] for event in events]


@pytest.mark.parametrize(
    ("compare", "says"),
    [
        ({"baseline": "v1", "candidate": "v1"}, "must be two versions"),
        ({"falseAlarmRate": "0.0%"}, "must be above 0%"),
        ({"tolerance": {"errors": "1"}}, "should match"),
        ({"patience": "soon"}, "should match"),
        ({"baseline": ""}, "at least 1 chars"),
        ({"tolerance": {"errors": "0.5%"}, "patience": "1h30m", "minRequests": 50}, ""),
    ],
)
def test_the_rules_of_a_comparison_are_the_api_servers(
    crd: Cluster, namespace: str, compare: dict, says: str
):
    """Each as a sentence; what is right is taken, with its defaults written out."""
    if says:
        with pytest.raises(CommandError, match=says):
            crd.apply(model(compare), "--namespace", namespace)
        return
    crd.apply(model(compare), "--namespace", namespace)
    spec = crd.get("om/chat", "--namespace", namespace)["spec"]["compare"]
    assert spec["tolerance"] == {
        "timeToFirstToken": "10%", "timePerOutputToken": "5%", "duration": "10%", "errors": "0.5%",
    }  # fmt: skip
    assert (spec["baseline"], spec["candidate"], spec["falseAlarmRate"]) == ("previous", "", "1%")
