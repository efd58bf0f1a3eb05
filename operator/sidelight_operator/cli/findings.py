"""What `sidelight check` finds of an installation, from what the API server has. Pure.

Each finding is a line for people: it is right, or what is wrong and what to do. What the user may
not read is said to be unknown: that is no fault of the installation.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sidelight_contract.crd import custom_resource_definition
from sidelight_contract.names import Reason
from sidelight_operator import __version__
from sidelight_operator.certificates.read import Certificate, read_bundle
from sidelight_operator.kube import Json

SOON = timedelta(days=14)
"""A certificate that ends so soon is not being renewed: the controller does it long before."""
MAX_NAMED = 5
COMPONENT = "app.kubernetes.io/component"
_NO_GPUS = frozenset({Reason.NO_GPU_REQUESTED, Reason.GPU_NOT_ASKED})
REINSTALL = "install the chart again (helm upgrade --install)"


class Verdict(StrEnum):
    """How it is."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer."""

    verdict: Verdict
    what: str
    todo: str = ""

    def __str__(self) -> str:
        """As it is printed."""
        line = f"{self.verdict.value:<8} {self.what}"
        return f"{line}\n{'':<8} -> {self.todo}" if self.todo else line


def ok(what: str) -> Finding:
    """It is as it should be."""
    return Finding(Verdict.OK, what)


def problem(what: str, todo: str) -> Finding:
    """It is not, and what to do."""
    return Finding(Verdict.PROBLEM, what, todo)


def unknown(what: str, todo: str = "") -> Finding:
    """It could not be seen."""
    return Finding(Verdict.UNKNOWN, what, todo)


def definition(found: Json | None) -> Finding:
    """The CustomResourceDefinition: there, and that of this release."""
    ours = custom_resource_definition()
    name = ours["metadata"]["name"]
    if found is None:
        return problem(f"CustomResourceDefinition {name} is not there", REINSTALL)
    versions = {item["name"]: item for item in (found.get("spec") or {}).get("versions") or ()}
    mine = ours["spec"]["versions"][0]
    theirs = versions.get(mine["name"])
    if theirs is None or theirs.get("schema") != mine["schema"]:
        return problem(
            f"CustomResourceDefinition {name} is not that of release {__version__}, this command's",
            "use the command of the installed release, or upgrade the installation with "
            "crds.install=true: fields that the cluster does not know are dropped",
        )
    return ok(f"CustomResourceDefinition {name} is that of release {__version__}")


def deployments(found: Sequence[Json]) -> list[Finding]:
    """Webhook and controller: there, and ready."""
    findings = []
    for role in ("webhook", "controller"):
        mine = [item for item in found if component(item) == role]
        if not mine:
            findings.append(problem(f"there is no Deployment of the {role}", REINSTALL))
        for item in mine:
            name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
            wanted = item["spec"].get("replicas", 1)
            ready = (item.get("status") or {}).get("readyReplicas", 0)
            what = f"{role} {namespace}/{name}: {ready} of {wanted} replicas are ready"
            if wanted and ready >= wanted:
                findings.append(ok(what))
            else:
                todo = f"kubectl -n {namespace} describe deployment/{name}, and the pods' logs"
                findings.append(problem(what, todo))
    return findings


def component(item: Json) -> str:
    """Which of Sidelight's parts an object belongs to."""
    return str((item["metadata"].get("labels") or {}).get(COMPONENT, ""))


def configuration(found: Sequence[Json], now: datetime) -> tuple[list[Finding], list[Certificate]]:
    """The webhook's configuration, and the authorities that the API server trusts by it."""
    entries = [
        (item["metadata"]["name"], entry)
        for item in found
        for entry in item.get("webhooks") or ()
        if entry.get("name") == "inject.sidelight.dev"
    ]
    if not entries:
        what = "there is no MutatingWebhookConfiguration: no pod is injected"
        return [problem(what, REINSTALL)], []
    findings, authorities = [], []
    for name, entry in entries:
        findings.append(_policy(name, entry))
        bundle = read_bundle(_decoded((entry.get("clientConfig") or {}).get("caBundle")))
        living = [one for one in bundle if one.begins <= now < one.ends]
        authorities += living
        if living:
            ends = max(one.ends for one in living)
            what = f"webhook configuration {name} trusts an authority"
            findings.append(_lifetime(what, ends, now))
        else:
            gone = "has no CA bundle" if not bundle else "trusts only what has expired"
            findings.append(
                problem(
                    f"webhook configuration {name} {gone}: the API server calls nobody, and pods "
                    "start without a sidecar",
                    "the controller (or cert-manager) writes it; see the controller's log",
                )
            )
    return findings, authorities


