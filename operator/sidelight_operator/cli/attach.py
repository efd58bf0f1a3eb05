"""`sidelight attach POD`: observe a pod that runs, without a restart, as the user who asks."""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Protocol

import yaml

from sidelight_contract import names
from sidelight_contract.config import ConfigError, decode_config
from sidelight_operator.attach.add import AttachClient, Target, add_tap, tap_for
from sidelight_operator.attach.decision import decide_tap, tapping
from sidelight_operator.attach.plan import Candidate
from sidelight_operator.attach.taps import TapState, tap_of
from sidelight_operator.cli.cluster import (
    SIDELIGHT,
    ReadClient,
    add_cluster_options,
    kubeconfig_of,
    namespace_of,
    sidecar_image,
)
from sidelight_operator.controller.models import parse_model, parse_time
from sidelight_operator.controller.pods import is_ready
from sidelight_operator.inject import InjectionSettings, NamespaceFacts, ObservedModelView, decide
from sidelight_operator.inject.types import RefusedError
from sidelight_operator.kube import Json, KubeError

_EXAMPLE = """example:
  kubectl sidelight attach chat-7c9d8b5f4-x2x7k -n llm
  kubectl get observedmodel chat -n llm -o jsonpath='{.status.interception}'

The container cannot be removed again but by a restart of the pod. It ends itself when the pod is no
longer selected by its ObservedModel."""
_LOOK_SECONDS = 0.5


class StoppedError(Exception):
    """The pod is not attached to; the message says why and what to do."""


