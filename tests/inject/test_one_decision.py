"""Webhook, `sidelight inject` and the decision itself give one answer, for every golden pod."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from injection_world import SETTINGS
from prometheus_client import CollectorRegistry

from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.cli.inject import inject
from sidelight_operator.inject import NamespaceFacts, ObservedModelView, decide
from sidelight_operator.webhook.admission import Admission
from sidelight_operator.webhook.view import ClusterView

CASES = sorted(path for path in (Path(__file__).parent / "golden").iterdir() if path.is_dir())


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_all_ways_to_ask_give_one_answer(case: Path) -> None:
    """And the webhook, asked again about its own result, gives the same pod."""
    pod, model = load(case / "pod.yaml"), load(case / "model.yaml")
    labels = load(case / "namespace.yaml") if (case / "namespace.yaml").exists() else {}
    spec = ObservedModelSpec.model_validate(model["spec"])
    view = ObservedModelView(model["metadata"]["name"], spec)
    decision = decide(pod, NamespaceFacts(labels), [view], SETTINGS)
    assert inject(pod, [view], NamespaceFacts(labels), SETTINGS) == [("", decision)]

    cluster = ClusterView()
    cluster.namespace_event("ADDED", "llm", labels)
    cluster.model_event("ADDED", "llm", view.name, model["spec"])
    admission = Admission(cluster, SETTINGS, CollectorRegistry())
    body = copy.deepcopy(pod)
    for _ in range(2):
        admission.review(body, "llm", lambda change: change(body), [])
        assert body == (decision.patched or pod)
