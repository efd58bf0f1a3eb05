"""`sidelight check`: whatever is wrong with an installation is a line, with what to do."""

import base64
import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from injection_world import SETTINGS

from sidelight_contract.crd import custom_resource_definition
from sidelight_contract.engines import EngineType
from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.certificates.make import make_authority, make_serving
from sidelight_operator.cli import main
from sidelight_operator.cli.check import check
from sidelight_operator.cli.findings import Finding, Verdict
from sidelight_operator.cli.trial import expected, trial_pod
from sidelight_operator.inject import NamespaceFacts, ObservedModelView, decide
from sidelight_operator.kube import KubeError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AUTHORITY = make_authority("sidelight", NOW)
SERVING = make_serving(AUTHORITY, ["sidelight-webhook.sidelight-system.svc"], NOW)
OTHER = make_authority("other", NOW)
SYSTEM = "sidelight-system"
SECRET = f"/api/v1/namespaces/{SYSTEM}/secrets/webhook-certificate"
MODELS = "/apis/sidelight.dev/v1alpha1/observedmodels"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/observedmodels.sidelight.dev"
ADMISSION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
DEPLOYMENTS = "/apis/apps/v1/deployments"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def deployment(role: str, ready: int = 2) -> dict[str, Any]:
    volumes = [{"name": "tls", "secret": {"secretName": "webhook-certificate"}}]
    spec = {"volumes": volumes if role == "webhook" else []}
    return {
        "metadata": {
            "name": f"sidelight-{role}", "namespace": SYSTEM,
            "labels": {"app.kubernetes.io/component": role},
        },
        "spec": {"replicas": 2, "template": {"spec": spec}},
        "status": {"readyReplicas": ready},
    }  # fmt: skip


def configuration(bundle: str, policy: str = "Ignore") -> dict[str, Any]:
    entry = {
        "name": "inject.sidelight.dev", "failurePolicy": policy,
        "clientConfig": {"caBundle": encoded(bundle)},
    }  # fmt: skip
    return {"metadata": {"name": "sidelight"}, "webhooks": [entry]}


def model(**changes: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "chat", "namespace": "llm", "uid": "uid-chat", "generation": 2,
            "creationTimestamp": "2026-11-24T10:00:00Z",
        },
        "spec": {"selector": {"matchLabels": {"app": "chat"}}},
        "status": {
            "observedGeneration": 2,
            "conditions": [{"type": "Ready", "status": "True", "reason": "AllPodsObserved"}],
            "pods": {"selected": 2, "observed": 2, "ratio": "2/2"},
            "interception": [{"mode": "Redirect"}],
            **changes,
        },
    }  # fmt: skip


def injects(pod: dict[str, Any]) -> dict[str, Any]:
    """The webhook at work."""
    spec = ObservedModelSpec.model_validate(model()["spec"])
    patched = decide(pod, NamespaceFacts(), [ObservedModelView("chat", spec)], SETTINGS).patched
    assert patched is not None
    return patched


