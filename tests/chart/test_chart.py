"""The chart agrees with the code, and asks for no more than it needs."""

import base64
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidelight_contract import names
from sidelight_contract.crd import custom_resource_definition
from sidelight_operator.controller.settings import parse_settings as parse_controller
from sidelight_operator.webhook import HANDLER_ID, PATH
from sidelight_operator.webhook.app import parse_settings as parse_webhook

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "sidelight"
NAMESPACE = "sidelight-system"
ROLES = ("webhook", "controller")

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


def kinds(objects: Objects, kind: str) -> Iterator[dict[str, Any]]:
    return (item for (found, _), item in objects.items() if found == kind)


def pod_spec(objects: Objects, role: str) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment", f"sidelight-{role}"]["spec"]["template"]["spec"]
    return spec


def admission(objects: Objects) -> dict[str, Any]:
    (webhook,) = objects["MutatingWebhookConfiguration", "sidelight"]["webhooks"]
    assert isinstance(webhook, dict)
    return webhook


def test_the_chart_lints(helm: Callable[..., str]) -> None:
    """Helm's own opinion, warnings included."""
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("certManager.enabled=true",),
        ("podMonitor.enabled=true", "podMonitor.labels.release=prometheus"),
        ("crds.install=false",),
        ("liveAttach.enabled=true",),
        ("webhook.replicas=1", "webhook.excludeNamespaces={a,b}", "logLevel=DEBUG"),
        ("imagePullSecrets[0].name=s", "nodeSelector.a=b", "priorityClassName=high"),
        ("tolerations[0].key=gpu", "fullnameOverride=other", "image.sidecar.tag=v1"),
    ],
)
def test_every_toggle_renders(render: Render, values: tuple[str, ...]) -> None:
    """Whole objects, in the release's namespace or cluster wide."""
    for item in render(*values).values():
        assert item["metadata"].get("namespace", NAMESPACE) == NAMESPACE


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("webhook.replicas=0", "replicas"),
        ("webhook.replicas=many", "replicas"),
        ("controller.intervalSeconds=0", "intervalSeconds"),
        ("image.operator.pullPolicy=Sometimes", "pullPolicy"),
        ("logLevel=loud", "logLevel"),
        ("webhok.replicas=2", "webhok"),
        ("webhook.excludeNamespaces={Bad_Name}", "excludeNamespaces"),
        ("webhook.timeoutSeconds=31", "timeoutSeconds"),
    ],
)
def test_bad_values_are_refused(render: Render, value: str, match: str) -> None:
    """With the value's name; a misspelt one does not silently do nothing."""
    with pytest.raises(Exception, match=match):
        render(value)


def test_the_definition_is_the_generated_one(render: Render) -> None:
    """crds/, the chart's copy and the code are equal; helm keeps it on uninstall."""
    generated = custom_resource_definition()
    for path in (ROOT / "crds/observedmodels.yaml", CHART / "files/observedmodels.yaml"):
        assert yaml.safe_load(path.read_text()) == generated, f"{path} is stale: make generate"
    rendered = render()["CustomResourceDefinition", f"{names.PLURAL}.{names.GROUP}"]
    assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert rendered == generated


def test_the_webhooks_path_is_the_handlers_id(render: Render) -> None:
    """With any other path kopf admits every pod unchanged, without a word."""
    assert admission(render())["clientConfig"]["service"]["path"] == PATH == f"/{HANDLER_ID}"


