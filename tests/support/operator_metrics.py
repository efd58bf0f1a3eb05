"""The metrics of webhook and controller, as their sources make them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import sidelight_operator

SOURCES = sorted(Path(sidelight_operator.__file__).parent.rglob("*.py"))
MADE = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}

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
    """All of them."""
    return [row for source in SOURCES for row in made_in(source.read_text(encoding="utf-8"))]
