"""A pod's version: its label, else the digest of what runs, and nothing before it runs."""

from typing import Any

import pytest
from controller_world import DIGEST, VERSION, model_body, pod_body, summary

from sidelight_operator.controller.comparing import Comparisons
from sidelight_operator.controller.evaluate import evaluate
from sidelight_operator.controller.models import parse_model, parse_time
from sidelight_operator.controller.pods import PodView, view_pod
from sidelight_operator.controller.version import short_digest, version_of

NOW = parse_time("2026-11-24T12:00:00Z")
LABELS = ["sidelight.dev/version", "app.kubernetes.io/version"]
OTHER = "c0ffee" + "1" * 58


def pod(image_id: str | None = None, state: str = "running", **facts: Any) -> dict[str, Any]:
    """A pod whose engine's container has this ID and state."""
    body = pod_body("a", **facts)
    status = body["status"]["containerStatuses"][0]
    if image_id is not None:
        status["imageID"] = image_id
    status["state"] = {state: {}}
    return body


def version(body: dict[str, Any]) -> str:
    return version_of(body, "engine", LABELS)


@pytest.mark.parametrize(
    "image_id",
    [
        f"docker.io/example/llama-server@sha256:{DIGEST}",
        f"docker-pullable://example/llama-server@sha256:{DIGEST}",
        f"registry.example:5000/a/b@sha256:{DIGEST}",
        f"docker://sha256:{DIGEST}",
        f"sha256:{DIGEST}",
        DIGEST,
    ],
)
def test_every_form_of_an_image_id_is_the_same_version(image_id: str) -> None:
    """Pulled, loaded by hand, and as older runtimes write it."""
    assert version(pod(image_id)) == VERSION


@pytest.mark.parametrize(
    "image_id", ["", "sha256:", "sha256:0", "x@sha256:zz", DIGEST[:-1], "x" + DIGEST]
)
def test_what_is_no_digest_is_none(image_id: str) -> None:
    """Then the tag is all there is of an engine that runs."""
    assert short_digest(image_id) == ""
    assert version(pod(image_id)) == "b42"


def test_other_digests_are_told_apart_by_their_kind() -> None:
    """`sha512` is the other one that images may have."""
    assert short_digest(f"x@sha512:{DIGEST}{DIGEST}") == f"sha512:{DIGEST[:12]}"


def test_the_first_label_wins_over_the_digest() -> None:
    """In the order of the spec; an empty one is none."""
    labels = {"app.kubernetes.io/version": "2", "sidelight.dev/version": ""}
    assert version(pod(labels=labels)) == "2"
    assert version(pod(labels=labels | {"sidelight.dev/version": "1"})) == "1"


def test_what_runs_counts_before_what_was_asked_for() -> None:
    """The node's word wins; the image's own digest is known before the node says any."""
    asked = f"example/llama-server:b42@sha256:{OTHER}"
    assert version(pod(f"sha256:{DIGEST}", image=asked)) == VERSION
    assert version(pod("", "waiting", image=asked)) == f"sha256:{OTHER[:12]}"


def test_a_pod_whose_engine_has_not_started_has_no_version() -> None:
    """Rather than its tag first and its digest after; a restart does not take it away."""
    assert version(pod("", "waiting")) == ""
    assert version(pod_body("a", phase="Pending")) == ""
    assert version(pod(state="waiting")) == VERSION
    assert version(pod("", image="plain")) == "unknown"


def test_the_sidecars_image_is_not_the_engines() -> None:
    """On clusters without native sidecars it stands among the containers, first."""
    body = pod()
    body["spec"]["containers"].insert(0, {"name": "sidelight", "image": f"s@sha256:{OTHER}"})
    sidecar = {"name": "sidelight", "imageID": f"sha256:{OTHER}", "state": {"running": {}}}
    body["status"]["containerStatuses"].insert(0, sidecar)
    assert version_of(body, "", LABELS) == version(body) == VERSION


def view(name: str, **facts: Any) -> PodView:
    return view_pod(pod_body(name, **facts), LABELS)


def test_a_pod_without_a_version_is_no_row_and_in_the_whole() -> None:
    """Its requests are lost to nobody."""
    body = pod_body("young")
    body["status"]["containerStatuses"][0] |= {"imageID": "", "state": {"waiting": {}}}
    pods = [view("old"), view_pod(body, LABELS)]
    assert pods[1].version == ""
    result = evaluate(parse_model(model_body()), pods, {p.uid: summary() for p in pods}, NOW)
    assert [(row.name, row.requests) for row in result.status.versions] == [(VERSION, 10)]
    assert result.status.traffic is not None
    assert result.status.traffic.requests == 20


def test_a_pod_that_starts_is_no_candidate() -> None:
    """A comparison waits for the version that it will have."""
    model = parse_model(model_body(compare={}))
    pods = [view("old"), view("young", phase="Pending", created="2026-11-24T11:59:00Z")]
    comparisons = Comparisons()
    due = comparisons.due(model, NOW)
    compared = comparisons.proceed(model, pods, {}, NOW, due=due)
    assert compared is not None
    assert (compared.candidate, compared.baseline) == (VERSION, "")
