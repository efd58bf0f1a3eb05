"""A review never refuses a pod and never changes one by accident."""

from typing import Any

import pytest
from injection_world import RESTRICTED, SETTINGS, engine, model, pod
from prometheus_client import CollectorRegistry

from sidelight_operator.inject.types import Json
from sidelight_operator.webhook import admission as admission_module
from sidelight_operator.webhook.admission import Admission
from sidelight_operator.webhook.view import ClusterView

SELECT_CHAT = {"selector": {"matchLabels": {"app": "chat"}}}


class Review:
    """One review: the pod after it, the warnings, and what was counted."""

    def __init__(self, view: ClusterView, body: Json) -> None:
        registry = CollectorRegistry()
        changes: list[Any] = []
        self.warnings: list[str] = []
        Admission(view, SETTINGS, registry).review(body, "ml", changes.append, self.warnings)
        for change in changes * 2:  # kopf may call it more than once
            change(body)
        self.body = body
        self.counted = {
            (sample.labels["outcome"], sample.labels["reason"]): sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }


@pytest.fixture
def view() -> ClusterView:
    """One ObservedModel in the namespace `ml`, which forbids nothing."""
    view = ClusterView()
    view.namespace_event(None, "ml", {})
    view.model_event(None, "ml", "chat", SELECT_CHAT)
    return view


def init_names(body: Json) -> list[str]:
    return [entry["name"] for entry in body["spec"].get("initContainers", ())]


def test_a_selected_pod_is_injected_and_counted(view: ClusterView) -> None:
    """The pod, changed in place, carries the sidecar."""
    review = Review(view, pod())
    assert init_names(review.body) == ["sidelight-init", "sidelight"]
    assert review.counted == {("inject", "Injected"): 1.0}
    assert review.warnings == []


def test_the_namespaces_labels_count(view: ClusterView) -> None:
    """Under Pod Security `restricted` there is no init container with NET_ADMIN."""
    view.namespace_event("MODIFIED", "ml", RESTRICTED)
    assert init_names(Review(view, pod()).body) == ["sidelight"]


def test_a_pod_that_cannot_be_observed_is_admitted_with_a_warning(view: ClusterView) -> None:
    """Its owner reads why when applying it."""
    review = Review(view, pod(hostNetwork=True))
    assert review.body == pod(hostNetwork=True)
    assert "node's network" in review.warnings[0]
    assert review.counted == {("skip", "HostNetwork"): 1.0}


def test_a_pod_that_nobody_observes_is_admitted_without_a_word(view: ClusterView) -> None:
    """No warning for pods that have nothing to do with Sidelight."""
    view.model_event("DELETED", "ml", "chat", {})
    review = Review(view, pod())
    assert (review.body, review.warnings) == (pod(), [])
    assert review.counted == {("skip", "NoModelMatches"): 1.0}


def test_a_defect_in_the_decision_admits_the_pod_as_it_is(
    view: ClusterView, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception would make kopf refuse the pod; it is counted, logged and warned about."""

    def broken(*_: object) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr(admission_module, "decide", broken)
    review = Review(view, pod())
    assert review.body == pod()
    assert review.counted == {("error", "InjectionFailed"): 1.0}
    assert review.warnings
    assert "injection failed" in caplog.text


def test_nothing_of_the_pods_content_is_logged(
    view: ClusterView, caplog: pytest.LogCaptureFixture
) -> None:
    """Environment and arguments may hold secrets."""
    caplog.set_level("DEBUG")
    Review(view, pod(engine(env=[{"name": "KEY", "value": "s3cret"}])))
    assert caplog.records
    assert all("s3cret" not in str(vars(record)) for record in caplog.records)


def test_a_model_that_is_not_understood_is_seen_but_selects_nothing(view: ClusterView) -> None:
    """It must not hold up readiness, nor keep its last good spec in force."""
    view.model_event("MODIFIED", "ml", "chat", {"selector": 3})
    assert view.models_in("ml") == []
    assert ("ml", "chat") in view.seen_models


def test_models_of_other_namespaces_do_not_count(view: ClusterView) -> None:
    """A selector reaches no further than its namespace."""
    view.model_event(None, "other", "chat", SELECT_CHAT)
    assert view.models_in("ml") == [model()]
