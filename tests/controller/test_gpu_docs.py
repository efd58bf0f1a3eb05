"""docs/gpu.md, the status, the chart and the code say the same."""

import re
from pathlib import Path

import pytest
import yaml

from sidelight_contract.crd import structural
from sidelight_contract.gpu import GpuSource
from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.status import GPUStatus
from sidelight_operator.controller.gpu_health import XIDS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/gpu.md").read_text()
FIRST_CELLS = re.findall(r"^\| ([^|]+) \|", TEXT, re.MULTILINE)


def test_each_field_of_the_status_has_a_row_and_no_other_has() -> None:
    """By the names that kubectl shows."""
    part = TEXT[TEXT.index("## In the status") : TEXT.index("## Conditions")]
    rows = re.findall(r"^\| (`[^|]+`) \|", part, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(structural(GPUStatus)["properties"])


def test_each_xid_that_has_words_has_a_row_and_no_other_has() -> None:
    """What to do is said in the message, too."""
    numbers = [
        n for cell in FIRST_CELLS if re.fullmatch(r"[0-9, ]+", cell) for n in cell.split(",")
    ]
    assert sorted(map(int, numbers)) == sorted(XIDS)


def test_each_source_has_a_row() -> None:
    """With what it gives, costs and needs."""
    rows = {cell.split("`")[1] for cell in FIRST_CELLS if cell.startswith("`")}
    assert {source.value for source in GpuSource} <= rows


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_what_is_shown_is_right(block: str) -> None:
    """A spec is taken by the schema, chart values have the chart's keys, the rest is YAML."""
    for body in yaml.safe_load_all(block):
        if "spec" in body and "kind" not in body:
            selector = {"selector": {"matchLabels": {"app": "chat"}}}
            ObservedModelSpec.model_validate(selector | body["spec"])
        elif "gpu" in body:
            values = yaml.safe_load((ROOT / "helm/sidelight/values.yaml").read_text())
            assert body["gpu"].keys() <= values["gpu"].keys()
            assert body["gpu"]["exporters"][0].keys() == values["gpu"]["exporters"][0].keys()
        else:
            assert body


def test_usual_labels_are_those_of_the_chart() -> None:
    """The one that is named in the text, and the port of its policy."""
    values = yaml.safe_load((ROOT / "helm/sidelight/values.yaml").read_text())["gpu"]
    found = {item["labelSelector"]: item["port"] for item in values["exporters"]}
    assert found["app=nvidia-dcgm-exporter"] == 9400
    assert "(`app=nvidia-dcgm-exporter`)" in TEXT
    assert "`gpu.nvmlMemory`" in TEXT
    assert f"{values['nvmlMemory'].removesuffix('Mi')} MiB" in TEXT
