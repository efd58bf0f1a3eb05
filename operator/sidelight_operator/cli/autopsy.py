"""`sidelight autopsy MODEL`: why the slowest and the failed requests of the last minutes were so.

It reads the ObservedModel's status and nothing else: who may see the model may see this, and no
token of a sidecar is needed.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from sidelight_contract import names
from sidelight_operator.cli.cluster import (
    ReadClient,
    add_cluster_options,
    kubeconfig_of,
    namespace_of,
)
from sidelight_operator.kube import KubeError

_EXAMPLE = """example:
  kubectl sidelight autopsy chat -n llm

Exit status: 0 what there is was printed; 1 there is no such ObservedModel; 2 the cluster cannot be
reached. docs/autopsy.md says what each cause means."""


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "autopsy",
        help="say why the slowest and the failed requests of the last minutes were so",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="name of the ObservedModel")
    add_cluster_options(parser)


def run(options: argparse.Namespace) -> int:
    """0: printed; 1: there is no such ObservedModel; 2: the cluster cannot be reached."""
    kubeconfig = kubeconfig_of(options.kubeconfig)
    namespace = namespace_of(options.namespace, kubeconfig)
    return asyncio.run(_run(kubeconfig, namespace, options.model.rpartition("/")[2]))


async def _run(kubeconfig: str | None, namespace: str, model: str) -> int:
    from sidelight_operator.kube.api import connect  # noqa: PLC0415 - a second, for who needs it

    try:
        async with connect(kubeconfig) as cluster:
            told = await autopsy(cluster, namespace, model)
    except KubeError as error:
        print(f"sidelight: {error}", file=sys.stderr)
        return 2
    if told is None:
        print(f"sidelight: no ObservedModel {model} in namespace {namespace}", file=sys.stderr)
        return 1
    print(told)
    return 0


async def autopsy(cluster: ReadClient, namespace: str, model: str) -> str | None:
    """What to print; None: there is no such ObservedModel.

    Raises:
        KubeError: it cannot be read.
    """
    path = f"/apis/{names.GROUP}/{names.API_VERSION}/namespaces/{namespace}/{names.PLURAL}/{model}"
    found = await cluster.read(path)
    if found is None:
        return None
    told = (found.get("status") or {}).get("autopsy") or []
    if not told:
        return f"{model}: no request of the last minutes is known to have been slow or to fail"
    return "\n".join(_two_lines(row) for row in told)


def _two_lines(row: Mapping[str, str]) -> str:
    known = [row.get(name, "") for name in ("at", "pod", "duration", "cause")]
    if energy := row.get("energy"):
        known.append(energy)
    return "  ".join(known) + f"\n    {row.get('message', '')}"
