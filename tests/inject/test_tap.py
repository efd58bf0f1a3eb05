"""Mode Tap for new pods: nothing in the path, and only the right that it needs."""

from typing import Any

import pytest
from injection_world import RESTRICTED, engine, judge, model, pod

from sidelight_contract.names import InterceptionMode, Reason

TAP = model(interception={"mode": "Tap"})
BASELINE = {"pod-security.kubernetes.io/enforce": "baseline"}
BASELINE_MAY_ADD = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip


def tapped(body: dict[str, Any], namespace: dict[str, str] | None = None) -> dict[str, Any]:
    """The patched pod's spec."""
    decision = judge(body, TAP, namespace=namespace)
    assert decision.patched is not None, decision.message
    assert (decision.mode, decision.mode_reason) == (InterceptionMode.TAP, Reason.MODE_REQUESTED)
    spec: dict[str, Any] = decision.patched["spec"]
    return spec


def test_the_engine_and_its_probes_stay_as_they_are() -> None:
    """One native sidecar is added, no init container; the engine's container is equal."""
    check = {"httpGet": {"path": "/health", "port": "http"}}
    own = engine(livenessProbe=check, readinessProbe=check, startupProbe=check)
    spec = tapped(pod(own))
    assert spec["containers"] == [own]
    (sidecar,) = spec["initContainers"]
    assert (sidecar["name"], sidecar["restartPolicy"]) == ("sidelight", "Always")
    assert sidecar["args"] == [
        "tap", "--interface", "auto", "--port", "8080", "--admin", "*:15020",
        "--config", "/etc/sidelight/config/config.json",
    ]  # fmt: skip
    variables = {entry["name"]: entry for entry in sidecar["env"]}
    assert variables["SIDELIGHT_POD_IP"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"


def security(namespace: dict[str, str] | None = None) -> dict[str, Any]:
    (sidecar,) = tapped(pod(), namespace)["initContainers"]
    found: dict[str, Any] = sidecar["securityContext"]
    return found


def test_it_has_net_raw_and_nothing_else() -> None:
    """User 0, for no other gets a capability; all dropped, one added; nothing else is loosened."""
    assert security() == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]},
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsNonRoot": False, "runAsUser": 0, "runAsGroup": 0,
    }  # fmt: skip


def test_under_baseline_net_raw_is_what_is_left_of_the_default_set() -> None:
    """Adding it is forbidden there; everything else that a runtime gives is dropped by name."""
    capabilities = security(BASELINE)["capabilities"]
    assert "add" not in capabilities
    assert set(capabilities["drop"]) == BASELINE_MAY_ADD


def test_under_restricted_it_is_refused_with_the_reason() -> None:
    """And with what would work there."""
    decision = judge(pod(), TAP, namespace=RESTRICTED)
    assert (decision.patched, decision.reason) == (None, Reason.PRIVILEGE_NOT_ALLOWED)
    assert "restricted" in decision.message
    assert "PortTakeover" in decision.message


@pytest.mark.parametrize(("port", "refused"), [(15020, True), (15001, False), (15080, False)])
def test_it_needs_one_port(port: int, refused: bool) -> None:
    """The admin port alone: there is no relay."""
    body = pod(engine(ports=[{"containerPort": port}]))
    assert (judge(body, TAP).reason is Reason.PORT_RESERVED) is refused


def test_a_shells_engine_that_cannot_be_moved_can_be_tapped() -> None:
    """The port need only be known."""
    body = pod(engine(command=["sh", "-c"], args=["exec llama-server --port 9000"]))
    (sidecar,) = tapped(body)["initContainers"]
    assert "9000" in sidecar["args"]
