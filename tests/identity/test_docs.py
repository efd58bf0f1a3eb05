"""docs/versions.md says which engine is asked what."""

from __future__ import annotations

import re
from pathlib import Path

from engine_answers import ANSWERS, told_by

from sidelight_contract.engines import EngineType
from sidelight_sidecar.observer.identity.inference_protocol import INDEX
from sidelight_sidecar.observer.identity.table import QUESTIONS
from sidelight_sidecar.observer.identity.told import Told

TEXT = (Path(__file__).parents[2] / "docs" / "versions.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("### What an engine tells")[2].partition("\n### ")[0]


def asked(engine: EngineType) -> str:
    """The cell of an engine: its questions in their order."""
    questions = list(QUESTIONS[engine])
    told = Told()
    told.model("NAME")
    for question in QUESTIONS[engine]:
        questions.extend(question.then(told) if question.then is not None else ())
    words = []
    for question in questions:
        paths = " or ".join(f"`{path}`" for path in (question.path, question.older) if path)
        words.append(f"{paths}, quiet" if question.quiet else paths)
    return ", ".join(words)


def test_every_engine_has_its_row_with_what_it_is_asked() -> None:
    """In the order of the table of engines, and no other."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", SECTION, re.MULTILINE))
    assert rows == {engine.value: asked(engine) for engine in QUESTIONS}
    assert INDEX.body == b"{}"


def test_every_setting_that_an_engine_tells_is_in_its_row() -> None:
    """Of the answers that the tests have."""
    for engine, answers in ANSWERS.items():
        row = re.search(rf"^\| `{engine.value}` .*$", SECTION, re.MULTILINE)
        assert row is not None
        for name in told_by(engine, answers)[0].settings:
            word = re.sub(r":.*", ":NAME", re.sub(r"^sampling\..*", "sampling.*", name))
            assert f"`{word}`" in row[0], (engine, name)
