"""A pod that is left alone has one reason, whoever is asked."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from controller_world import INSTALLED, TOKENS, FakeKube, model_body, pod_body
from prometheus_client import CollectorRegistry
from reconcile_world import Sidecars

from sidelight_operator.cli.inject import inject
from sidelight_operator.controller.decision import injection_settings, planner
from sidelight_operator.controller.models import parse_model, parse_time
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.controller.settings import parse_settings
from sidelight_operator.inject import NamespaceFacts, ObservedModelView
from sidelight_operator.inject.bounds import LIMIT_RANGES
from sidelight_operator.kube import Json
from sidelight_operator.webhook.admission import Admission
from sidelight_operator.webhook.view import ClusterView

REASONS = Path(__file__).parents[2] / "docs/reasons.md"
SETTINGS = parse_settings(["--sidecar-image", "localhost/sidelight-sidecar:test"], {})
LOW = {
    "metadata": {"name": "low", "namespace": "llm"},
    "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]},
}


def refused(changes: Json) -> Json:
    """A pod of the Deployment `chat`, with these changes to its spec."""
    body = {"kind": "Pod", **pod_body("chat-a", "")}
    body["spec"]["containers"][0] |= {"command": ["llama-server"], "args": ["--port", "8080"]}
    body["spec"] |= changes
    return body


def by_the_webhook(body: Json, model: Json, bounds: list[Json]) -> set[str]:
    """The reason that its metric counts; its log is the caller's to read."""
    view, registry, warnings = ClusterView(), CollectorRegistry(), list[str]()
    view.namespace_event(None, "llm", {})
    view.model_event(None, "llm", "chat", model["spec"])
    for one in bounds:
        view.bounds.event("ADDED", LIMIT_RANGES, one)
    changes: list[Any] = []
    admission = Admission(view, injection_settings(SETTINGS), registry)
    admission.review(body, "llm", changes.append, warnings)
    assert not changes
    assert len(warnings) == 1
    return {
        sample.labels["reason"]
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "sidelight_injections_total" and sample.labels["outcome"] == "skip"
    }


async def by_the_controller(body: Json, model: Json, bounds: list[Json]) -> tuple[str, FakeKube]:
    """The status' reason, after one round, and where the Events are."""
    kube = FakeKube()
    kube.models["chat"] = model
    kube.pods = [body]
    kube.bounds["limitranges"] = bounds
    now = parse_time(body["metadata"]["creationTimestamp"]) + timedelta(hours=1)
    reconciler = Reconciler(
        kube, Sidecars(), planner(SETTINGS), installed=INSTALLED, clock=lambda: now, tokens=TOKENS
    )
    await reconciler.round()
    (named,) = kube.models["chat"]["status"]["pods"]["notObserved"]
    return named["reason"], kube


@pytest.mark.parametrize(
    ("changes", "bounds", "reason"),
    [({"hostNetwork": True}, [], "HostNetwork"), ({}, [LOW], "LimitsTooLow")],
)
async def test_one_word_in_every_place(
    changes: Json, bounds: list[Json], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The webhook's log and metric, the status, the Events on the ObservedModel and on the pod's
    owner, `sidelight inject`, and the table for who looks it up.
    """
    caplog.set_level("INFO", "sidelight.webhook")
    body, model = refused(changes), model_body()
    assert by_the_webhook(body, model, bounds) == {reason}
    (record,) = [one for one in caplog.records if one.message == "left alone"]
    assert vars(record)["reason"] == reason

    status, kube = await by_the_controller(body, model, bounds)
    assert status == reason
    told = {event["involvedObject"]["kind"]: event for event in kube.events.values()
            if event["reason"] == reason}  # fmt: skip
    assert set(told) == {"ObservedModel", "Deployment"}
    assert all("chat-a" in event["message"] for event in told.values())

    spec = parse_model(model).spec
    assert spec is not None
    facts = NamespaceFacts({}, bounds)
    offline = inject(body, [ObservedModelView("chat", spec)], facts, injection_settings(SETTINGS))
    assert [decision.reason.value for _, decision in offline] == [reason]
    rows = re.findall(r"^\| `(\w+)` \|", REASONS.read_text(), re.MULTILINE)
    assert rows.count(reason) == 1
