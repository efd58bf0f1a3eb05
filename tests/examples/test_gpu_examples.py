"""The examples of GPU figures are ones that the schema takes, and do what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sidelight_contract.gpu import GpuSource
from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.inject import (
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    decide,
)

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("gpu-*.yaml"))
Json = dict[str, Any]


def parts(path: Path) -> dict[str, Json]:
    """What is in an example, by kind."""
    return {one["kind"]: one for one in yaml.safe_load_all(path.read_text())}


def spec_of(name: str) -> ObservedModelSpec:
    (path,) = [path for path in EXAMPLES if path.stem == name]
    return ObservedModelSpec.model_validate(parts(path)["ObservedModel"]["spec"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_begins_with_two_lines_that_say_what_it_does(path: Path) -> None:
    """And no more; the schema takes it, without a field that there is not."""
    lines = path.read_text().splitlines()
    assert [line.startswith("# ") for line in lines[:3]] == [True, True, False]
    ObservedModelSpec.model_validate(parts(path)["ObservedModel"]["spec"])


def test_each_way_has_its_example() -> None:
    """The unsafe one says so in its first word."""
    assert (
        spec_of("gpu-exporter").gpu
        == ObservedModelSpec.model_validate({"selector": {"matchLabels": {"app": "chat"}}}).gpu
    )
    assert spec_of("gpu-nvml-claim").gpu.source is GpuSource.NVML
    assert spec_of("gpu-nvml-all-visible").gpu.nvml.unsafe_visible_all
    (unsafe,) = [path for path in EXAMPLES if "all-visible" in path.name]
    assert unsafe.read_text().startswith("# UNSAFE")


def test_the_sidecar_of_the_example_with_a_claim_shares_it() -> None:
    """As it is, with the Deployment that is in it."""
    (path,) = [path for path in EXAMPLES if path.stem == "gpu-nvml-claim"]
    pod = {"kind": "Pod", **parts(path)["Deployment"]["spec"]["template"]}
    view = ObservedModelView("chat", spec_of("gpu-nvml-claim"))
    decision = decide(pod, NamespaceFacts(), [view], InjectionSettings("localhost/sidecar:test"))
    assert decision.patched is not None, decision.message
    sidecar = decision.patched["spec"]["initContainers"][-1]
    assert sidecar["resources"]["claims"] == [{"name": "gpu"}]
    assert decision.gpu == ""
