"""A cluster as the tests use it: kubectl and helm on a kubeconfig, and waiting with a reason."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PREFIX = os.environ.get("SIDELIGHT_IMAGE_PREFIX", "localhost")


class CommandError(AssertionError):
    """A command failed; the message has what it said."""


def run(*command: str, stdin: str | None = None, timeout: float = 120, **env: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **env},
    )
    if done.returncode:
        raise CommandError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Cluster:
    """One Kubernetes cluster, with the project's images on its nodes."""

    def __init__(self, kubeconfig: str, tools: str) -> None:
        self.kubeconfig = kubeconfig
        self._tools = tools

    def program(self, name: str) -> str:
        """The path of kubectl or helm."""
        return f"{self._tools}/{name}"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find the cluster."""
        return {**os.environ, "KUBECONFIG": self.kubeconfig}

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """What kubectl prints."""
        return run(
            f"{self._tools}/kubectl", *arguments,
            stdin=stdin, timeout=timeout, KUBECONFIG=self.kubeconfig,
            KUBECACHEDIR=f"{self._tools}/kubectl-cache",
        )  # fmt: skip

    def helm(self, *arguments: str, timeout: float = 180) -> str:
        """What helm prints."""
        return run(f"{self._tools}/helm", *arguments, timeout=timeout, KUBECONFIG=self.kubeconfig)

    def get(self, *arguments: str) -> Any:
        """An object or list as kubectl knows it."""
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def apply(self, manifest: str | Any, *arguments: str) -> str:
        """Apply YAML text or an object."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self.kubectl("apply", "--filename", "-", *arguments, stdin=text)


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true answer of `condition`; it fails with its last one, or its last error."""
    deadline = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < deadline:
        try:
            if last := condition():
                return last
        except (CommandError, KeyError, IndexError, OSError) as error:
            last = error
        time.sleep(0.25)
    raise AssertionError(f"not within {seconds} s: {what}; last: {last}")