class Cluster(ReadClient, AttachClient, Protocol):
    """What the command asks of Kubernetes."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    namespace: str
    pod: str
    image: str = ""
    dry_run: bool = False
    timeout_seconds: float = 60.0


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "attach",
        help="observe a pod that runs already, without a restart",
        description="Add an ephemeral container to a pod that an ObservedModel selects. It reads "
        "the pod's packets (mode Tap); nothing is in the pod's path, and nothing of it restarts.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pod", metavar="POD")
    add_cluster_options(parser)
    parser.add_argument("--image", default="", help="default: the installation's sidecar image")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the container, and add nothing"
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS",
        help="how long to wait until it runs (default 60)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """0: attached; 1: it is not, and why; 2: the cluster cannot be reached."""
    kubeconfig = kubeconfig_of(options.kubeconfig)
    wish = Wish(
        namespace=namespace_of(options.namespace, kubeconfig),
        pod=options.pod.removeprefix("pod/").removeprefix("pods/"),
        image=options.image,
        dry_run=options.dry_run,
        timeout_seconds=options.timeout,
    )
    return asyncio.run(_run(kubeconfig, wish))


async def _run(kubeconfig: str | None, wish: Wish) -> int:
    from sidelight_operator.kube.api import connect  # noqa: PLC0415 - a second, for who needs it

    try:
        async with connect(kubeconfig) as cluster:
            print(await attach(cluster, wish))
    except StoppedError as stopped:
        print(f"sidelight: {stopped}", file=sys.stderr)
        return 1
    except KubeError as error:
        print(f"sidelight: {error}", file=sys.stderr)
        return 2
    return 0


async def attach(cluster: Cluster, wish: Wish) -> str:
    """Attach to the pod; what to say of it.

    Raises:
        StoppedError: it is not attached to.
        KubeError: what must be known cannot be read.
    """
    pod = await cluster.read(_path(wish))
    if pod is None:
        raise StoppedError(f"there is no pod {wish.pod} in namespace {wish.namespace}")
    candidate, target = await _decide(cluster, wish, pod)
    if wish.dry_run:
        text: str = yaml.safe_dump(tap_for(candidate, target, target.facts), sort_keys=False)
        return text.rstrip()
    refused = await add_tap(cluster, candidate, target)
    if refused is not None:
        raise StoppedError(refused.message)
    return await _until_it_runs(cluster, wish, candidate)


async def _decide(cluster: Cluster, wish: Wish, pod: Json) -> tuple[Candidate, Target]:
    facts = NamespaceFacts(await _namespace_labels(cluster, wish))
    settings = await _settings(cluster, wish)
    models = [
        parse_model(body)
        for body in await cluster.read_all(
            f"/apis/{names.GROUP}/{names.API_VERSION}/namespaces/{wish.namespace}/{names.PLURAL}"
        )
    ]
    views = [
        ObservedModelView(model.name, tapping(model.spec), model.breaker)
        for model in models
        if model.spec is not None
    ]
    try:
        record = decide_tap(pod, lambda body: decide(body, facts, views, settings))
    except RefusedError as refused:
        raise StoppedError(f"{refused.reason}: {refused.message}") from refused
    metadata, status = pod["metadata"], pod.get("status") or {}
    if status.get("phase") != "Running" or not is_ready(status):
        raise StoppedError(f"pod {wish.pod} is not Ready; attach to it once it serves")
    created = parse_time(metadata["creationTimestamp"])
    candidate = Candidate(wish.pod, metadata["uid"], created, serving=True, record=record)
    config, hashes = await _configuration(cluster, wish, record.model)
    return candidate, Target(wish.namespace, facts, settings, config, hashes)


async def _namespace_labels(cluster: Cluster, wish: Wish) -> dict[str, str]:
    """None where they may not be read: then the API server says what is forbidden."""
    try:
        found = await cluster.read(f"/api/v1/namespaces/{wish.namespace}")
    except KubeError:
        return {}
    return ((found or {}).get("metadata") or {}).get("labels") or {}


async def _settings(cluster: Cluster, wish: Wish) -> InjectionSettings:
    if wish.image:
        return InjectionSettings(wish.image)
    try:
        found = await cluster.read_all("/apis/apps/v1/deployments", SIDELIGHT)
    except KubeError as error:
        raise StoppedError(f"which image is used cannot be seen ({error}); give --image") from error
    image, pull = sidecar_image(found)
    if not image:
        raise StoppedError("there is no installation of Sidelight in this cluster; give --image")
    return replace(InjectionSettings(image), image_pull_policy=pull)


async def _configuration(cluster: Cluster, wish: Wish, model: str) -> tuple[str, tuple[str, ...]]:
    """What the controller keeps for sidecars of the model: none of it is secret."""
    name = names.config_name(model)
    found = await cluster.read(f"/api/v1/namespaces/{wish.namespace}/configmaps/{name}")
    text = str(((found or {}).get("data") or {}).get(names.CONFIG_KEY, ""))
    try:
        config = decode_config(text.encode())
    except ConfigError as error:
        raise StoppedError(
            f"the controller has not made ConfigMap {name} for sidecars of this release yet "
            f"({error}); is it running? sidelight check says"
        ) from error
    if not config.summary_tokens:
        raise StoppedError(f"ConfigMap {name} says of no token that the controller may ask with")
    return text, tuple(config.summary_tokens)


async def _until_it_runs(cluster: Cluster, wish: Wish, candidate: Candidate) -> str:
    record = candidate.record
    deadline = time.monotonic() + wish.timeout_seconds
    while True:
        pod = await cluster.read(_path(wish))
        tap = tap_of(pod) if pod is not None else None
        if pod is None or pod["metadata"]["uid"] != candidate.uid or tap is None:
            raise StoppedError(f"pod {wish.pod} went away")
        if tap.state is TapState.RUNNING:
            return (
                f"pod {wish.pod}: {record.engine} on port {record.port} is observed for "
                f"ObservedModel {record.model} (mode Tap); nothing of it was restarted"
            )
        if tap.state is TapState.ENDED:
            raise StoppedError(f"the container was added, and ended: {tap.message}")
        if time.monotonic() >= deadline:
            why = f" ({tap.message})" if tap.message else ""
            raise StoppedError(
                f"the container was added, and does not run after {wish.timeout_seconds:g} s{why}"
            )
        await asyncio.sleep(_LOOK_SECONDS)


def _path(wish: Wish) -> str:
    return f"/api/v1/namespaces/{wish.namespace}/pods/{wish.pod}"
