"""The chart agrees with the code, and asks for no more than it needs."""

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from operator_metrics import made

from sidelight_contract import names
from sidelight_contract.crd import custom_resource_definition
from sidelight_operator.controller.settings import Settings
from sidelight_operator.controller.settings import parse_settings as parse_controller
from sidelight_operator.controller.webhook_configuration import WEBHOOK
from sidelight_operator.webhook import HANDLER_ID, PATH
from sidelight_operator.webhook.app import parse_settings as parse_webhook
from sidelight_operator.webhook.server import CLOSING_SECONDS

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "sidelight"
NAMESPACE = "sidelight-system"
ROLES = ("webhook", "controller")

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


def kinds(objects: Objects, kind: str) -> Iterator[dict[str, Any]]:
    return (item for (found, _), item in objects.items() if found == kind)


def pod_spec(objects: Objects, role: str, name: str = "sidelight") -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment", f"{name}-{role}"]["spec"]["template"]["spec"]
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
        ("prometheusRule.enabled=true", "prometheusRule.labels.release=prometheus"),
        ("networkPolicy.enabled=false",),
        ("networkPolicy.metricsFrom[0].podSelector.matchLabels.a=b",),
        ("crds.install=false",),
        ("liveAttach.enabled=true",),
        ("rollout.enabled=true",),
        ("webhook.replicas=1", "webhook.excludeNamespaces={a,b}", "logLevel=DEBUG"),
        ("imagePullSecrets[0].name=s", "nodeSelector.a=b", "priorityClassName=high"),
        ("image.sidecar.pullSecrets={a,b}",),
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
        ("image.sidecar.pullSecrets={Bad_Name}", "pullSecrets"),
        ("webhok.replicas=2", "webhok"),
        ("webhook.excludeNamespaces={Bad_Name}", "excludeNamespaces"),
        ("webhook.timeoutSeconds=31", "timeoutSeconds"),
        ("watch.namespaces={a,a}", "namespaces"),
        ("watch.namespaces={A}", "namespaces"),
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
    (condition,) = webhook["matchConditions"]
    excluded = json.dumps(["kube-system", NAMESPACE, "team-a"], separators=(",", ":"))
    assert condition["expression"] == f"!(request.namespace in {excluded})"
    (opt_out,) = webhook["objectSelector"]["matchExpressions"]
    assert (opt_out["key"], opt_out["values"]) == (names.LABEL_INJECT, ["false"])


@pytest.mark.parametrize("values", [(), ("certManager.enabled=true",), ("watch.namespaces={a}",)])
def test_what_the_controller_keeps_is_not_rendered(render: Render, values: tuple[str, ...]) -> None:
    """So that no upgrade and no GitOps tool takes it back; without it nobody is trusted."""
    webhook = admission(render(*values))
    assert webhook["name"] == WEBHOOK
    assert "namespaceSelector" not in webhook
    assert "caBundle" not in webhook["clientConfig"]


def test_rendering_twice_is_rendering_once(render: Render) -> None:
    """A GitOps tool renders again and again: no certificate or key is made by that."""
    assert render() == render()
    for secret in kinds(render(), "Secret"):
        assert not {"data", "stringData"} & secret.keys()


@pytest.mark.parametrize("release", ["sidelight", "eu"])
def test_the_controller_knows_the_charts_names(render: Render, release: str) -> None:
    """Configuration, Service, Secrets: what it keeps is what the chart made."""
    objects = render(release=release)
    settings = controller_settings(objects, fullname(release))
    here = settings.installation
    assert here is not None
    assert here.namespace == NAMESPACE
    assert here.keeps_certificates
    assert here.keeps_namespaces
    assert ("MutatingWebhookConfiguration", here.name) in objects
    assert ("Service", here.service) in objects
    secrets = {here.authority_secret, here.serving_secret, here.key_secret}
    assert {secret["metadata"]["name"] for secret in kinds(objects, "Secret")} == secrets
    assert "spec" not in objects["Lease", here.lease]
    (held,) = [
        rule["resourceNames"] for rule in objects["Role", f"{here.name}-own"]["rules"]
        if rule["resources"] == ["leases"] and "patch" in rule["verbs"]
    ]  # fmt: skip
    assert held == [here.lease]
    (webhook,) = objects["MutatingWebhookConfiguration", here.name]["webhooks"]
    service = webhook["clientConfig"]["service"]
    assert here.hosts[0] == f"{service['name']}.{service['namespace']}.svc"
    (volume,) = pod_spec(objects, "webhook", fullname(release))["volumes"]
    assert volume["secret"]["secretName"] == here.serving_secret
    assert [item["path"] for item in volume["secret"]["items"]] == ["tls.crt", "tls.key"]


