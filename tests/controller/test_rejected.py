"""Whose doing a refused pod is, from the API server's own words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_operator.controller.quantities import parse_quantity, pod_amounts
from sidelight_operator.controller.rejected import Blame, blame
from sidelight_operator.kube import Json

ENGINE = {
    "name": "engine", "image": "vllm/vllm-openai:v1",
    "resources": {
        "requests": {"cpu": "2", "memory": "8Gi"},
        "limits": {"memory": "8Gi", "nvidia.com/gpu": "1"},
    },
}  # fmt: skip
INIT = {
    "name": "sidelight-init", "image": "registry/s:1",
    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
}  # fmt: skip
SIDECAR = {
    "name": "sidelight", "image": "registry/s:1", "restartPolicy": "Always",
    "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}},
}  # fmt: skip
BEFORE: Json = {"containers": [ENGINE]}
AFTER: Json = {"containers": [ENGINE], "initContainers": [INIT, SIDECAR]}
POD = 'pods "chat-7c9d-x" is forbidden: '


@pytest.mark.parametrize(
    ("message", "whose"),
    [
        # Fits without the sidecar's 50m, or its memory.
        (
            POD + "exceeded quota: q, requested: requests.cpu=2050m, used: requests.cpu=2, "
            "limited: requests.cpu=4",
            Blame.OURS,
        ),
        (
            POD + "exceeded quota: q, requested: cpu=2050m,memory=8288Mi, used: cpu=0,memory=0, "
            "limited: cpu=2,memory=8Gi",
            Blame.OURS,
        ),
        # Would not fit without it either: too little CPU, no GPU left, too many pods.
        (
            POD + "exceeded quota: q, requested: requests.cpu=2050m, used: requests.cpu=3, "
            "limited: requests.cpu=4",
            Blame.THEIRS,
        ),
        (
            POD + "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: "
            "requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8",
            Blame.THEIRS,
        ),
        (POD + "exceeded quota: q, requested: pods=1, used: pods=9, limited: pods=9", Blame.THEIRS),
        (
            POD + "failed quota: q: must specify limits.cpu for: sidelight,sidelight-init",
            Blame.OURS,
        ),
        (
            POD + 'violates PodSecurity "baseline:latest": non-default capabilities (container '
            '"sidelight-init" must not include "NET_ADMIN" in securityContext.capabilities.add)',
            Blame.OURS,
        ),
        (POD + "minimum cpu usage per Container is 100m, but request is 50m", Blame.OURS),
        (POD + "maximum memory usage per Container is 4Gi, but limit is 8Gi", Blame.THEIRS),
        (POD + "maximum memory usage per Pod is 8Gi, but limit is 8992587776", Blame.OURS),
        (POD + "maximum memory usage per Pod is 4Gi, but limit is 8992587776", Blame.THEIRS),
        ('Pod "chat-x" is invalid: spec.initContainers[0].image: Required value', Blame.OURS),
        ('admission webhook "images" denied the request: registry/s:1 is not mirrored', Blame.OURS),
        ('admission webhook "policy.example" denied the request: rule 4', Blame.LIKELY),
        (
            POD + "unable to create new content in namespace llm: it is being terminated",
            Blame.THEIRS,
        ),
        ('error looking up service account llm/default: "default" not found', Blame.THEIRS),
        (
            "Internal error occurred: failed calling webhook: context deadline exceeded",
            Blame.THEIRS,
        ),
        ("", Blame.THEIRS),
    ],
)
def test_a_refusal_is_blamed_on_who_caused_it(message: str, whose: Blame) -> None:
    """A full GPU quota is not Sidelight's doing; a quota that was full but for 50m is."""
    assert blame(message, BEFORE, AFTER) is whose


@given(st.text(max_size=300))
def test_no_message_is_too_strange(message: str) -> None:
    """It may be anybody's."""
    assert blame(POD + "exceeded quota: " + message, BEFORE, AFTER) in Blame
    assert blame(message, {}, AFTER) in Blame


def test_a_pod_counts_its_sidecars_with_its_containers() -> None:
    """And its largest init container only where that is more."""
    amounts = pod_amounts(AFTER)
    assert amounts["requests.cpu"] == parse_quantity("2050m")
    assert amounts["limits.memory"] == parse_quantity("8576Mi")
    assert amounts["requests.nvidia.com/gpu"] == 1
    heavy = {"name": "fetch", "resources": {"requests": {"cpu": "3"}}}
    whole = {"containers": [ENGINE], "initContainers": [SIDECAR, heavy]}
    assert pod_amounts(whole)["requests.cpu"] == parse_quantity("3050m")


@pytest.mark.parametrize(
    ("text", "value"),
    [("100m", "0.1"), ("1", "1"), ("1.5", "1.5"), ("2k", "2000"), ("1Ki", "1024"), ("1e3", "1000"),
     ("3E", "3000000000000000000"), ("12E2", "1200"), ("5u", "0.000005")],
)  # fmt: skip
def test_quantities_are_kubernetes_own(text: str, value: str) -> None:
    """Decimal, binary and exponent."""
    assert str(parse_quantity(text).normalize()) == str(parse_quantity(value).normalize())


@pytest.mark.parametrize("text", ["", "x", "1x", "1 Gi", "m", None])
def test_what_is_no_quantity_is_refused(text: object) -> None:
    """With what it was."""
    with pytest.raises(ValueError, match="no quantity"):
        parse_quantity(text)
