"""docs/verdict.md says what the simulation printed."""

from pathlib import Path

from benchmarks.verdict.scenarios import EDGE, SAME, SLOW_NODES, WORSE

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "verdict.md").read_text(encoding="utf-8")
PRINTED = max((ROOT / "benchmarks" / "results").glob("*-verdict.md")).read_text("utf-8")


def test_tables_are_those_of_the_newest_results():
    """Line by line, with the headings that say how many runs there were."""
    lines = [line for line in PRINTED.splitlines() if line.strip()]
    assert len(lines) > 20
    missing = [line for line in lines if line not in DOC.splitlines()]
    assert missing == []


def test_results_have_every_scenario():
    """One that was added, or renamed, would be missing from the tables."""
    for scenario in (*SAME, SLOW_NODES, *EDGE, *WORSE):
        assert f"| {scenario.name}" in PRINTED