def fullname(release: str) -> str:
    return release if release == "sidelight" else f"{release}-sidelight"


def controller_settings(objects: Objects, name: str = "sidelight") -> Settings:
    (container,) = pod_spec(objects, "controller", name)["containers"]
    return parse_controller(container["args"][1:], {"SIDELIGHT_SIDECAR_IMAGE": "x"})


def test_cert_manager_takes_the_charts_certificates_place(render: Render) -> None:
    """Its Secret is the one that the pods mount, its CA is put in by annotation."""
    objects = render("certManager.enabled=true")
    certificate = objects["Certificate", "sidelight-webhook"]["spec"]
    (volume,) = pod_spec(objects, "webhook")["volumes"]
    assert certificate["secretName"] == volume["secret"]["secretName"]
    assert certificate["dnsNames"] == [f"sidelight-webhook.{NAMESPACE}.svc"]
    assert [s["metadata"]["name"] for s in kinds(objects, "Secret")] == ["sidelight-summary-key"]
    configuration = objects["MutatingWebhookConfiguration", "sidelight"]["metadata"]
    assert configuration["annotations"] == {
        "cert-manager.io/inject-ca-from": f"{NAMESPACE}/sidelight-webhook"
    }
    here = controller_settings(objects).installation
    assert here is not None
    assert (here.keeps_certificates, here.keeps_namespaces) == (False, True)


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


Rights = set[tuple[str, str, str]]
LOOK_AFTER: Rights = {
    (names.GROUP, "observedmodels", "list"), (names.GROUP, "observedmodels", "watch"),
    (names.GROUP, "observedmodels/status", "patch"),
    ("", "pods", "list"), ("", "pods", "delete"), ("", "namespaces", "get"),
    ("", "configmaps", "get"), ("", "configmaps", "create"), ("", "configmaps", "patch"),
    ("", "events", "create"), ("", "events", "list"),
    *(("apps", kind, "get") for kind in ("deployments", "statefulsets", "daemonsets")),
    ("apps", "replicasets", "get"), ("batch", "jobs", "get"), ("batch", "cronjobs", "get"),
    ("argoproj.io", "rollouts", "get"),
    ("", "limitranges", "list"), ("", "resourcequotas", "list"),
}  # fmt: skip
"""What the controller may do with models and their pods."""
WATCH_BOUNDS: Rights = {
    ("", kind, verb) for kind in ("limitranges", "resourcequotas") for verb in ("list", "watch")
}
"""What the webhook may do with what bounds a pod's resources."""


def rights(role: dict[str, Any]) -> Rights:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted(objects: Objects, role: str) -> Rights:
    return rights(objects["ClusterRole", f"sidelight-{role}"])


def test_rights_are_the_least(render: Render) -> None:
    """Exactly these; no wildcard, no Secret; of pods they may be listed, and those be deleted that
    never served.
    """
    objects = render()
    group = names.GROUP
    assert granted(objects, "webhook") == {
        (group, "observedmodels", "list"), (group, "observedmodels", "watch"),
        ("", "namespaces", "list"), ("", "namespaces", "watch"), *WATCH_BOUNDS,
    }  # fmt: skip
    assert granted(objects, "controller") == LOOK_AFTER


def test_of_its_own_objects_the_controller_may_write_those_that_it_keeps(render: Render) -> None:
    """One configuration and three Secrets, by name; what has no names reads nothing."""
    objects = render()
    here = controller_settings(objects).installation
    assert here is not None
    (rule,) = objects["ClusterRole", "sidelight-admission"]["rules"]
    assert rule["resources"] == ["mutatingwebhookconfigurations"]
    assert (rule["resourceNames"], rule["verbs"]) == ([here.name], ["get", "patch"])
    named, *others = objects["Role", "sidelight-own"]["rules"]
    assert set(named["resourceNames"]) == {
        here.key_secret, here.authority_secret, here.serving_secret,
    }  # fmt: skip
    assert (named["resources"], named["verbs"]) == (["secrets"], ["get", "patch"])
    assert [(rule["resources"], rule["verbs"]) for rule in others] == [
        (["secrets"], ["create"]), (["events"], ["create"]),
        (["leases"], ["get", "patch"]), (["leases"], ["create"]),
    ]  # fmt: skip
    role = objects["Role", "sidelight-own"]["metadata"]["namespace"]
    assert role == NAMESPACE


