"""docs/versions.md says of weights what the code does."""

import re
from pathlib import Path

import pytest

from sidelight_contract.engines import PROFILES, EngineProfile, ModelFiles
from sidelight_contract.weights import WeightsState
from sidelight_sidecar.weights import SECONDS
from sidelight_sidecar.weights.digest import FORMAT, MAX_TOTAL_BYTES, START_BYTES
from sidelight_sidecar.weights.header import MAX_HEADER_BYTES
from sidelight_sidecar.weights.listing import MAX_DEPTH, MAX_ENTRIES

TEXT = (Path(__file__).parents[2] / "docs" / "versions.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("\n## Weights\n")[2].partition("\n## ")[0]


def row_of(profile: EngineProfile) -> str:
    """An engine's row: what names its model, its revision, and where it is kept."""
    model = profile.model
    named = ["the first argument"] if model.first_word else []
    named += _words(*model.flags, *model.variables)
    kept: list[str] = []
    if model.hub:
        hub = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")
        usual = model.cache_folders or ("~/.cache/huggingface/hub",)
        kept = _words(*model.cache_flags, *hub, *usual)
    if model.store_variable:
        kept = _words(model.store_variable, model.store_folder)
    revision = _words(*model.revision_flags, *model.revision_variables) if model.hub else []
    cells = (f"`{profile.type.value}`", *(", ".join(cell) for cell in (named, revision, kept)))
    return f"| {' | '.join(cells)} |"


def _words(*words: str) -> list[str]:
    return [f"`{word}`" for word in words]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.type.value)
def test_every_engine_has_its_row(profile: EngineProfile) -> None:
    """As the table in the code has it; one that is told nothing of a model has none."""
    assert (row_of(profile) in SECTION) is (profile.model != ModelFiles())


def test_every_state_has_a_row() -> None:
    """In the table, in the order of the code, and nothing else."""
    table = SECTION.partition("### What came of it")[2].partition("###")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert rows == [state.value for state in WeightsState]


def test_bounds_are_as_written() -> None:
    """And the first line of what is hashed."""
    for text in (
        f"{MAX_ENTRIES:,} entries, {MAX_DEPTH} folders deep or {MAX_TOTAL_BYTES >> 20} MiB",
        f"first {START_BYTES >> 10} KiB", f"at most {MAX_HEADER_BYTES >> 20} MiB", FORMAT,
    ):  # fmt: skip
        assert text in SECTION
    assert SECONDS == 120
    assert "two minutes" in SECTION