class Cluster:
    """A whole installation, by path."""

    def __init__(self) -> None:
        self.there: dict[str, Any] = {
            CRD: custom_resource_definition(),
            DEPLOYMENTS: [deployment("webhook"), deployment("controller")],
            ADMISSION: [configuration(AUTHORITY.certificate.pem)],
            SECRET: {"data": {"tls.crt": encoded(SERVING.certificate.pem)}},
            "/api/v1/namespaces/llm": {"metadata": {"labels": {}}},
            MODELS: [model()],
        }
        self.webhook: Callable[[dict[str, Any]], dict[str, Any]] = injects
        self.now = NOW

    def _at(self, path: str) -> Any:
        found = self.there.get(path)
        if isinstance(found, KubeError):
            raise found
        return copy.deepcopy(found)

    async def read(self, path: str) -> Any:
        return self._at(path)

    async def read_all(self, path: str, selector: str = "") -> Any:
        return self._at(path) or []

    async def try_out(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/llm/pods"
        return self.webhook(copy.deepcopy(body))

    async def findings(self, namespace: str = "") -> list[Finding]:
        return await check(self, namespace, self.now)

    async def wrong(self) -> list[Finding]:
        return [one for one in await self.findings() if one.verdict is Verdict.PROBLEM]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_a_whole_installation_is_ok_in_every_line(cluster: Cluster) -> None:
    """Nothing to do is said; each part has its line."""
    lines = [str(one) for one in await cluster.findings()]
    assert all(line.startswith("ok ") for line in lines), lines
    text = "\n".join(lines)
    for part in (
        "CustomResourceDefinition", "webhook sidelight-system/sidelight-webhook: 2 of 2",
        "controller sidelight-system/sidelight-controller: 2 of 2", "lets pods start",
        "trusts an authority, until 2027-11", "signed by who is trusted, until 2027-02",
        "1 namespace with ObservedModels: llm", "llm/chat: 2/2 pods are observed (Redirect)",
        "a pod tried out for chat gets its sidecar",
    ):  # fmt: skip
        assert part in text, part


EXPIRED = make_authority("old", NOW - timedelta(days=400)).certificate.pem


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (CRD, None, "CustomResourceDefinition observedmodels.sidelight.dev is not there"),
        (CRD, {"spec": {"versions": [{"name": "v1alpha1", "schema": {}}]}}, "is not that of"),
        (DEPLOYMENTS, [], "no Deployment of the webhook"),
        (DEPLOYMENTS, [deployment("webhook", 0), deployment("controller")], "0 of 2 replicas"),
        (ADMISSION, [], "no MutatingWebhookConfiguration"),
        (ADMISSION, [configuration("")], "has no CA bundle"),
        (ADMISSION, [configuration(EXPIRED)], "trusts only what has expired"),
        (ADMISSION, [configuration(AUTHORITY.certificate.pem, "Fail")], "failurePolicy Fail"),
        (ADMISSION, [configuration(OTHER.certificate.pem)], "not signed by who the API server"),
        (SECRET, {"data": {}}, "holds no certificate"),
        (MODELS, [model(observedGeneration=1)], "has not seen the present spec"),
    ],
)
async def test_each_fault_is_a_problem_with_what_to_do(
    cluster: Cluster, path: str, value: Any, says: str
) -> None:
    """One thing wrong at a time: the line names it, and says more than that."""
    cluster.there[path] = value
    wrong = await cluster.wrong()
    assert any(says in one.what for one in wrong), wrong
    assert all(one.todo for one in wrong)


async def test_a_certificate_that_nobody_renews_is_a_problem_before_it_ends(
    cluster: Cluster,
) -> None:
    """Two weeks before, and after."""
    cluster.now = SERVING.certificate.ends - timedelta(days=13)
    (one,) = await cluster.wrong()
    assert one.what.endswith("soon")
    cluster.now = SERVING.certificate.ends + timedelta(days=1)
    (one,) = await cluster.wrong()
    assert one.what.endswith("expired")


async def test_pods_that_are_not_observed_are_named_with_their_reason(cluster: Cluster) -> None:
    """As the status has them; past a few, how many more."""
    named = [
        {"name": f"chat-{n}", "reason": "CreatedBeforeModel", "message": "restart it"}
        for n in range(7)
    ]
    ready = {"type": "Ready", "status": "False", "reason": "SomePodsNotObserved", "message": "m"}
    pods = {"ratio": "0/9", "notObserved": named, "notObservedTotal": 9}
    cluster.there[MODELS] = [model(conditions=[ready], pods=pods)]
    wrong = await cluster.wrong()
    assert wrong[0].what == "llm/chat: pod chat-0 is not observed: CreatedBeforeModel"
    assert wrong[0].todo == "restart it"
    assert "4 more pods" in wrong[-1].what


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        ("False", "NoExporterFound", True), ("False", "NoDeviceClaim", True),
        ("False", "NoGPURequested", False), ("False", "GPUNotAsked", False),
        ("True", "GPUsSeen", False), ("Unknown", "GPUSourceStarting", False),
    ],
)  # fmt: skip
async def test_gpus_that_are_not_seen_are_said_and_are_no_problem(
    cluster: Cluster, status: str, reason: str, said: bool
) -> None:
    """Where there are some and somebody asks: the model is served all the same."""
    conditions = [*model()["status"]["conditions"]]
    conditions.append({"type": "GPUVisible", "status": status, "reason": reason, "message": "why"})
    cluster.there[MODELS] = [model(conditions=conditions)]
    lines = [str(one) for one in await cluster.findings()]
    expected = [f"unknown  llm/chat: GPUs are not seen: {reason}\n         -> why"] if said else []
    assert [line for line in lines if "GPU" in line] == expected
    assert await cluster.wrong() == []


