"""Pods that do not start because of Sidelight, told from their statuses."""

from datetime import timedelta
from typing import Any

import pytest
from controller_world import AFTER, pod_body

from sidelight_contract.names import Reason
from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.trouble import never_ready, trouble_of
from sidelight_operator.kube import Json

START = parse_time(AFTER)
FAILED = {"terminated": {"exitCode": 1, "reason": "Error", "message": "no rules"}}
LOOPING = {"waiting": {"reason": "CrashLoopBackOff"}}


def waiting(reason: str) -> Json:
    return {"waiting": {"reason": reason, "message": "of some cause"}}


def stuck(name: str, state: Json, *, last: Json | None = None, restarts: int = 0) -> Json:
    """A pod that was never ready, with one container of Sidelight's in this state."""
    pod = pod_body("chat-a", phase="Pending", ready=False)
    pod["status"]["initContainerStatuses"] = [
        {
            "name": name, "state": state, "lastState": last or {}, "restartCount": restarts,
            "ready": False, "image": "registry/sidecar:1",
        }
    ]  # fmt: skip
    return pod


def robbed(*, phase: str = "Pending") -> Json:
    """A pod whose sidecar another webhook made an init container like others."""
    pod = stuck("sidelight", {"running": {}})
    pod["status"]["phase"] = phase
    for container in pod["spec"]["initContainers"]:
        del container["restartPolicy"]
    return pod


def seen(pod: Json, seconds: float = 40) -> Any:
    found = trouble_of(pod, START + timedelta(seconds=seconds))
    return found and found.reason


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (stuck("sidelight", waiting("ImagePullBackOff")), Reason.SIDECAR_IMAGE_NOT_PULLED),
        (stuck("sidelight-init", waiting("ErrImagePull")), Reason.SIDECAR_IMAGE_NOT_PULLED),
        (stuck("sidelight", waiting("CreateContainerError")), Reason.SIDECAR_NOT_CREATED),
        (stuck("sidelight-init", FAILED, restarts=1), Reason.INIT_CONTAINER_FAILED),
        (
            stuck("sidelight-init", LOOPING, last=FAILED, restarts=1),
            Reason.INIT_CONTAINER_FAILED,
        ),
        (stuck("sidelight", LOOPING, last=FAILED, restarts=1), Reason.SIDECAR_CRASHED),
        (stuck("sidelight", {"running": {}}, last=FAILED, restarts=2), Reason.SIDECAR_CRASHED),
        (stuck("engine", LOOPING, last=FAILED, restarts=9), None),
        (stuck("engine", waiting("ImagePullBackOff")), None),
        (stuck("sidelight-init", {"running": {}}), None),
        (stuck("sidelight", {"running": {}}), None),
        (robbed(), Reason.SIDECAR_NOT_NATIVE),
    ],
)
def test_only_sidelights_own_containers_are_trouble(pod: Json, reason: Reason | None) -> None:
    """Each cause has its reason; the engine's failures are its own."""
    assert seen(pod) == reason


def test_one_failure_is_no_trouble() -> None:
    """A registry that hiccups and an init container that fails once get another try."""
    assert seen(stuck("sidelight", waiting("ErrImagePull")), 20) is None
    assert seen(stuck("sidelight-init", FAILED)) is None
    assert seen(stuck("sidelight", {"running": {}}, last=FAILED, restarts=1)) is None


def test_an_image_that_cannot_exist_is_not_waited_for() -> None:
    """Nor is one that the kubelet may not pull."""
    for reason in ("InvalidImageName", "ErrImageNeverPull"):
        assert seen(stuck("sidelight", waiting(reason)), 0) == Reason.SIDECAR_IMAGE_NOT_PULLED


def test_a_pod_that_is_never_restarted_fails_with_its_init_container() -> None:
    """A Job's: the first failure is the last."""
    pod = stuck("sidelight-init", FAILED)
    pod["status"]["phase"] = "Failed"
    assert seen(pod) == Reason.INIT_CONTAINER_FAILED


def test_a_pod_that_served_is_in_trouble_only_when_its_sidecar_cannot_stay_up() -> None:
    """An image that the node has lost, or a restart, is no start that failed."""
    ended = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-24T11:05:00Z"}
    for pod, reason in (
        (stuck("sidelight", waiting("ImagePullBackOff")), None),
        (stuck("sidelight", {"running": {}}, last=FAILED, restarts=3), None),
        (stuck("sidelight", LOOPING, last=FAILED, restarts=3), Reason.SIDECAR_CRASHED),
    ):
        pod["status"]["conditions"] = [ended]
        assert not never_ready(pod)
        assert seen(pod, 3600) == reason


def test_never_ready_is_told_by_the_ready_condition() -> None:
    """It has not changed since the kubelet first wrote it."""
    assert never_ready(stuck("sidelight", {}))
    assert never_ready({"metadata": {}, "status": {"phase": "Pending"}})
    assert not never_ready(pod_body("chat-a"))
    assert not never_ready({"metadata": {}, "status": {"phase": "Running"}})


def test_a_sidecar_that_does_not_come_back_with_its_new_image_is_trouble() -> None:
    """The kubelet shows the old one's good end for as long as it cannot pull the new one."""
    ended = {"terminated": {"exitCode": 0, "finishedAt": AFTER}}
    pod = stuck("sidelight", ended)
    pod["status"]["conditions"][0]["lastTransitionTime"] = "2026-11-24T12:00:00Z"
    for seconds, reason in ((40, None), (50, Reason.SIDECAR_IMAGE_NOT_PULLED)):
        found = trouble_of(pod, START + timedelta(seconds=seconds), changed=True)
        assert (found and found.reason) == reason
        assert seen(pod, seconds) is None


def test_a_sidecar_that_is_no_native_one_is_waited_for_a_while() -> None:
    """It may be that the pod starts all the same; a pod that served is left alone."""
    assert seen(robbed(), seconds=20) is None
    served = robbed(phase="Running")
    served["status"]["conditions"][0] |= {"status": "True"}
    assert seen(served) is None
