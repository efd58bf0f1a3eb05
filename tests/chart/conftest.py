"""Helm, and what the chart renders to."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "sidelight"
NAMESPACE = "sidelight-system"

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


class HelmError(Exception):
    """Helm refused; what it said."""


@pytest.fixture(scope="session")
def helm() -> Callable[..., str]:
    """Run helm: the one on PATH, else the one that hack/tools.sh fetches once."""
    program = shutil.which("helm")
    if program is None:
        found = subprocess.run(
            [ROOT / "hack/tools.sh"], capture_output=True, text=True, timeout=300, check=False
        )
        assert found.returncode == 0, f"no helm on PATH, and hack/tools.sh: {found.stderr}"
        program = f"{found.stdout.strip()}/helm"

    def run(*arguments: str) -> str:
        environment = os.environ | {"KUBECONFIG": os.devnull}  # never a real cluster
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            raise HelmError(done.stderr + done.stdout)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., str]) -> Render:
    """The chart's objects by kind and name; `render("a.b=c")` sets values."""

    def run(*values: str, release: str = "sidelight") -> Objects:
        options = [option for value in values for option in ("--set", value)]
        text = helm("template", release, str(CHART), "--namespace", NAMESPACE, *options)
        objects = [item for item in yaml.safe_load_all(text) if item]
        return {(item["kind"], item["metadata"]["name"]): item for item in objects}

    return run
