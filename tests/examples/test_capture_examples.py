"""The examples of capture are ones that the schema takes, with Secrets that their sinks know."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from sidelight_contract.config import decode_config, encode_config
from sidelight_contract.export import SinkSettings
from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.controller.models import parse_model
from sidelight_operator.controller.objects import sidecar_config
from sidelight_sidecar.capture.mask.text import TextMasker
from sidelight_sidecar.capture.redact import redactor_for

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("capture-*.yaml"))
KINDS = {str(one.__struct_config__.tag) for one in get_args(SinkSettings)}
Json = dict[str, Any]


def parts(path: Path) -> tuple[Json, dict[str, Json]]:
    """The ObservedModel of an example, and its Secrets by name."""
    documents = list(yaml.safe_load_all(path.read_text()))
    (model,) = [one for one in documents if one["kind"] == "ObservedModel"]
    rest = [one for one in documents if one is not model]
    assert {one["kind"] for one in rest} <= {"Secret"}
    return model, {one["metadata"]["name"]: one for one in rest}


def test_there_is_one_of_each_kind():
    """A new kind of sink has its example."""
    kinds = [
        (set(sink) - {"name", "secretRef"}).pop()
        for path in EXAMPLES
        for sink in parts(path)[0]["spec"]["export"]["sinks"]
    ]
    assert set(kinds) == KINDS


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_taken_by_operator_and_sidecar(path: Path):
    """By the schema, without a field that there is not; the sidecar reads what it is told; the
    masking can be used.
    """
    body, _ = parts(path)
    spec = ObservedModelSpec.model_validate(body["spec"])
    assert spec.capture.payloads == "Redacted"
    metadata = {
        "namespace": "llm", "uid": "u", "generation": 1,
        "creationTimestamp": "2026-11-24T10:00:00Z",
    }  # fmt: skip
    model = parse_model(body | {"metadata": body["metadata"] | metadata})
    assert model.spec is not None, model.spec_error
    config = decode_config(encode_config(sidecar_config(model)))
    assert config.export.sinks
    assert redactor_for(config.capture).refused == ""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_secret_is_the_one_that_the_sink_names_and_holds_none(path: Path):
    """Whoever applies it as it is sends nobody's password."""
    body, secrets = parts(path)
    named = {s["secretRef"]["name"] for s in body["spec"]["export"]["sinks"] if "secretRef" in s}
    assert named == secrets.keys()
    masker = TextMasker()
    for secret in secrets.values():
        for value in secret["stringData"].values():
            assert "change-me" in value or value == "sidelight"
            assert not masker.mask(value).findings


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_begins_with_two_lines_that_say_what_it_does(path: Path):
    """And no more."""
    lines = path.read_text().splitlines()
    assert [line.startswith("# ") for line in lines[:3]] == [True, True, False]
