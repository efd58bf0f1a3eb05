"""Whole rounds against a Kubernetes in memory."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from controller_world import (
    BEFORE,
    INSTALLED,
    TOKENS,
    FakeKube,
    injects,
    model_body,
    pod_body,
    refuses,
    summary,
)
from reconcile_world import Sidecars

from sidelight_contract.config import decode_config
from sidelight_contract.names import Reason
from sidelight_operator.controller.decision import Plan
from sidelight_operator.controller.models import Model, parse_time
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.inject import Decision
from sidelight_operator.kube import Json, KubeError

NOW = parse_time("2026-11-24T12:00:00Z")


class World:
    """A reconciler with everything around it."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.sidecars = Sidecars()
        self.now = NOW
        self.plan: Plan = injects
        self.reconciler = self.fresh()

    def fresh(self) -> Reconciler:
        return Reconciler(
            self.kube, self.sidecars, self.decide,
            installed=INSTALLED, clock=lambda: self.now, tokens=TOKENS,
        )  # fmt: skip

    def decide(self, pod: Json, labels: Mapping[str, str], models: Sequence[Model]) -> Decision:
        return self.plan(pod, labels, models)

    async def round(self) -> None:
        await self.reconciler.round()
        self.now += timedelta(seconds=10)

    def status(self, name: str = "chat") -> Json:
        found: Json = self.kube.models[name].get("status", {})
        return found

    def ready(self, name: str = "chat") -> tuple[str, str]:
        condition = self.status(name)["conditions"][0]
        return condition["status"], condition["reason"]


@pytest.fixture
def world() -> World:
    made = World()
    made.kube.models["chat"] = model_body()
    made.kube.pods = [pod_body("chat-a")]
    return made


async def test_a_first_round_makes_everything(world: World) -> None:
    """ConfigMap, status and Event; the sidecar is asked with the token whose hash the ConfigMap
    has, and there is no Secret.
    """
    await world.round()
    assert world.ready() == ("True", "AllPodsObserved")
    config = world.kube.config_maps["sidelight-chat"]
    parsed = decode_config(config["data"]["config.json"].encode())
    assert (parsed.model, len(parsed.revision)) == ("chat", 12)
    (token,) = world.sidecars.tokens
    assert parsed.summary_tokens == [hashlib.sha256(str(token).encode()).hexdigest()]
    assert config["metadata"]["ownerReferences"][0]["uid"] == "uid-chat"
    assert [e["reason"] for e in world.kube.events.values()] == ["AllPodsObserved"]


async def test_a_round_without_change_writes_nothing(world: World) -> None:
    """No patch, no Event, also by a controller that was restarted."""
    await world.round()
    world.kube.writes.clear()
    await world.round()
    world.reconciler = world.fresh()
    await world.round()
    assert world.kube.writes == []


async def test_figures_that_went_away_leave_the_status(world: World) -> None:
    """A merge patch that only adds would keep them."""
    await world.round()
    assert "traffic" in world.status()
    world.kube.pods = []
    await world.round()
    assert "traffic" not in world.status()
    assert [version["state"] for version in world.status()["versions"]] == ["Ended"]


async def test_the_token_is_written_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Not in a log, an Event, a status or the ConfigMap, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    await world.round()
    token = str(world.sidecars.tokens[0])
    world.sidecars.answer = Refusal(Reason.SIDECAR_REFUSED_TOKEN, "m")
    await world.round()
    world.kube.fault = lambda what: KubeError(what, "500 broken", 500)
    with pytest.raises(KubeError):
        await world.round()
    told = json.dumps([world.kube.models, world.kube.events, world.kube.config_maps])
    assert token not in told + caplog.text


async def test_an_object_of_somebody_else_is_left_alone(world: World) -> None:
    """It is reported, not touched."""
    theirs = {"metadata": {"name": "sidelight-chat"}, "data": {"a": "b"}}
    world.kube.config_maps["sidelight-chat"] = dict(theirs)
    await world.round()
    assert world.kube.config_maps["sidelight-chat"] == theirs
    assert world.ready() == ("False", "NameTaken")


async def test_a_stale_configuration_is_put_right(world: World) -> None:
    """Somebody edited it."""
    await world.round()
    right = world.kube.config_maps["sidelight-chat"]["data"]
    world.kube.config_maps["sidelight-chat"]["data"] = {"config.json": "{}", "more": "x"}
    await world.round()
    assert world.kube.config_maps["sidelight-chat"]["data"] == right


@pytest.mark.parametrize(
    ("created", "reason"),
    [(BEFORE, "CreatedBeforeModel"), ("2026-11-24T11:00:00Z", "WebhookMissed")],
)
async def test_a_pod_without_sidecar_is_told_how_to_get_one(
    world: World, created: str, reason: str
) -> None:
    """Before the model, or while the webhook was away; with the command that helps."""
    world.kube.pods = [pod_body("chat-a", "", created=created)]
    await world.round()
    (named,) = world.status()["pods"]["notObserved"]
    assert named["reason"] == reason
    assert "kubectl -n llm rollout restart deployment/chat" in named["message"]


async def test_the_injectors_reason_comes_first(world: World) -> None:
    """What the webhook would say today is more useful than when the pod was made."""
    world.plan = refuses(Reason.SEVERAL_MODELS_MATCH)
    world.kube.pods = [pod_body("chat-a", "", created=BEFORE)]
    await world.round()
    assert world.status()["pods"]["notObserved"][0]["reason"] == "SeveralModelsMatch"


async def test_ended_and_ending_pods_do_not_count(world: World) -> None:
    """Nobody is to worry about them."""
    ending = pod_body("chat-c")
    ending["metadata"]["deletionTimestamp"] = "2026-11-24T11:59:00Z"
    world.kube.pods += [pod_body("chat-b", phase="Failed"), ending]
    await world.round()
    assert world.status()["pods"]["ratio"] == "1/1"


async def test_a_model_deleted_midway_is_no_error(world: World) -> None:
    """It is gone when its status is written."""

    def fault(what: str) -> None:
        if what == "list pods":
            world.kube.models.clear()

    world.kube.fault = fault
    await world.round()
    assert world.reconciler.metrics.registry.get_sample_value(
        "sidelight_controller_errors_total", {"error": "KubeError"}
    ) in (None, 0)


async def test_one_models_trouble_is_not_the_others(world: World) -> None:
    """A spec of another release is named; the next model's round is whole."""
    world.kube.models["alien"] = model_body("alien", future=True)
    await world.round()
    assert world.ready("alien") == ("False", "SpecNotUnderstood")
    assert world.ready("chat") == ("True", "AllPodsObserved")


async def test_a_namespace_that_refuses_objects_is_named(world: World) -> None:
    """Such as one that is being deleted, or with a quota."""
    world.kube.fault = lambda what: (
        KubeError(what, "403 exceeded quota", 403) if what == "create config map" else None
    )
    await world.round()
    assert world.ready() == ("False", "ConfigNotWritten")
    assert "exceeded quota" in world.status()["conditions"][0]["message"]


async def test_not_observed_pods_are_a_metric(world: World) -> None:
    """By reason, and gone when they are."""
    labels = {"namespace": "llm", "observed_model": "chat", "reason": "SidecarUnreachable"}
    world.sidecars.answer = Refusal(Reason.SIDECAR_UNREACHABLE, "m")
    await world.round()
    value = world.reconciler.metrics.registry.get_sample_value
    assert value("sidelight_controller_pods_not_observed", labels) == 1
    world.sidecars.answer = summary()
    await world.round()
    assert value("sidelight_controller_pods_not_observed", labels) is None
