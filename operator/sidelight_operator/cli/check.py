"""`sidelight check`: is the installation whole? Asked as the user who calls; nothing is written."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from sidelight_contract import names
from sidelight_operator.certificates.read import Certificate
from sidelight_operator.cli import findings
from sidelight_operator.cli.cluster import (
    SIDELIGHT,
    ReadClient,
    add_cluster_options,
    kubeconfig_of,
)
from sidelight_operator.cli.findings import Finding, Verdict, ok, problem, unknown
from sidelight_operator.cli.trial import expected, injected_for, trial_pod
from sidelight_operator.controller.models import Model, parse_model
from sidelight_operator.inject import ObservedModelView
from sidelight_operator.inject.bounds import KINDS, facts_of, kept
from sidelight_operator.kube import Json, KubeError

_EXAMPLE = """example:
  kubectl sidelight check
  kubectl sidelight check -n llm      # the ObservedModels of one namespace

Exit status: 0 all is well; 1 there are problems; 2 the cluster cannot be reached."""
_ADMISSION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_DEFINITION = (
    f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{names.PLURAL}.{names.GROUP}"
)
_T = TypeVar("_T")


class CheckClient(ReadClient, Protocol):
    """What the command asks of Kubernetes."""

    async def try_out(self, path: str, body: Json) -> Json:
        """What would become of an object that is created; nothing is."""
        ...


class HiddenError(Exception):
    """The user may not see it."""


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "check",
        help="say whether the installation is whole, and what to do where it is not",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_cluster_options(parser)


def run(options: argparse.Namespace) -> int:
    """0: all is well; 1: there are problems; 2: the cluster cannot be reached."""
    return asyncio.run(_run(kubeconfig_of(options.kubeconfig), options.namespace or ""))


async def _run(kubeconfig: str | None, namespace: str) -> int:
    from sidelight_operator.kube.api import connect  # noqa: PLC0415 - a second, for who needs it

    problems = False
    try:
        async with connect(kubeconfig) as cluster:
            for finding in await check(cluster, namespace, datetime.now(UTC)):
                problems = problems or finding.verdict is Verdict.PROBLEM
                print(finding)
    except KubeError as error:
        print(f"sidelight: {error}", file=sys.stderr)
        return 2
    return int(problems)


async def check(cluster: CheckClient, namespace: str, now: datetime) -> list[Finding]:
    """Everything that is found, in the order of a pod's way through it.

    Args:
        cluster: with the user's rights.
        namespace: whose ObservedModels are looked at; "" for all.
        now: for certificates.

    Raises:
        KubeError: the API server cannot be reached.
    """
    found: list[Finding] = []
    try:
        found.append(findings.definition(await _seen(cluster.read(_DEFINITION))))
    except HiddenError as hidden:
        found.append(unknown(f"the CustomResourceDefinition: {hidden}"))
    found += await _installation(cluster, now)
    return [*found, *await _models(cluster, namespace)]


async def _seen(reading: Awaitable[_T]) -> _T:
    try:
        return await reading
    except KubeError as error:
        if error.status not in (401, 403):
            raise
        raise HiddenError(f"you may not read it ({error})") from error


async def _installation(cluster: CheckClient, now: datetime) -> list[Finding]:
    found: list[Finding] = []
    deployed: list[Json] = []
    try:
        deployed = await _seen(cluster.read_all("/apis/apps/v1/deployments", SIDELIGHT))
        found += findings.deployments(deployed)
    except HiddenError as hidden:
        found.append(unknown(f"the Deployments: {hidden}"))
    try:
        configurations = await _seen(cluster.read_all(_ADMISSION, SIDELIGHT))
    except HiddenError as hidden:
        return [*found, unknown(f"the webhook's configuration: {hidden}")]
    judged, authorities = findings.configuration(configurations, now)
    found += judged
    for item in deployed:
        if findings.component(item) == "webhook" and authorities:
            found += await _certificate(cluster, item, authorities, now)
    return found


async def _certificate(
    cluster: CheckClient, webhook: Json, authorities: Sequence[Certificate], now: datetime
) -> list[Finding]:
    namespace = webhook["metadata"]["namespace"]
    volumes = webhook["spec"]["template"]["spec"].get("volumes") or ()
    secrets = [item["secret"]["secretName"] for item in volumes if "secret" in item]
    found = []
    for secret in secrets:
        path = f"/api/v1/namespaces/{namespace}/secrets/{secret}"
        try:
            data = ((await _seen(cluster.read(path))) or {}).get("data")
        except HiddenError:
            why = f"the webhook's certificate: you may not read Secret {namespace}/{secret}"
            found.append(unknown(why, "the pod that is tried out below shows whether it is right"))
            continue
        found.append(findings.certificate(data, f"{namespace}/{secret}", authorities, now))
    return found


async def _models(cluster: CheckClient, namespace: str) -> list[Finding]:
    where = f"namespaces/{namespace}/" if namespace else ""
    path = f"/apis/{names.GROUP}/{names.API_VERSION}/{where}{names.PLURAL}"
    try:
        bodies = await _seen(cluster.read_all(path))
    except HiddenError as hidden:
        todo = "name a namespace that you may read, with -n"
        return [unknown(f"the ObservedModels: {hidden}", todo)]
    if not bodies:
        place = f"namespace {namespace}" if namespace else "the cluster"
        return [unknown(f"there is no ObservedModel in {place}", "make one, and check again")]
    found: list[Finding] = []
    models: dict[str, list[Model]] = {}
    for body in bodies:
        found += findings.model(body)
        one = parse_model(body)
        models.setdefault(one.namespace, []).append(one)
    count = len(models)
    places = ", ".join(sorted(models)[: findings.MAX_NAMED])
    found.insert(0, ok(f"{count} namespace{'s' * (count != 1)} with ObservedModels: {places}"))
    for inhabitants in models.values():
        found.append(await _trial(cluster, inhabitants))
    return found


async def _trial(cluster: CheckClient, models: Sequence[Model]) -> Finding:
    """Have the API server try out a pod for the first model for which one can be thought of."""
    namespace = models[0].namespace
    facts = facts_of(await _labels(cluster, namespace), await _bounds(cluster, namespace))
    views = [
        ObservedModelView(model.name, model.spec) for model in models if model.spec is not None
    ]
    for view in views:
        pod = trial_pod(view.spec)
        if pod is not None and expected(pod, view, views, facts):
            return await _try(cluster, namespace, view.name, pod)
    return unknown(
        f"{namespace}: no pod can be made up that would be injected, so none was tried out",
        "sidelight inject -f POD -m OBSERVEDMODEL says what becomes of yours",
    )


async def _try(cluster: CheckClient, namespace: str, model: str, pod: Json) -> Finding:
    what = f"{namespace}: a pod tried out for {model}"
    try:
        answer = await cluster.try_out(f"/api/v1/namespaces/{namespace}/pods", pod)
    except KubeError as error:
        if not error.status:
            raise
        if names.SIDECAR_CONTAINER in str(error).partition("pods ")[2]:
            todo = "a policy of the cluster refuses the sidecar; pods of this model do not start"
            return problem(f"{what} is refused: {error}", todo)
        return unknown(f"{what} is refused before it says anything: {error}")
    if injected_for(answer) == model:
        return ok(f"{what} gets its sidecar")
    return problem(
        f"{what} gets no sidecar",
        "the API server does not reach the webhook, or does not trust it: see the problems above, "
        "the webhook's log, and whether a NetworkPolicy lets the API server in",
    )


async def _labels(cluster: CheckClient, namespace: str) -> dict[str, str]:
    try:
        found = await _seen(cluster.read(f"/api/v1/namespaces/{namespace}"))
    except HiddenError:
        return {}
    return ((found or {}).get("metadata") or {}).get("labels") or {}


async def _bounds(cluster: CheckClient, namespace: str) -> list[tuple[str, Json]]:
    found: list[tuple[str, Json]] = []
    for kind in KINDS:
        try:
            bodies = await _seen(cluster.read_all(f"/api/v1/namespaces/{namespace}/{kind}"))
        except HiddenError:
            continue
        found += [(kind, less) for body in bodies if (less := kept(kind, body)) is not None]
    return found