def test_the_webhook_cannot_hurt_the_cluster(render: Render) -> None:
    """It is asked for new pods only, waited for briefly, ignored when absent, and not for the
    cluster's or its own pods.
    """
    webhook = admission(render("webhook.excludeNamespaces={team-a}"))
    assert webhook["failurePolicy"] == "Ignore"
    assert webhook["timeoutSeconds"] == 5
    assert (webhook["sideEffects"], webhook["reinvocationPolicy"]) == ("None", "IfNeeded")
    (rule,) = webhook["rules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert expression["operator"] == "NotIn"
    assert expression["values"] == ["kube-system", NAMESPACE, "team-a"]
    (opt_out,) = webhook["objectSelector"]["matchExpressions"]
    assert (opt_out["key"], opt_out["values"]) == (names.LABEL_INJECT, ["false"])


def test_the_certificate_is_for_the_service_and_trusted(render: Render, tmp_path: Path) -> None:
    """Openssl agrees: the CA in the configuration signed the served certificate for that host."""
    objects = render()
    data = objects["Secret", "sidelight-webhook-tls"]["data"]
    assert admission(objects)["clientConfig"]["caBundle"] == data["ca.crt"]
    for key in ("ca.crt", "tls.crt"):
        (tmp_path / key).write_bytes(base64.b64decode(data[key]))
    checked = subprocess.run(
        ["openssl", "verify", "-verify_hostname", f"sidelight-webhook.{NAMESPACE}.svc",
         "-CAfile", tmp_path / "ca.crt", tmp_path / "tls.crt"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr


def test_cert_manager_takes_the_charts_certificates_place(render: Render) -> None:
    """Its Secret is the one that the pods mount, its CA is put in by annotation."""
    objects = render("certManager.enabled=true")
    certificate = objects["Certificate", "sidelight-webhook"]["spec"]
    (volume,) = pod_spec(objects, "webhook")["volumes"]
    assert certificate["secretName"] == volume["secret"]["secretName"]
    assert certificate["dnsNames"] == [f"sidelight-webhook.{NAMESPACE}.svc"]
    assert not list(kinds(objects, "Secret"))
    assert "caBundle" not in admission(objects)["clientConfig"]
    configuration = objects["MutatingWebhookConfiguration", "sidelight"]["metadata"]
    assert configuration["annotations"] == {
        "cert-manager.io/inject-ca-from": f"{NAMESPACE}/sidelight-webhook"
    }


def test_the_service_leads_to_the_webhooks_port(render: Render) -> None:
    """443 of the Service is 9443 of the webhook's pods, by name and selector."""
    objects = render()
    service = objects["Service", "sidelight-webhook"]["spec"]
    (port,) = service["ports"]
    (container,) = pod_spec(objects, "webhook")["containers"]
    ports = {item["name"]: item["containerPort"] for item in container["ports"]}
    assert (port["port"], ports[port["targetPort"]]) == (443, 9443)
    labels = objects["Deployment", "sidelight-webhook"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert (
        not service["selector"].items()
        <= (
            objects["Deployment", "sidelight-controller"]["spec"]["template"]["metadata"]["labels"]
        ).items()
    )


@pytest.mark.parametrize("role", ROLES)
def test_the_code_takes_the_charts_arguments(
    render: Render, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each argument and variable, with the ports that the probes and the Service use."""
    (container,) = pod_spec(render("image.sidecar.tag=v9"), role)["containers"]
    environment = {item["name"]: item["value"] for item in container["env"]}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    name, *arguments = container["args"]
    assert name == role
    settings: Any = (
        parse_webhook(arguments) if role == "webhook" else parse_controller(arguments, environment)
    )
    ports = {item["name"]: item["containerPort"] for item in container["ports"]}
    assert settings.http_port == ports["http"]
    assert settings.sidecar_image == "sidelight-sidecar:v9"
    assert settings.log_level == "INFO"
    if role == "webhook":
        assert settings.port == ports["webhook"]
        (mount,) = container["volumeMounts"]
        assert str(settings.tls_dir) == mount["mountPath"]
    else:
        assert settings.interval_seconds == 10


@pytest.mark.parametrize("role", ROLES)
def test_pods_pass_pod_security_restricted(render: Render, role: str) -> None:
    """Each rule of the level `restricted`, and a read-only root besides."""
    spec = pod_spec(render(), role)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] != 0
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert all({"secret"} & volume.keys() for volume in spec.get("volumes", ()))
    for container in spec["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert security["readOnlyRootFilesystem"] is True
        assert container["resources"]["requests"]
        assert "cpu" not in container["resources"]["limits"]
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            assert container[probe]["httpGet"]["path"] in ("/healthz", "/readyz")


def granted(objects: Objects, role: str) -> set[tuple[str, str, str]]:
    rules = objects["ClusterRole", f"sidelight-{role}"]["rules"]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_rights_are_the_least(render: Render) -> None:
    """Exactly these; no wildcard, nothing on pods but to list them and to replace those
    that never served.
    """
    objects = render()
    group = names.GROUP
    assert granted(objects, "webhook") == {
        (group, "observedmodels", "list"), (group, "observedmodels", "watch"),
        ("", "namespaces", "list"), ("", "namespaces", "watch"),
    }  # fmt: skip
    assert granted(objects, "controller") == {
        (group, "observedmodels", "list"), (group, "observedmodels", "watch"),
        (group, "observedmodels/status", "patch"),
        ("", "pods", "list"), ("", "pods", "delete"), ("", "namespaces", "get"),
        ("", "configmaps", "get"), ("", "configmaps", "create"), ("", "configmaps", "patch"),
        ("", "secrets", "get"), ("", "secrets", "create"), ("", "events", "create"),
        ("", "events", "list"),
        *(("apps", kind, "get") for kind in ("deployments", "statefulsets", "daemonsets")),
        ("apps", "replicasets", "get"), ("batch", "jobs", "get"), ("batch", "cronjobs", "get"),
        ("argoproj.io", "rollouts", "get"),
    }  # fmt: skip


def test_live_attach_is_one_right_more_and_limited_to_the_tap(render: Render) -> None:
    """Off by default. On, an admission policy ties that right to our container and image."""
    assert not list(kinds(render(), "ValidatingAdmissionPolicy"))
    objects = render("liveAttach.enabled=true", "image.sidecar.tag=v9")
    more = granted(objects, "controller") - granted(render(), "controller")
    assert more == {("", "pods/ephemeralcontainers", "patch")}
    policy = objects["ValidatingAdmissionPolicy", "sidelight-attach"]["spec"]
    (rule,) = policy["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["pods/ephemeralcontainers"], ["UPDATE"])
    user = f"system:serviceaccount:{NAMESPACE}:sidelight-controller"
    assert user in policy["matchConditions"][0]["expression"]
    allowed = policy["validations"][0]["expression"]
    assert f'c.name == "{names.TAP_CONTAINER}"' in allowed
    assert 'c.image == "sidelight-sidecar:v9"' in allowed
    binding = objects["ValidatingAdmissionPolicyBinding", "sidelight-attach"]["spec"]
    assert (binding["policyName"], binding["validationActions"]) == ("sidelight-attach", ["Deny"])


def test_one_controller_and_webhooks_that_are_never_all_away(render: Render) -> None:
    """Recreate for the writer; surge and a budget for the webhook."""
    objects = render()
    controller = objects["Deployment", "sidelight-controller"]["spec"]
    assert (controller["replicas"], controller["strategy"]["type"]) == (1, "Recreate")
    webhook = objects["Deployment", "sidelight-webhook"]["spec"]
    assert webhook["replicas"] == 2
    assert webhook["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    budget = objects["PodDisruptionBudget", "sidelight-webhook"]["spec"]
    assert budget["maxUnavailable"] == 1


def test_the_pod_monitor_finds_the_sidecars(render: Render) -> None:
    """By the label and port name that the injector writes; absent unless asked for."""
    assert not list(kinds(render(), "PodMonitor"))
    objects = render("podMonitor.enabled=true", "podMonitor.labels.release=prometheus")
    monitor = objects["PodMonitor", "sidelight-sidecars"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"] == {"matchLabels": {names.LABEL_INJECTED: "true"}}
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] == names.ADMIN_PORT_NAME


def test_names_follow_the_release(render: Render) -> None:
    """Two releases do not meet."""
    assert ("Deployment", "eu-sidelight-webhook") in render(release="eu")


def test_every_value_is_explained() -> None:
    """A `# --` comment before each leaf of values.yaml that is no part of one already explained."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    for above, line in pairwise(lines):
        key, _, value = line.partition(":")
        if value.strip() and not key.lstrip().startswith(("#", "requests", "limits")):
            assert above.lstrip().startswith("#"), f"{line.strip()!r} has no comment"
