"""Every input that once broke the observer, and what it is that it breaks no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing import CRASHES
from target import one_input

FOUND = sorted(CRASHES.glob("*.input"))


@pytest.mark.parametrize("path", FOUND, ids=[path.stem for path in FOUND])
def test_what_broke_it_once_breaks_it_no_more(path: Path) -> None:
    """All that must hold for any input holds for this one."""
    one_input(path.read_bytes())


def test_there_are_inputs() -> None:
    """The folder that this test reads is the one that the fuzzer writes to."""
    assert FOUND
