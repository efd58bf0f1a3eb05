"""docs/agreement.md and the table of signals say the same."""

from __future__ import annotations

import re
from pathlib import Path

from sidelight_contract.names import DifferenceCause
from sidelight_sidecar.observer.engine.signal_table import ENGINES, ROWS, Signal, Source

DOC = (Path(__file__).parents[2] / "docs" / "agreement.md").read_text()
WORDS = {
    Source.RUN: "run", Source.CODE: "code", Source.DOCS: "docs", Source.OTHERS: "others",
}  # fmt: skip


def cell(engine: str, signal: Signal) -> str:
    """Where the name that is preferred is from."""
    rows = [row for row in ROWS if (row.engine, row.signal) == (engine, signal)]
    return WORDS[min(rows, key=lambda row: row.rank).source] if rows else ""


def test_every_signal_has_its_row_with_where_its_names_are_from() -> None:
    """In the order of the code."""
    assert f"| signal | {' | '.join(ENGINES)} |" in DOC
    lines = [
        f"| {signal.value} | {' | '.join(cell(engine, signal) for engine in ENGINES)} |"
        for signal in Signal
    ]
    assert "\n".join(lines) in DOC


def test_every_cause_has_its_row() -> None:
    """And no row is of none."""
    rows = re.findall(r"^\| `([A-Z]\w+)` \|", DOC, re.MULTILINE)
    assert rows == [cause.value for cause in DifferenceCause]
