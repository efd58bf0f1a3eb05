"""Whole pods before and after, as files: what a user gets, for the eye and for review.

A wanted change of the result is written with `SIDELIGHT_REGENERATE=1 pytest tests/inject`; read the
difference before committing it.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from injection_world import SETTINGS

from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.inject import NamespaceFacts, ObservedModelView, decide

CASES = sorted(path for path in (Path(__file__).parent / "golden").iterdir() if path.is_dir())


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_the_decision_is_as_written_down(case: Path) -> None:
    """`pod.yaml` in a namespace with `namespace.yaml`'s labels becomes `expected.yaml`."""
    model = load(case / "model.yaml")
    view = ObservedModelView(
        model["metadata"]["name"], ObservedModelSpec.model_validate(model["spec"])
    )
    labels = load(case / "namespace.yaml") if (case / "namespace.yaml").exists() else {}
    decision = decide(load(case / "pod.yaml"), NamespaceFacts(labels), [view], SETTINGS)
    result = {
        "outcome": decision.outcome.value,
        "reason": decision.reason.value,
        "message": decision.message,
        "modeReason": decision.mode_reason.value if decision.mode_reason else None,
        "pod": decision.patched,
    }
    expected = case / "expected.yaml"
    if os.environ.get("SIDELIGHT_REGENERATE") == "1":
        expected.write_text(yaml.safe_dump(result, sort_keys=False), encoding="utf-8")
    assert result == load(expected)
