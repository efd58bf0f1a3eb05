"""Every frame file in `tests/fixtures/frames`, and what its replay must say: all of it, to the ns.

Regenerate with `hack/fixtures.py`, whose docstring says how.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import scripted

from sidelight_sidecar.frames.file import FrameFileReader
from sidelight_sidecar.observer.dialects.base import Dialect
from sidelight_sidecar.observer.replay import replay

FRAMES = Path(__file__).parents[1] / "fixtures" / "frames"
EXPECTED = json.loads((FRAMES / "expected.json").read_text())
FILES = sorted(path.stem for path in FRAMES.glob("*.frames"))
MAX_BYTES = 40_000


def replayed(name: str) -> list[dict[str, object]]:
    """A record an exchange."""
    return [json.loads(str(line)) for line in replay(FRAMES / f"{name}.frames", "exchanges")]


@pytest.mark.parametrize("name", FILES)
def test_replay_says_what_is_expected(name: str) -> None:
    """The whole record: times, tokens and where they come from, errors."""
    assert replayed(name) == EXPECTED[name]


def test_every_expectation_has_its_file() -> None:
    """And every written fixture is there."""
    assert sorted(EXPECTED) == FILES
    assert set(scripted.FIXTURES) <= set(FILES)


@pytest.mark.parametrize("name", sorted(scripted.FIXTURES))
def test_written_files_are_what_the_script_writes(name: str) -> None:
    """Nobody has edited one by hand, nor the script without writing them anew."""
    reader = FrameFileReader(io.BytesIO((FRAMES / f"{name}.frames").read_bytes()))
    assert list(reader) == scripted.FIXTURES[name]().frames


def subclasses(cls: type[Dialect]) -> set[str]:
    """Names of the dialects that there are."""
    names = {cls.name} if cls.name else set()
    return names.union(*[subclasses(one) for one in cls.__subclasses__()])


def test_every_dialect_has_a_fixture() -> None:
    """A new one comes with what it was read from."""
    seen = {record["dialect"] for records in EXPECTED.values() for record in records}
    assert subclasses(Dialect) - {"grpc"} <= seen


def test_every_dialect_is_documented() -> None:
    """With a row that says what is not known."""
    text = (Path(__file__).parents[2] / "docs" / "dialects.md").read_text()
    assert [name for name in sorted(subclasses(Dialect)) if f"(`{name}`)" not in text] == []


@pytest.mark.parametrize("name", FILES)
def test_files_are_small(name: str) -> None:
    """They are read by every checkout."""
    assert (FRAMES / f"{name}.frames").stat().st_size < MAX_BYTES
