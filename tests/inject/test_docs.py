"""The documents about injection say what the code says."""

import re
from pathlib import Path

import pytest

from sidelight_contract.engines import PROFILES, EngineProfile
from sidelight_contract.names import Reason

DOCS = Path(__file__).parents[2] / "docs"


def test_every_reason_has_one_row() -> None:
    """docs/reasons.md lists each Reason once, and nothing else."""
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "reasons.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(reason.value for reason in Reason)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.type.value)
def test_every_engine_has_its_row(profile: EngineProfile) -> None:
    """docs/engines.md gives each engine's marks and port as the table in the code does."""
    port_by = (*profile.port_flags, *profile.port_variables, *profile.address_variables)
    cells = [
        ", ".join(f"`{word}`" for word in words)
        for words in ((profile.type.value,), profile.images, profile.programs, port_by)
    ]
    row = f"| {cells[0]} | {cells[1]} | {cells[2]} | {profile.default_port} | {cells[3]} |"
    assert row in (DOCS / "engines.md").read_text()
