"""docs/controller.md, docs/webhook.md and the metrics of the operator say the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import sidelight_operator
from sidelight_operator.controller.metrics import Metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
SOURCES = sorted(Path(sidelight_operator.__file__).parent.rglob("*.py"))
MADE = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
ROW = re.compile(r"^\| `(sidelight_\w+)` \| ([\w, ]*)\| (.+) \|$", re.MULTILINE)

Row = tuple[str, str, str]
"""Name, labels and help."""


def made_in(source: str) -> Iterator[Row]:
    """The metrics that a module makes, however deep inside; words that are no literals raise."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            kind = imported.get(node.func.id)
            if kind in MADE:
                name, text, *more = [ast.literal_eval(argument) for argument in node.args]
                more += [ast.literal_eval(w.value) for w in node.keywords if w.arg == "labelnames"]
                labels = ", ".join(more[0]) if more else ""
                yield name + ("_total" if kind == "Counter" else ""), labels, text


def made() -> list[Row]:
    return [row for source in SOURCES for row in made_in(source.read_text(encoding="utf-8"))]


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
