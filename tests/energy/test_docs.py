"""docs/energy.md says what the simulation printed."""

from pathlib import Path

from benchmarks.energy.scenarios import DEVICES, SCENARIOS, VERSIONS

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "energy.md").read_text(encoding="utf-8")
PRINTED = max((ROOT / "benchmarks" / "results").glob("*-energy.md")).read_text("utf-8")


def test_tables_are_those_of_the_newest_results() -> None:
    """Line by line, with what is said of conservation."""
    lines = [line for line in PRINTED.splitlines() if line.strip()]
    assert len(lines) > 40
    missing = [line for line in lines if line not in DOC.splitlines()]
    assert missing == []


def test_results_have_every_scenario() -> None:
    """One that was added, or renamed, would be missing from the tables."""
    for scenario in (*SCENARIOS, *DEVICES, *VERSIONS):
        assert f"| {scenario.name} " in PRINTED