async def test_a_webhook_that_is_not_asked_is_found_out(cluster: Cluster) -> None:
    """Everything looks right, and yet the pod comes back as it was."""
    cluster.webhook = lambda pod: pod
    (one,) = await cluster.wrong()
    assert one.what == "llm: a pod tried out for chat gets no sidecar"


async def test_a_policy_that_refuses_the_sidecar_is_found_out(cluster: Cluster) -> None:
    """The API server's words; a refusal that is not about the sidecar is no fault of it."""

    def refuse(why: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def webhook(pod: dict[str, Any]) -> dict[str, Any]:
            raise KubeError("POST /api/v1/namespaces/llm/pods", f"403 pods {why}", 403)

        return webhook

    cluster.webhook = refuse('"x" is forbidden: container "sidelight-init" must not run as root')
    (one,) = await cluster.wrong()
    assert "sidelight-init" in one.what
    cluster.webhook = refuse('is forbidden: User "u" cannot create resource "pods"')
    assert await cluster.wrong() == []
    assert (await cluster.findings())[-1].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("path", [CRD, DEPLOYMENTS, ADMISSION, SECRET, MODELS])
async def test_what_the_user_may_not_read_is_unknown_and_no_problem(
    cluster: Cluster, path: str
) -> None:
    """The rest is checked all the same."""
    cluster.there[path] = KubeError(f"GET {path}", "403 forbidden", 403)
    found = await cluster.findings()
    assert any(one.verdict is Verdict.UNKNOWN for one in found)
    assert any(one.verdict is Verdict.OK for one in found)
    assert await cluster.wrong() == []


async def test_an_api_server_that_is_away_is_no_finding(cluster: Cluster) -> None:
    """It is an error: exit status 2."""
    cluster.there[DEPLOYMENTS] = KubeError("GET deployments", "no answer")
    with pytest.raises(KubeError):
        await cluster.findings()


async def test_without_an_observed_model_there_is_nothing_to_try(cluster: Cluster) -> None:
    """It is said, and is no problem; so in one namespace alone."""
    cluster.there[MODELS] = []
    assert "make one" in (await cluster.findings())[-1].todo
    assert "namespace other" in (await cluster.findings("other"))[-1].what


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"engine": {"type": "Generic", "port": "9000"}},
        {"engine": {"port": "api", "container": "main"}},
        {"engine": {"podFilter": {"matchLabels": {"role": "leader"}}}},
        {"interception": {"mode": "Tap"}},
        *({"engine": {"type": kind.value}} for kind in EngineType if kind.value != "Generic"),
    ],
)
def test_a_pod_can_be_made_up_for_a_model(spec: dict[str, Any]) -> None:
    """For every engine, and what a spec asks for; injection would take it."""
    view = ObservedModelView(
        "chat",
        ObservedModelSpec.model_validate(
            {
                "selector": {
                    "matchLabels": {"app": "chat"},
                    "matchExpressions": [
                        {"key": "tier", "operator": "In", "values": ["a", "b"]},
                        {"key": "team", "operator": "Exists"},
                        {"key": "not", "operator": "DoesNotExist"},
                    ],
                },
                **spec,
            }
        ),
    )
    made = trial_pod(view.spec)
    assert made is not None
    assert expected(made, view, [view], NamespaceFacts())


def test_no_cluster_is_an_exit_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """2, and which file was tried."""
    assert main(["check", "--kubeconfig", "/nowhere/config"]) == 2
    assert "/nowhere/config" in capsys.readouterr().err


async def test_where_bounds_leave_no_room_the_installation_is_not_blamed(cluster: Cluster) -> None:
    """The pod that is tried out would rightly get no sidecar; nor is it tried."""
    limits = [{"type": "Container", "max": {"memory": "64Mi"}}]
    body = {"metadata": {"name": "low", "namespace": "llm"}, "spec": {"limits": limits}}
    cluster.webhook = lambda pod: pod
    assert len(await cluster.wrong()) == 1
    cluster.there["/api/v1/namespaces/llm/limitranges"] = [body]
    assert await cluster.wrong() == []
    refusal = KubeError("GET limitranges", "403 forbidden", 403)
    cluster.there["/api/v1/namespaces/llm/limitranges"] = refusal
    assert len(await cluster.wrong()) == 1
