"""docs/controller.md, docs/webhook.md and the metrics of the operator say the same."""

import re
from pathlib import Path

from operator_metrics import SOURCES, Row, made, made_in

from sidelight_operator.controller.metrics import Metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| `(sidelight_\w+)` \| ([\w, ]*)\| (.+) \|$", re.MULTILINE)


def rows(document: str) -> list[Row]:
    found = ROW.findall((DOCS / document).read_text(encoding="utf-8"))
    return [(name, labels.strip(), text) for name, labels, text in found]


def test_every_metric_of_the_operator_has_its_row() -> None:
    """With its labels, in order, and its help, word for word; no row is of none."""
    assert sorted(made()) == sorted([*rows("controller.md"), *rows("webhook.md")])


def test_each_role_has_a_document() -> None:
    """The controller's metrics are told of in the one, all others in the other."""
    for document, expected in (("controller.md", True), ("webhook.md", False)):
        for name, _, _ in rows(document):
            assert name.startswith("sidelight_controller_") is expected, name


def test_the_sources_are_read_right() -> None:
    """What the registry holds in the end is among what was read; nothing goes another way in."""
    names = {name for name, _, _ in made()}
    held = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in Metrics().registry.collect()
    }
    assert held <= names
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        assert "import prometheus_client" not in text, source
        assert not re.search(r"\bCustomCollector|registry\.register\(", text), source


def test_a_metric_without_a_row_would_be_found() -> None:
    """Wherever it is made, under whatever name it was imported."""
    source = (
        "from prometheus_client import Counter as C, Gauge\n"
        "from collections import Counter\n"
        "def serve(registry):\n"
        "    Counter('not a metric')\n"
        "    C('sidelight_new', 'Some.', ('reason', 'mode'), registry=registry)\n"
        "    Gauge('sidelight_two', 'Some.', labelnames=['a']).labels('x').set(1)\n"
    )
    assert list(made_in(source)) == [
        ("sidelight_new_total", "reason, mode", "Some."),
        ("sidelight_two", "a", "Some."),
    ]