def certificate(
    data: Mapping[str, str] | None, secret: str, authorities: Sequence[Certificate], now: datetime
) -> Finding:
    """The webhook's own certificate: signed by who is trusted, and not expired."""
    found = read_bundle(_decoded((data or {}).get("tls.crt")))
    todo = f"the controller (or cert-manager) keeps Secret {secret}; see its log"
    if not found:
        return problem(f"Secret {secret} holds no certificate for the webhook", todo)
    if not any(found[0].issued_by(authority) for authority in authorities):
        return problem(
            f"the webhook's certificate ({secret}) is not signed by who the API server trusts: "
            "pods start without a sidecar",
            todo,
        )
    return _lifetime("the webhook's certificate is signed by who is trusted", found[0].ends, now)


def model(body: Json) -> list[Finding]:
    """One ObservedModel, as its status has it."""
    metadata, status = body["metadata"], body.get("status") or {}
    key = f"{metadata['namespace']}/{metadata['name']}"
    if status.get("observedGeneration") != metadata.get("generation", 1):
        todo = "is the controller running? Its log says what it does; a round takes some seconds"
        return [problem(f"{key}: the controller has not seen the present spec", todo)]
    pods = status.get("pods") or {}
    modes = ", ".join(sorted({item["mode"] for item in status.get("interception") or ()}))
    conditions = {item["type"]: item for item in status.get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    if ready.get("status") == "True":
        how = f" ({modes})" if modes else ""
        observed = ok(f"{key}: {pods.get('ratio', '0/0')} pods are observed{how}")
        return [observed, *_gpus(key, conditions.get("GPUVisible") or {})]
    named = pods.get("notObserved") or ()
    if not named:
        return [problem(f"{key}: {ready.get('reason', 'no status')}", ready.get("message", ""))]
    findings = [
        problem(f"{key}: pod {item['name']} is not observed: {item['reason']}", item["message"])
        for item in named[:MAX_NAMED]
    ]
    more = pods.get("notObservedTotal", len(named)) - len(findings)
    if more > 0:
        todo = f"kubectl -n {metadata['namespace']} get om {metadata['name']} -o yaml names them"
        findings.append(problem(f"{key}: {more} more pods are not observed", todo))
    return findings


def _gpus(key: str, visible: Json) -> list[Finding]:
    """That GPUs are not seen, where there are some and somebody asks."""
    if visible.get("status") != "False" or visible.get("reason") in _NO_GPUS:
        return []
    what = f"{key}: GPUs are not seen: {visible.get('reason')}"
    return [unknown(what, visible.get("message", ""))]


def _policy(name: str, entry: Json) -> Finding:
    if entry.get("failurePolicy") == "Ignore":
        return ok(f"webhook configuration {name} lets pods start when the webhook is away")
    return problem(
        f"webhook configuration {name} has failurePolicy {entry.get('failurePolicy')}: pods do not "
        "start when the webhook is away",
        f"somebody changed it; {REINSTALL}",
    )


def _lifetime(what: str, ends: datetime, now: datetime) -> Finding:
    until = f"{what}, until {ends:%Y-%m-%d}"
    if ends - now >= SOON:
        return ok(until)
    todo = "it should have been renewed by now; see the controller's (or cert-manager's) log"
    return problem(f"{until}: {'expired' if ends <= now else 'soon'}", todo)


def _decoded(text: object) -> str:
    try:
        return base64.b64decode(str(text or "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
