"""The documents about injection say what the code says."""

import re
from pathlib import Path

import pytest

from sidelight_contract.engines import PROFILES, EngineProfile
from sidelight_contract.names import Reason

DOCS = Path(__file__).parents[2] / "docs"


def row_of(profile: EngineProfile) -> str:
    """An engine's row in docs/engines.md."""
    port_by = (*profile.port_flags, *profile.port_variables, *profile.address_variables)
    ports = [str(profile.default_port), *(str(more.default) for more in profile.more_ports)]
    metrics = f":{profile.metrics_port}" if profile.metrics_port else ""
    cells = [
        _words(profile.type.value),
        _words(*profile.images),
        _words(*profile.programs, *profile.scripts),
        ", ".join(ports),
        _words(*port_by),
        _words(f"{metrics}{profile.metrics_path}"),
        _words(profile.health_path),
        _words(profile.tokenizer_path),
    ]
    return f"| {' | '.join(cells)} |"


def _words(*words: str) -> str:
    return ", ".join(f"`{word}`" for word in words if word)


def test_every_reason_has_one_row() -> None:
    """docs/reasons.md lists each Reason once, and nothing else."""
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "reasons.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(reason.value for reason in Reason)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.type.value)
def test_every_engine_has_its_row(profile: EngineProfile) -> None:
    """docs/engines.md gives each engine's marks, ports and paths as the table in the code does."""
    assert row_of(profile) in (DOCS / "engines.md").read_text()
