"""The tap's own process stays small: it loads nothing but the standard library and its own."""

from __future__ import annotations

import subprocess
import sys

SHOW = """
import sys
before = set(sys.modules)
import sidelight_sidecar.tap.__main__
print(*sorted(set(sys.modules) - before))
"""
OURS = ("sidelight_sidecar.frames", "sidelight_sidecar.relay", "sidelight_sidecar.tap")


def test_tap_loads_the_standard_library_alone() -> None:
    """No library that costs memory in every pod; nothing of the observer."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW], capture_output=True, text=True, check=True, timeout=30
    )
    loaded = done.stdout.split()
    own = [name for name in loaded if name.startswith("sidelight")]
    assert "sidelight_sidecar.tap.loop" in own
    assert all(name.startswith(OURS) for name in own if name != "sidelight_sidecar"), own
    others = {name.partition(".")[0] for name in loaded} - {"sidelight_sidecar"}
    assert others <= sys.stdlib_module_names, others - sys.stdlib_module_names
    assert "asyncio" not in others
    assert "json" not in others
