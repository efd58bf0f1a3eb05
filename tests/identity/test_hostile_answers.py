"""Whatever an engine answers, nothing raises, and its identity stays within the bounds."""

from __future__ import annotations

import itertools
import json
from collections import deque
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_contract.engines import EngineType
from sidelight_contract.identity import (
    MAX_MODELS,
    MAX_NAME,
    MAX_SETTING,
    MAX_SETTINGS,
    RuntimeIdentity,
)
from sidelight_sidecar.observer.identity import fingerprint
from sidelight_sidecar.observer.identity.table import QUESTIONS, first_questions
from sidelight_sidecar.observer.identity.told import Told, parsed

KEYS = st.sampled_from([
    "data", "id", "root", "parent", "max_model_len", "owned_by", "aliases", "meta", "ftype", "size",
    "version", "models", "name", "model", "digest", "details", "quantization_level", "server_args",
    "dtype", "revision", "weight_version", "json_model_override_args", "chat_template",
    "speculative_accept_threshold_acc", "torchao_config",
    "build_info", "model_path", "default_generation_settings", "params", "samplers", "n_ctx",
    "seed", "path", "scale", "model_type", "embedding", "pooling", "modelInfo", "shortName",
    "release", "state", "parameters", "model_id", "model_sha", "tokens", "token_strs", "prompt",
])  # fmt: skip
LONG = st.sampled_from(["a" * 130, "x" * 300, "é" * 200, "https://u:p@h/" + "y" * 300, "z" * 5000])
ATOMS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | LONG
    | st.integers(min_value=1 << 70, max_value=1 << 90)
)  # fmt: skip
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=8)
    ),
    max_leaves=40,
)


def check(identity: RuntimeIdentity) -> None:
    """The contract's bounds, and that it can be sent."""
    assert len(identity.models) <= MAX_MODELS
    assert [model.name for model in identity.models] == sorted({m.name for m in identity.models})
    for model in identity.models:
        assert 0 < len(model.name) <= MAX_NAME
        assert len(model.parent) <= MAX_NAME
        assert len(model.root) <= MAX_SETTING
        assert model.parent != model.name
    assert len(identity.settings) <= MAX_SETTINGS
    for name, value in identity.settings.items():
        assert len(name) <= 2 * MAX_NAME
        assert 0 < len(value) <= MAX_SETTING
    assert len(identity.engine_version) <= MAX_NAME
    assert len(identity.weights) <= MAX_SETTING
    assert bool(identity.weights) == bool(identity.weights_from)
    assert len(identity.template) in (0, 71)
    assert msgspec.json.decode(msgspec.json.encode(identity), type=RuntimeIdentity) == identity


@pytest.mark.parametrize("engine", QUESTIONS, ids=lambda engine: str(engine.value))
@settings(max_examples=60)
@given(st.lists(VALUES, min_size=1, max_size=4))
def test_no_answer_raises_or_exceeds_the_bounds(engine: EngineType, answers: list[Any]) -> None:
    """JSON of any shape, at any question; further questions stay few, and paths stay paths."""
    told, bodies = Told(), itertools.cycle(answers)
    questions = deque(first_questions(engine))
    for _ in range(40):
        if not questions:
            break
        question = questions.popleft()
        question.read(next(bodies), told)
        if question.then is not None:
            questions.extend(question.then(told))
        assert all(one.path.isascii() and one.path.isprintable() for one in questions)
        assert all(" " not in one.path and len(one.path) < 2048 for one in questions)
    check(told.identity())


@given(st.binary(max_size=64) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises(body: bytes) -> None:
    """What is no JSON, or none of ours, makes no digest."""
    parsed(body)
    for made in (fingerprint.tokenizer_digest(body), fingerprint.template_digest(body)):
        assert len(made) in (0, 71)


def test_deep_and_large_answers_are_read_within_bounds() -> None:
    """Ten thousand models, settings of any depth, a body as deep as can be."""
    assert parsed(b"[" * 100_000) is None
    told = Told()
    many = {
        "data": [{"id": f"m{n}", "parent": "x" * 999, "root": "y" * 999} for n in range(10_000)]
    }
    for question in QUESTIONS[EngineType.VLLM]:
        question.read(many, told)
    deep: Any = "end"
    for _ in range(100_000):
        deep = [deep]
    told.setting("deep", deep)
    for number in range(1_000):
        told.setting(f"s{number}", {"a": number})
    told.setting("long", "a" * 10_000_000)
    told.version("1" * 10_000_000)
    check(told.identity())
    assert len(told.identity().models) == MAX_MODELS
