"""What a pod's own object says of its tap."""

import json
from typing import Any

import pytest
from attach_world import CONTAINER, RECORD
from injection_world import pod

from sidelight_operator.attach.taps import TapState, tap_of


def tapped(state: dict[str, Any] | None, container: dict[str, Any] = CONTAINER) -> dict[str, Any]:
    """A pod with another's ephemeral container and ours; `state` None: no word of the kubelet."""
    body = pod(ephemeralContainers=[{"name": "debugger", "image": "x"}, container])
    if state is not None:
        body["status"] = {
            "ephemeralContainerStatuses": [
                {"name": "debugger", "state": {"terminated": {"exitCode": 1}}},
                {"name": "sidelight-tap", "state": state},
            ]
        }
    return body


def test_a_pod_without_our_container_has_no_tap() -> None:
    """Whoever else debugged in it."""
    assert tap_of(pod()) is None
    assert tap_of(pod(ephemeralContainers=[{"name": "debugger", "image": "x"}])) is None


def test_what_was_attached_is_read_back_from_the_container_alone() -> None:
    """The record, and by what it knows who may ask."""
    tap = tap_of(tapped({"running": {"startedAt": "2026-11-24T10:00:00Z"}}))
    assert tap is not None
    assert (tap.record, tap.state, tap.token_sha256) == (RECORD, TapState.RUNNING, "ab")


@pytest.mark.parametrize("state", [None, {}, {"waiting": {}}])
def test_one_that_the_kubelet_has_not_started_is_starting(state: Any) -> None:
    """Also when it has not even looked at it."""
    tap = tap_of(tapped(state))
    assert tap is not None
    assert (tap.state, tap.message) == (TapState.STARTING, "")


def test_why_it_waits_is_told() -> None:
    """As the kubelet has it."""
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling x"}}
    tap = tap_of(tapped(waiting))
    assert tap is not None
    assert tap.message == "ImagePullBackOff: Back-off pulling x"


LOG = "\n".join(
    [
        json.dumps({"component": "observer", "event": "admin_listening"}),
        json.dumps({"component": "tap", "event": "failed", "why": "not allowed to read packets"}),
        "",
    ]
)


@pytest.mark.parametrize(
    ("code", "message", "failed", "says"),
    [
        (2, LOG, True, "not allowed to read packets"),
        (0, "ObservedModel chat no longer selects pod a", False, "no longer selects"),
        (137, "", True, "Error (137)"),
        (2, "[1]\nnot json", True, "not json"),
    ],
)
def test_why_it_ended_is_its_last_word(code: int, message: str, failed: bool, says: str) -> None:
    """A sentence, the cause in the end of a log, or what the kubelet says."""
    state = {"terminated": {"exitCode": code, "reason": "Error", "message": message}}
    tap = tap_of(tapped(state))
    assert tap is not None
    assert (tap.state, tap.failed) == (TapState.ENDED, failed)
    assert says in tap.message


def test_a_container_of_that_name_which_is_not_ours_has_no_record() -> None:
    """Somebody's debugging container called sidelight-tap."""
    tap = tap_of(tapped({"running": {}}, {"name": "sidelight-tap", "image": "x", "args": None}))
    assert tap is not None
    assert tap.record is None


def test_an_ephemeral_container_asks_for_nothing_that_it_may_not_have() -> None:
    """The API server refuses these; and nothing secret is in what anybody may read."""
    assert not {"ports", "resources", "livenessProbe", "readinessProbe", "startupProbe",
                "lifecycle", "volumeMounts", "restartPolicy"} & set(CONTAINER)  # fmt: skip
    assert "targetContainerName" not in CONTAINER
    assert all(set(entry) <= {"name", "value", "valueFrom"} for entry in CONTAINER["env"])
    assert "secret" not in json.dumps(CONTAINER).lower()