def test_every_role_is_bound_to_its_own_service_account(render: Render) -> None:
    """And to nobody else."""
    for values in ((), ("watch.namespaces={a,b}",)):
        objects = render(*values)
        bindings = [*kinds(objects, "ClusterRoleBinding"), *kinds(objects, "RoleBinding")]
        assert bindings
        for binding in bindings:
            reference = binding["roleRef"]
            assert (reference["kind"], reference["name"]) in objects
            (subject,) = binding["subjects"]
            assert ("ServiceAccount", subject["name"]) in objects
            writes = reference["name"] in ("sidelight-own", "sidelight-admission")
            assert subject["name"] == ("sidelight-controller" if writes else reference["name"])


def test_with_namespaces_there_are_roles_in_these_alone(helm: Callable[..., str]) -> None:
    """The same rights, but that namespaces cannot be watched; of ClusterRoles stays the one for the
    webhook's configuration, and with cert-manager none.
    """

    def roles(*values: str) -> list[dict[str, Any]]:
        options = [option for value in values for option in ("--set", value)]
        text = helm("template", "sidelight", str(CHART), "--namespace", NAMESPACE, *options)
        objects = [item for item in yaml.safe_load_all(text) if item]
        return [item for item in objects if item["kind"] in ("Role", "ClusterRole")]

    found = {(r["kind"], r["metadata"]["name"], r["metadata"].get("namespace")): r
             for r in roles("watch.namespaces={a,b}")}  # fmt: skip
    assert {key for key in found if key[1:] != ("sidelight-own", NAMESPACE)} == {
        ("ClusterRole", "sidelight-admission", None),
        *(("Role", f"sidelight-{role}", place) for role in ROLES for place in ("a", "b")),
    }
    assert rights(found["Role", "sidelight-controller", "a"]) == LOOK_AFTER
    assert rights(found["Role", "sidelight-webhook", "b"]) == {
        (names.GROUP, "observedmodels", "list"), (names.GROUP, "observedmodels", "watch"),
        ("", "namespaces", "get"), *WATCH_BOUNDS,
    }  # fmt: skip
    assert {r["kind"] for r in roles("watch.namespaces={a,b}", "certManager.enabled=true")} == {
        "Role"
    }


