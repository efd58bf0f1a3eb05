"""VersionConsistent over rounds: in the status, in Events, in a metric, and not rewritten for
nothing.
"""

from datetime import timedelta

import pytest
from controller_world import INSTALLED, TOKENS, FakeKube, injects, model_body, pod_body
from reconcile_world import Sidecars

from sidelight_contract.names import Reason
from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube import Json

NOW = parse_time("2026-11-24T12:00:00Z")


class World:
    """Two pods of one version."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.kube.models["chat"] = model_body()
        self.now = NOW
        self.sidecars = Sidecars()
        self.reconciler = Reconciler(
            self.kube, self.sidecars, injects,
            installed=INSTALLED, clock=lambda: self.now, tokens=TOKENS,
        )  # fmt: skip

    def runs(self, *contexts: str) -> None:
        """Pods whose engines are given these lengths of a context."""
        self.kube.pods = [
            pod_body(f"chat-{number}", ip=f"198.51.100.{number}")
            for number, _ in enumerate(contexts)
        ]
        for pod, context in zip(self.kube.pods, contexts, strict=True):
            pod["spec"]["containers"][0]["args"] = ["--ctx-size", context]

    async def round(self) -> Json:
        await self.reconciler.round()
        self.now += timedelta(seconds=10)
        found: list[Json] = self.kube.models["chat"]["status"]["conditions"]
        return next(c for c in found if c["type"] == "VersionConsistent")

    def told(self) -> list[tuple[str, str]]:
        events = self.kube.events.values()
        return [(e["type"], e["reason"]) for e in events if e["reason"].startswith("PodsD")] + [
            (e["type"], e["reason"]) for e in events if e["reason"] == "PodsAlike"
        ]

    def metric(self) -> float | None:
        labels = {"namespace": "llm", "observed_model": "chat"}
        registry = self.reconciler.metrics.registry
        return registry.get_sample_value("sidelight_controller_version_inconsistent", labels)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_difference_is_told_once_and_its_end_too(world: World) -> None:
    """With the pod, what differs, and both values."""
    world.runs("512", "512", "512")
    assert (await world.round())["status"] == "True"
    assert (world.told(), world.metric()) == ([], 0.0)

    world.runs("512", "1024", "512")
    condition = await world.round()
    assert (condition["status"], condition["reason"]) == ("False", "PodsDiffer")
    assert condition["message"].endswith("pod chat-1 has max_model_len 1024, 2 others 512")
    assert (world.told(), world.metric()) == ([("Warning", "PodsDiffer")], 1.0)

    writes = len(world.kube.writes)
    assert await world.round() == condition
    assert len(world.kube.writes) == writes

    world.runs("1024", "1024", "1024")
    assert (await world.round())["status"] == "True"
    assert world.told() == [("Warning", "PodsDiffer"), ("Normal", "PodsAlike")]
    assert world.metric() == 0.0


async def test_a_rollout_that_begins_is_no_difference_before_its_pod_was_ready(
    world: World,
) -> None:
    """Neither while it is pending, nor while its engine loads a model."""
    world.runs("512", "1024")
    young = world.kube.pods[1]
    world.kube.pods[1] = pod_body("chat-1", phase="Pending")
    assert (await world.round())["status"] == "True"
    young["status"]["conditions"][0] |= {
        "status": "False",
        "lastTransitionTime": "2026-11-24T11:00:00Z",
    }
    world.kube.pods[1] = young
    assert (await world.round())["status"] == "True"
    young["status"]["conditions"][0]["status"] = "True"
    assert (await world.round())["status"] == "False"
    assert world.told() == [("Warning", "PodsDiffer")]


async def test_a_sidecar_that_does_not_answer_for_a_round_changes_nothing(world: World) -> None:
    """Neither the odd pod's nor its siblings'."""
    world.runs("512", "1024", "512")
    condition = await world.round()
    for silent in ((1,), (0, 2), (0, 1, 2)):
        refusal = Refusal(Reason.SIDECAR_UNREACHABLE, "m")
        world.sidecars.by_address = {f"198.51.100.{number}": refusal for number in silent}
        assert await world.round() == condition
    assert world.told() == [("Warning", "PodsDiffer")]


async def test_without_pods_nothing_is_said(world: World) -> None:
    """The condition goes with the last pod."""
    world.runs("512", "1024")
    await world.round()
    world.kube.pods = []
    await world.reconciler.round()
    conditions = world.kube.models["chat"]["status"]["conditions"]
    assert "VersionConsistent" not in {condition["type"] for condition in conditions}
