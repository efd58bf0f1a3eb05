"""LimitRanges and quotas: the controller decides by the facts that the webhook decides by."""

from datetime import timedelta
from typing import Any

import pytest
from controller_world import INSTALLED, TOKENS, FakeKube, model_body, pod_body
from reconcile_world import Sidecars

from sidelight_operator.controller.decision import planner
from sidelight_operator.controller.models import parse_model, parse_time
from sidelight_operator.controller.namespaces import BOUNDS_FOR
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.controller.settings import parse_settings
from sidelight_operator.inject import NamespaceFacts
from sidelight_operator.kube import Json, KubeError

IMAGE = "localhost/sidelight-sidecar:test"


def limit_range(**bounds: dict[str, str]) -> Json:
    """One about containers, as the API server has it."""
    limits = [{"type": "Pod", "max": {"cpu": "64"}}, {"type": "Container", **bounds}]
    return {"metadata": {"name": "small", "uid": "u"}, "spec": {"limits": limits}}


class World:
    """A controller that decides as the webhook does, and one pod without a sidecar."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.kube.models["chat"] = model_body(engine={"type": "LlamaCpp", "port": "8080"})
        pod = pod_body("chat-a", "")
        pod["spec"]["containers"][0] |= {"command": ["llama-server"], "args": ["--port", "8080"]}
        self.kube.pods = [pod]
        self.now = parse_time("2026-11-24T12:00:00Z")
        self.reconciler = Reconciler(
            self.kube, Sidecars(), planner(parse_settings(["--sidecar-image", IMAGE], {})),
            installed=INSTALLED, clock=lambda: self.now, tokens=TOKENS,
        )  # fmt: skip

    async def reason(self) -> str:
        """Why the pod is not observed, a moment after what was done."""
        self.now += BOUNDS_FOR
        await self.reconciler.round()
        (named,) = self.kube.models["chat"]["status"]["pods"]["notObserved"]
        return str(named["reason"])

    def errors(self) -> Any:
        return self.reconciler.metrics.errors.labels("Bounds")._value.get()


@pytest.fixture
def world() -> World:
    return World()


async def test_a_limit_range_that_comes_and_goes_is_told(world: World) -> None:
    """Too low, and the pod is `LimitsTooLow`, in the status and as an Event of its workload."""
    assert await world.reason() == "WebhookMissed"
    world.kube.bounds["limitranges"] = [limit_range(max={"memory": "128Mi"})]
    assert await world.reason() == "LimitsTooLow"
    told = [event for event in world.kube.events.values() if event["reason"] == "LimitsTooLow"]
    assert {event["involvedObject"]["kind"] for event in told} == {"ObservedModel", "Deployment"}
    assert all("LimitRange small" in event["message"] for event in told)
    world.kube.bounds["limitranges"] = []
    assert await world.reason() == "WebhookMissed"


async def test_bounds_that_cannot_be_read_end_no_round(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the right to, there are none; what was read before stays. It is counted, and said
    once.
    """
    world.kube.bounds["limitranges"] = [limit_range(max={"memory": "128Mi"})]
    world.kube.fault = lambda what: (
        KubeError("GET limitranges", "403 forbidden", 403) if what == "list limitranges" else None
    )
    assert await world.reason() == "WebhookMissed"
    assert await world.reason() == "WebhookMissed"
    assert world.errors() == 2
    said = [record for record in caplog.records if record.message == "bounds not read"]
    assert len(said) == 1
    fault, world.kube.fault = world.kube.fault, None
    assert await world.reason() == "LimitsTooLow"
    world.kube.fault = fault
    assert await world.reason() == "LimitsTooLow"


async def test_bounds_are_not_read_in_every_round(world: World) -> None:
    """There may be a thousand ObservedModels; a round is every ten seconds."""
    read: list[str] = []
    world.kube.fault = lambda what: read.append(what) if what.startswith("list limit") else None
    for _ in range(7):
        await world.reconciler.round()
        world.now += timedelta(seconds=10)
    assert len(read) == 3


async def test_bounds_that_change_make_no_pod_outdated(world: World) -> None:
    """A pod that was injected before the LimitRange came is as it would be today."""
    (pod,) = world.kube.pods
    plan = planner(parse_settings(["--sidecar-image", IMAGE], {}))
    made = plan(pod, NamespaceFacts(), [parse_model(world.kube.models["chat"])]).patched
    assert made is not None
    world.kube.pods = [pod | made]
    for bounds in ([], [limit_range(min={"cpu": "1"})], [limit_range(max={"cpu": "10m"})]):
        world.kube.bounds["limitranges"] = bounds
        world.now += BOUNDS_FOR
        await world.reconciler.round()
        assert world.kube.models["chat"]["status"]["pods"]["outdated"] == 0