def test_with_namespaces_and_cert_manager_the_chart_writes_the_selector(render: Render) -> None:
    """Nobody else may then."""
    objects = render("watch.namespaces={a,b}", "certManager.enabled=true")
    (expression,) = admission(objects)["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["a", "b"]
    settings = controller_settings(objects)
    assert settings.namespaces == ("a", "b")
    assert settings.installation is not None
    assert not settings.installation.keeps_namespaces
    (container,) = pod_spec(objects, "webhook")["containers"]
    assert "--watch-namespaces=a,b" in container["args"]


def test_network_policies_let_in_what_is_served(render: Render) -> None:
    """Each role's own ports, by name; none in the namespaces of models."""
    objects = render("networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.a=b")
    for role, reviewed in (("webhook", True), ("controller", False)):
        policy = objects["NetworkPolicy", f"sidelight-{role}"]
        assert policy["metadata"]["namespace"] == NAMESPACE
        assert policy["spec"]["policyTypes"] == ["Ingress"]
        (container,) = pod_spec(objects, role)["containers"]
        open_ports = {
            port["port"]: rule.get("from") for rule in policy["spec"]["ingress"]
            for port in rule["ports"]
        }  # fmt: skip
        assert open_ports.keys() == {port["name"] for port in container["ports"]}
        assert open_ports["http"] == [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]
        assert ("webhook" in open_ports) == reviewed
        assert open_ports.get("webhook") is None, "the API server is no pod"


def alerts(render: Render) -> list[dict[str, Any]]:
    rule = render("prometheusRule.enabled=true")["PrometheusRule", "sidelight"]
    (group,) = rule["spec"]["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_alerts_ask_for_metrics_that_there_are(render: Render) -> None:
    """A name or label that changed would make an alert silent, or ring for ever."""
    labels = {name: set(words.split(", ")) for name, words, _ in made()}
    for alert in alerts(render):
        asked = re.findall(r"(sidelight_\w+)(?:{([^}]*)})?", alert["expr"])
        assert asked
        for metric, selector in asked:
            known = labels[metric.removesuffix("_count")] | {"namespace"}
            used = set(re.findall(r"(\w+)!?=", selector))
            for grouped in re.findall(r"by \(([^)]*)\)", alert["expr"]):
                used |= set(grouped.split(", "))
            assert used <= known, alert["alert"]


def test_alerts_are_about_this_release_alone(render: Render) -> None:
    """Where another one's metric would keep silent what is missing here."""
    for alert in alerts(render):
        if "vector(0)" in alert["expr"]:
            assert f'namespace="{NAMESPACE}"' in alert["expr"]


def test_each_alert_is_explained(render: Render) -> None:
    """By its description, and by a row of docs/operations.md; no row is of none."""
    rows = re.findall(
        r"^\| `(Sidelight\w+)` \| .+ \| .+ \|$",
        (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert rows == [alert["alert"] for alert in alerts(render)]
    for alert in alerts(render):
        for text in alert["annotations"].values():
            assert not re.findall(r"{{(?! \$(value|labels\.\w+)\b)", text)
        assert alert["annotations"]["description"]
        assert alert["labels"]["severity"] in ("warning", "critical")


def test_the_webhook_is_spread_and_drains(render: Render) -> None:
    """Over zones and nodes where there are several; it has the time that it asks for."""
    spec = pod_spec(render(), "webhook")
    (spread,) = spec["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    labels = render()["Deployment", "sidelight-webhook"]["spec"]["selector"]["matchLabels"]
    assert spread["labelSelector"]["matchLabels"] == labels
    (container,) = spec["containers"]
    drains = [argument for argument in container["args"] if argument.startswith("--drain")]
    seconds = float(drains[0].partition("=")[2])
    assert spec["terminationGracePeriodSeconds"] > seconds + CLOSING_SECONDS + 5


def test_rollouts_are_three_rights_more_and_limited_to_a_mark_and_an_image(render: Render) -> None:
    """Off by default. On, admission policies tie the controller, and nobody else, to them."""
    objects = render("rollout.enabled=true", "image.sidecar.repository=registry/sidecar")
    more = granted(objects, "controller") - granted(render(), "controller")
    assert more == {
        *(("apps", kind, "patch") for kind in ("deployments", "statefulsets", "daemonsets")),
        ("", "pods", "patch"), ("policy", "poddisruptionbudgets", "list"),
    }  # fmt: skip
    for part, resources, limit in (
        ("workloads", ["deployments", "statefulsets", "daemonsets"], names.ANNOTATION_RESTARTED),
        ("pods", ["pods"], 'c.image.startsWith("registry/sidecar:")'),
    ):
        policy = objects["ValidatingAdmissionPolicy", f"sidelight-rollout-{part}"]["spec"]
        (rule,) = policy["matchConstraints"]["resourceRules"]
        assert (rule["resources"], rule["operations"]) == (resources, ["UPDATE"])
        user = f"system:serviceaccount:{NAMESPACE}:sidelight-controller"
        assert user in policy["matchConditions"][0]["expression"]
        assert limit in policy["validations"][0]["expression"]
        binding = objects["ValidatingAdmissionPolicyBinding", f"sidelight-rollout-{part}"]["spec"]
        assert binding["policyName"] == f"sidelight-rollout-{part}"
        assert binding["validationActions"] == ["Deny"]


def test_live_attach_is_one_right_more_and_limited_to_the_tap(render: Render) -> None:
    """Off by default. On, an admission policy ties that right to our container and image."""
    assert ("ValidatingAdmissionPolicy", "sidelight-attach") not in render()
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


def test_of_config_maps_the_controller_may_write_its_own(render: Render) -> None:
    """Its right is for all of them, for RBAC knows no patterns; a policy narrows it."""
    objects = render()
    policy = objects["ValidatingAdmissionPolicy", "sidelight-configmaps"]["spec"]
    (rule,) = policy["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["configmaps"], ["CREATE", "UPDATE"])
    user = f"system:serviceaccount:{NAMESPACE}:sidelight-controller"
    assert user in policy["matchConditions"][0]["expression"]
    front, managed = names.config_name(""), names.LABEL_MANAGED_BY
    assert f'object.metadata.name.startsWith("{front}")' in policy["validations"][0]["expression"]
    assert (
        f'"{managed}"].orValue("") == "{names.MANAGED_BY}"'
        in (policy["validations"][0]["expression"])
    )
    binding = objects["ValidatingAdmissionPolicyBinding", "sidelight-configmaps"]["spec"]
    assert binding == {"policyName": "sidelight-configmaps", "validationActions": ["Deny"]}


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
    (own,) = objects["PodMonitor", "sidelight-operator"]["spec"]["podMetricsEndpoints"]
    assert own["honorLabels"], "`namespace` would be the controller's, not the ObservedModel's"


def test_prometheus_can_ask_the_controller_for_targets(render: Render) -> None:
    """At the address that docs/operations.md gives, which leads to the controller's http port."""
    objects = render()
    service = objects["Service", "sidelight-controller"]
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8080, "http")
    url = f"http://sidelight-controller.{NAMESPACE}.svc:8080/targets"
    assert url in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    template = objects["Deployment", "sidelight-controller"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert "http" in [item["name"] for item in container["ports"]]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()


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
