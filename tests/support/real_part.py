"""What real servers are run from: fetched or built once by a script of the project."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@cache
def real_part(script: str) -> Path:
    """What a script of hack/ says that it made. Outside CI, a machine that cannot run it skips."""
    found = subprocess.run(
        [ROOT / "hack" / script], capture_output=True, text=True, timeout=500, check=False
    )
    if found.returncode and not os.environ.get("CI"):
        pytest.skip(f"hack/{script}: {found.stderr.strip().splitlines()[-1]}")
    assert found.returncode == 0, f"hack/{script}: {found.stderr}"
    return Path(found.stdout.strip())
