"""Objectives as kubectl sees them: a real API server, the controller's own rounds, sidecars whose
requests are made up.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cluster_client import Cluster, CommandError
from controller_world import INSTALLED, TOKENS, injects, summary
from gated_pod import gated_pod
from reconcile_world import Sidecars

from sidelight_contract.slo import FAULTS, SloCount, SloReport, SloSettings
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube.api import connect

OLD, NEW = "198.51.100.1", "198.51.100.2"
SLO = {"timeToFirstToken": "500ms", "timePerOutputToken": "40ms", "objective": "0.99"}


def model(slo: dict) -> dict:
    return {
        "apiVersion": "sidelight.dev/v1alpha1", "kind": "ObservedModel",
        "metadata": {"name": "chat"},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}, "slo": slo},
    }  # fmt: skip


def told(now: datetime, late: int) -> SloReport:
    """A thousand streams, some of which began too late."""
    settings = SloSettings(ttft=0.5, tpot=0.04, errors=list(FAULTS))
    report = SloReport(settings.revision, 0.0)
    good, slow = SloCount(1000, 0), SloCount(1000 - late, late)
    counts = {"ttft": slow, "tpot": good, "errors": good, "all": slow}
    report.history.take(now.timestamp(), counts)
    return report


async def a_round(kubeconfig: str, late: dict[str, int], now: datetime) -> None:
    sidecars = Sidecars()
    for address, bad in late.items():
        sidecars.by_address[address] = answer = summary()
        answer.slo = told(now, bad)
    async with connect(kubeconfig) as kube:
        await Reconciler(
            kube, sidecars, injects, installed=INSTALLED, clock=lambda: now, tokens=TOKENS
        ).round()


def test_kubectl_shows_how_a_model_and_its_versions_do(crd: Cluster, namespace: str) -> None:
    """In a column, in the status and in a condition that can be waited for."""
    crd.apply(model(SLO), "--namespace", namespace)
    for version, address in (("v1", OLD), ("v2", NEW)):
        gated_pod(crd, namespace, version, address)
    now = datetime.now(UTC)
    asyncio.run(a_round(crd.kubeconfig, {OLD: 2, NEW: 11}, now))
    om = ("om/chat", "--namespace", namespace)
    shown = crd.kubectl("get", *om)
    assert "99.35%" in shown
    crd.kubectl("wait", *om, "--for=condition=SLOMet=True", "--timeout=5s")
    status = crd.get(*om)["status"]
    assert status["slo"]["errorBudgetLeft"] == "35%"
    versions = {version["name"]: version["slo"][0] for version in status["versions"]}
    assert {name: figure["last24h"] for name, figure in versions.items()} == {
        "v1": "99.80%", "v2": "98.90%",
    }  # fmt: skip
    asyncio.run(a_round(crd.kubeconfig, {OLD: 2, NEW: 90}, now + timedelta(minutes=1)))
    crd.kubectl("wait", *om, "--for=condition=SLOMet=False", "--timeout=5s")
    (condition,) = [c for c in crd.get(*om)["status"]["conditions"] if c["type"] == "SLOMet"]
    assert condition["reason"] == "ErrorBudgetSpent"


@pytest.mark.parametrize(
    ("slo", "says"),
    [
        ({"errors": []}, "must set at least one of"),
        ({"timeToFirstToken": "0ms"}, "must be above zero"),
        ({"duration": "fast"}, "should match"),
        ({"objective": "1.0"}, "should match"),
        ({"objective": "0.00"}, "must be above 0"),
        ({"errors": ["client_disconnect"]}, "Unsupported value"),
        ({"duration": "1m30s", "errors": []}, ""),
        ({}, ""),
    ],
)
def test_the_rules_of_objectives_are_the_api_servers(
    crd: Cluster, namespace: str, slo: dict, says: str
) -> None:
    """Each as a sentence; what is right is taken, with its defaults written out."""
    if says:
        with pytest.raises(CommandError, match=says):
            crd.apply(model(slo), "--namespace", namespace)
        return
    crd.apply(model(slo), "--namespace", namespace)
    spec = crd.get("om/chat", "--namespace", namespace)["spec"]["slo"]
    assert spec["objective"] == "0.99"
    assert spec["errors"] == (slo.get("errors", list(FAULTS)))
