"""What other webhooks do to a pod that was injected, and what the next review makes of it."""

import copy
from collections.abc import Callable

import pytest
from injection_world import SETTINGS, engine, model, pod

from sidelight_contract import names
from sidelight_operator.inject import NamespaceFacts, Outcome, decide
from sidelight_operator.inject.types import Json


def sidecar_of(body: Json) -> Json:
    found: Json = next(
        container for container in body["spec"]["initContainers"]
        if container["name"] == names.SIDECAR_CONTAINER
    )  # fmt: skip
    return found


def drops_what_it_does_not_know(body: Json) -> None:
    """An old client library: the native sidecar becomes an init container that never ends."""
    del sidecar_of(body)["restartPolicy"]


def moves_the_sidecar_first(body: Json) -> None:
    """Before the init container that redirects to it."""
    containers = body["spec"]["initContainers"]
    containers.insert(0, containers.pop(containers.index(sidecar_of(body))))


def loses_the_label(body: Json) -> None:
    """The mark by which a pod with a sidecar is told."""
    body["metadata"]["labels"].pop(names.LABEL_INJECTED)


def loses_the_annotation(body: Json) -> None:
    """The record of what was done."""
    body["metadata"].get("annotations", {}).pop(names.ANNOTATION_INJECTION, None)


@pytest.mark.parametrize("does", [drops_what_it_does_not_know, moves_the_sidecar_first])
def test_what_another_webhook_broke_is_put_right_by_the_next_review(
    does: Callable[[Json], None],
) -> None:
    """With `reinvocationPolicy: IfNeeded` there is one, and it ends with the same pod."""
    first = decide(pod(engine()), NamespaceFacts({}), [model()], SETTINGS).patched
    assert first is not None
    broken = copy.deepcopy(first)
    does(broken)
    assert broken != first
    again = decide(broken, NamespaceFacts({}), [model()], SETTINGS)
    assert again.outcome is Outcome.INJECT
    assert again.patched == first


@pytest.mark.parametrize("does", [loses_the_label, loses_the_annotation])
def test_a_pod_without_our_mark_gets_no_second_sidecar(does: Callable[[Json], None]) -> None:
    """Told by the container in either list: it is refused or put right, never injected twice."""
    first = decide(pod(engine()), NamespaceFacts({}), [model()], SETTINGS).patched
    assert first is not None
    unmarked = copy.deepcopy(first)
    does(unmarked)
    again = decide(unmarked, NamespaceFacts({}), [model()], SETTINGS)
    result = again.patched or unmarked
    names_in = [
        c["name"] for c in (*result["spec"]["initContainers"], *result["spec"]["containers"])
    ]
    assert names_in.count(names.SIDECAR_CONTAINER) == 1
    assert again.patched == first or again.outcome is not Outcome.INJECT
