"""The cluster as the command line sees it: with the kubeconfig, and the rights, of who calls it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml

from sidelight_operator.kube import Json

SIDELIGHT = "app.kubernetes.io/name=sidelight"
COMPONENT = "app.kubernetes.io/component"
_IMAGE_VARIABLE = "SIDELIGHT_SIDECAR_IMAGE"
_PULL_VARIABLE = "SIDELIGHT_SIDECAR_PULL_POLICY"


class ReadClient(Protocol):
    """What the commands read. Every call raises KubeError."""

    async def read(self, path: str) -> Json | None:
        """An object; None when there is none."""
        ...

    async def read_all(self, path: str, selector: str = "") -> list[Json]:
        """A list."""
        ...


def add_cluster_options(parser: Any) -> None:
    """The options that say which cluster, and where in it."""
    parser.add_argument("--kubeconfig", help="kubeconfig file; default: as kubectl finds it")
    parser.add_argument(
        "-n", "--namespace", help="namespace; default: that of the kubeconfig's context"
    )


def kubeconfig_of(option: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The file to use; None: in a pod its service account, else kubectl's default."""
    return option or environ.get("KUBECONFIG") or None


def namespace_of(option: str | None, kubeconfig: str | None) -> str:
    """The namespace that is meant, as kubectl would understand it."""
    if option:
        return option
    for name in (kubeconfig or str(Path("~/.kube/config").expanduser())).split(os.pathsep):
        try:
            config = yaml.safe_load(Path(name).read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError, UnicodeDecodeError):
            continue
        if not isinstance(config, dict):
            continue
        for entry in config.get("contexts") or ():
            if entry.get("name") == config.get("current-context"):
                return str((entry.get("context") or {}).get("namespace") or "default")
    return "default"


def sidecar_image(deployments: Sequence[Json]) -> tuple[str, str]:
    """Image and pull policy of the sidecar, as an installation's controller has them; "" twice when
    there is none.
    """
    for deployment in deployments:
        if (deployment["metadata"].get("labels") or {}).get(COMPONENT) != "controller":
            continue
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            found = {
                entry["name"]: str(entry.get("value") or "") for entry in container.get("env") or ()
            }
            if found.get(_IMAGE_VARIABLE):
                return found[_IMAGE_VARIABLE], found.get(_PULL_VARIABLE, "IfNotPresent")
    return "", ""
