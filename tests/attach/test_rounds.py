"""Live attach in whole rounds of the controller, against a Kubernetes in memory."""

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from controller_world import BEFORE, INSTALLED, TOKENS, FakeKube, model_body, pod_body, summary
from reconcile_world import Sidecars

from sidelight_contract.config import SidecarConfig, decode_config
from sidelight_contract.names import Reason
from sidelight_contract.slo import FAULTS, SloSettings
from sidelight_contract.summary import RelayCounters, Summary
from sidelight_operator.controller.decision import planner
from sidelight_operator.controller.evaluate import Answer
from sidelight_operator.controller.models import Model, parse_time
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.controller.settings import parse_settings
from sidelight_operator.inject import Decision, NamespaceFacts
from sidelight_operator.kube import Json, KubeError


class Taps(Sidecars):
    """Sidecars that remember what they were told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[tuple[str, int], str, str]] = []
        self.ended: list[str] = []
        self.configured: list[SidecarConfig] = []
        """What they were told, also in vain."""
        self.refuses = False
        self.reachable = True

    async def tell_config(self, where: tuple[str, int], token: str, config: bytes) -> bool | None:
        told = decode_config(config)
        self.configured.append(told)
        if not self.reachable:
            return None
        if not self.refuses and isinstance(self.answer, Summary):
            self.answer.sidecar.config_revision = told.revision
        return not self.refuses

    async def tell_tokens(self, where: tuple[str, int], token: str, accepted: str) -> bool:
        self.told.append((where, token, accepted))
        return self.reachable

    async def end(self, where: tuple[str, int], token: str, why: str) -> bool:
        if self.reachable:
            self.ended.append(why)
        return self.reachable


class World:
    """A controller, a namespace with its Pod Security level, and pods from before the model."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.taps = Taps()
        self.now = parse_time("2026-11-24T12:00:00Z")
        self.level = "privileged"
        self.kube.models["chat"] = model_body(rollout={"attachRunning": True})
        self.kube.pods = [old_pod("a"), old_pod("b")]
        self.reconciler = self.fresh()

    def fresh(self) -> Reconciler:
        decide = planner(parse_settings(["--sidecar-image", "localhost/s:1"], {}))

        def plan(pod: Json, facts: NamespaceFacts, models: Sequence[Model]) -> Decision:
            level = {"pod-security.kubernetes.io/enforce": self.level}
            return decide(pod, replace(facts, labels={**facts.labels, **level}), models)

        return Reconciler(
            self.kube, self.taps, plan,
            installed=INSTALLED, clock=lambda: self.now, tokens=TOKENS,
        )  # fmt: skip

    async def round(self) -> None:
        await self.reconciler.round()
        self.now += timedelta(seconds=10)

    def pod(self, name: str) -> Json:
        return next(pod for pod in self.kube.pods if pod["metadata"]["name"] == name)

    def taps_of(self, name: str) -> list[Json]:
        found: list[Json] = self.pod(name)["spec"].get("ephemeralContainers", [])
        return found

    def kubelet_says(self, name: str, **state: Any) -> None:
        status = {"name": "sidelight-tap", "state": state}
        self.pod(name)["status"]["ephemeralContainerStatuses"] = [status]

    def reasons(self) -> dict[str, str]:
        pods = self.kube.models["chat"]["status"]["pods"]["notObserved"]
        return {item["name"]: item["reason"] for item in pods}

    def message(self, name: str) -> str:
        pods = self.kube.models["chat"]["status"]["pods"]["notObserved"]
        return str(next(item["message"] for item in pods if item["name"] == name))


def old_pod(name: str) -> Json:
    """A llama.cpp pod from before the model, Ready."""
    body = pod_body(name, "", created=BEFORE)
    body["spec"]["containers"][0] |= {"command": ["llama-server"], "args": ["--port", "8080"]}
    return body


@pytest.fixture
def world() -> World:
    return World()


def attach_refused(why: str, status: int = 403) -> Any:
    return lambda what: KubeError(what, f"{status} {why}", status) if what == "patch pod" else None


async def test_one_pod_after_the_other_becomes_observed_and_none_twice(world: World) -> None:
    """The second when the first one's tap answers; each is written to once, also by a controller
    that was restarted in between.
    """
    await world.round()
    assert (len(world.taps_of("a")), len(world.taps_of("b"))) == (1, 0)
    assert world.reasons() == {"a": "TapStarting", "b": "AttachPending"}
    world.reconciler = world.fresh()
    await world.round()
    assert len(world.taps_of("b")) == 0
    world.kubelet_says("a", running={})
    await world.round()
    assert world.reasons() == {"b": "TapStarting"}
    world.kubelet_says("b", running={})
    await world.round()
    status = world.kube.models["chat"]["status"]
    assert status["pods"]["ratio"] == "2/2"
    assert [(c["type"], c["status"]) for c in status["conditions"]][:2] == [
        ("Ready", "True"),
        ("Injected", "True"),
    ]
    assert (len(world.taps_of("a")), len(world.taps_of("b"))) == (1, 1)
    told = [e["message"] for e in world.kube.events.values() if e["reason"].startswith("Attached")]
    assert len(told) == 2
    assert "it was not restarted" in told[0]
    assert world.kube.writes.count("patch pod") == 2


async def test_with_when_outdated_an_attached_pod_is_restarted_for_a_sidecar(world: World) -> None:
    """The tap is for the time until then; without the policy it stays as it is."""
    await observed(world)
    assert "patch workload" not in world.kube.writes
    rollout = {"attachRunning": True, "policy": "WhenOutdated"}
    world.kube.models["chat"]["spec"]["rollout"] = rollout
    for pod in world.kube.pods:
        pod["metadata"]["resourceVersion"] = "2"
    await world.round()
    assert world.kube.writes.count("patch workload") == 1


async def test_the_status_shows_the_mode_with_its_coverage(world: World) -> None:
    """Marked Tap; what was lost is said, and only nothing lost is 100 %."""
    world.kube.pods = [old_pod("a")]
    await world.round()
    world.kubelet_says("a", running={})
    answer = summary()
    answer.relay = RelayCounters(tap_packets=1_000_000, tap_gaps_timeout=0)
    world.taps.answer = answer
    await world.round()
    (mode,) = world.kube.models["chat"]["status"]["interception"]
    assert (mode["mode"], mode["reason"], mode["pods"]) == ("Tap", "AttachedToRunningPod", 1)
    assert mode["coverage"]["captured"] == "100%"
    answer.relay = RelayCounters(
        tap_packets=1_000_000, tap_packets_dropped=1, tap_bytes_lost=1448, tap_gaps_timeout=1,
        tap_gaps_not_captured=2, tap_flows_not_followed=3,
    )  # fmt: skip
    await world.round()
    (mode,) = world.kube.models["chat"]["status"]["interception"]
    assert mode["coverage"] == {
        "captured": "99.99%", "packetsLost": 1, "bytesLost": 1448, "gaps": 3,
        "connectionsNotFollowed": 3,
    }  # fmt: skip
    (version,) = world.kube.models["chat"]["status"]["versions"]
    assert version["identity"]["engine"] == "LlamaCpp"


async def test_nothing_is_attached_unless_asked_for(world: World) -> None:
    """The default, and pods that the webhook was asked about and left alone."""
    world.kube.models["chat"] = model_body()
    await world.round()
    assert world.reasons() == {"a": "CreatedBeforeModel", "b": "CreatedBeforeModel"}
    world.kube.models["chat"] = model_body(rollout={"attachRunning": True})
    young = old_pod("c")
    young["metadata"]["creationTimestamp"] = "2026-11-24T11:00:00Z"
    young["spec"]["hostNetwork"] = True
    world.kube.pods = [young]
    await world.round()
    assert world.reasons() == {"c": "HostNetwork"}
    assert "patch pod" not in world.kube.writes


async def test_a_pod_that_the_webhook_missed_is_attached_to(world: World) -> None:
    """It runs without a sidecar, and nobody decided that."""
    missed = old_pod("c")
    missed["metadata"]["creationTimestamp"] = "2026-11-24T11:00:00Z"
    world.kube.pods = [missed]
    await world.round()
    assert len(world.taps_of("c")) == 1


async def test_restricted_is_a_reason_in_the_status(world: World) -> None:
    """Nothing is even tried."""
    world.level = "restricted"
    await world.round()
    assert world.reasons() == {"a": "PrivilegeNotAllowed", "b": "PrivilegeNotAllowed"}
    assert "Pod Security level restricted forbids" in world.message("a")
    assert "patch pod" not in world.kube.writes


async def test_a_refusal_is_named_and_not_repeated_each_round(world: World) -> None:
    """After ten minutes it is tried again: a policy may have been changed."""
    world.kube.fault = attach_refused("denied by policy no-ephemeral")
    await world.round()
    assert world.reasons() == {"a": "AttachRefused", "b": "AttachPending"}
    assert "denied by policy no-ephemeral" in world.message("a")
    world.kube.fault = None
    await world.round()
    assert world.reasons() == {"a": "AttachRefused", "b": "AttachHalted"}
    assert world.taps_of("a") == []
    world.now += timedelta(minutes=10)
    await world.round()
    assert len(world.taps_of("a")) == 1


async def test_a_controller_without_the_right_says_how_it_gets_it(world: World) -> None:
    """The chart's value."""
    world.kube.fault = attach_refused(
        'pods "a" is forbidden: User "x" cannot patch resource "pods/ephemeralcontainers"'
    )
    await world.round()
    assert "liveAttach.enabled=true" in world.message("a")


async def test_a_level_that_is_the_clusters_default_is_met(world: World) -> None:
    """No label says `baseline`: the first refusal does."""
    tried = []

    async def add(namespace: str, pod: str, uid: str, container: Json) -> None:
        tried.append(container["securityContext"]["capabilities"])
        if "add" in tried[-1]:
            why = '403 violates PodSecurity "baseline:latest": non-default capabilities'
            raise KubeError("PATCH", why, 403)

    world.kube.add_ephemeral_container = add  # type: ignore[method-assign]
    await world.round()
    assert [sorted(capabilities) for capabilities in tried] == [["add", "drop"], ["drop"]]
    assert world.reasons()["a"] == "TapStarting"


async def test_a_tap_that_failed_is_named_with_its_last_words(world: World) -> None:
    """And no other pod is attached to until that one is restarted."""
    await world.round()
    why = json.dumps({"event": "failed", "why": "not allowed to read packets"})
    world.kubelet_says("a", terminated={"exitCode": 2, "reason": "Error", "message": why})
    await world.round()
    assert world.reasons() == {"a": "TapEnded", "b": "AttachHalted"}
    assert "not allowed to read packets" in world.message("a")
    world.kube.pods = [world.pod("b")]
    await world.round()
    assert len(world.taps_of("b")) == 1


async def observed(world: World) -> None:
    """Pod a alone, with a tap that answers."""
    world.kube.pods = [old_pod("a")]
    await world.round()
    world.kubelet_says("a", running={})
    await world.round()
    assert world.reasons() == {}


async def test_a_tap_is_told_to_end_when_its_pod_is_selected_no_more(world: World) -> None:
    """Also when it cannot be reached at first."""
    await observed(world)
    world.kube.pods = []
    world.taps.reachable = False
    await world.round()
    assert world.taps.ended == []
    world.taps.reachable = True
    await world.round()
    await world.round()
    assert world.taps.ended == ["ObservedModel chat no longer selects pod a"]


async def test_taps_are_told_to_end_when_their_model_is_deleted(world: World) -> None:
    """Each once."""
    await observed(world)
    world.kube.models.clear()
    await world.round()
    await world.round()
    assert world.taps.ended == ["its ObservedModel was deleted and no longer selects pod a"]


async def test_the_token_is_not_in_the_pod(world: World) -> None:
    """Its SHA-256 is; and the tap is asked with the token."""
    await observed(world)
    token = world.taps.tokens[-1]
    assert token
    assert token not in json.dumps(world.kube.pods)
    assert world.taps.told == []


async def test_a_tap_that_knows_another_token_is_told_the_one_in_force(world: World) -> None:
    """Once, until it has heard."""
    await observed(world)
    (container,) = world.taps_of("a")
    at = container["args"].index("--token-sha256") + 1
    right, container["args"][at] = container["args"][at], "0" * 64
    world.reconciler = world.fresh()
    world.taps.reachable = False
    await world.round()
    world.taps.reachable = True
    await world.round()
    await world.round()
    token = world.taps.tokens[-1]
    assert world.taps.told == [(("127.0.0.1", 15020), token, right)] * 2


async def test_a_changed_slo_reaches_a_tap_that_is_attached(world: World) -> None:
    """Once: not while its summary names the configuration that the model has, and not every round;
    the tokens have no part in it.
    """
    await observed(world)
    await world.round()
    (first,) = world.taps.configured
    assert (first.model, first.slo, first.summary_tokens) == ("chat", None, [])
    world.kube.models["chat"]["spec"]["slo"] = {"duration": "2s"}
    for _ in range(3):
        await world.round()
    (_, told) = world.taps.configured
    assert told.slo == SloSettings(e2e=2.0, errors=list(FAULTS))
    assert told.revision != first.revision


async def test_a_tap_that_has_its_configuration_is_told_none(world: World) -> None:
    """The controller that comes after another, too, goes by the summary."""
    await observed(world)
    world.reconciler = world.fresh()
    await world.round()
    assert len(world.taps.configured) == 1


async def test_a_tap_that_cannot_be_told_its_configuration_is_told_later(world: World) -> None:
    """One that answers no question is not told at all; then it is told until it has heard."""
    await observed(world)
    world.kube.models["chat"]["spec"]["slo"] = {"duration": "2s"}
    answer, world.taps.answer = world.taps.answer, Refusal(Reason.SIDECAR_UNREACHABLE, "m")
    await world.round()
    assert len(world.taps.configured) == 1
    world.taps.answer, world.taps.reachable = answer, False
    await world.round()
    await world.round()
    world.taps.reachable = True
    await world.round()
    await world.round()
    assert [config.slo is not None for config in world.taps.configured] == [False, *[True] * 3]


async def test_a_tap_that_refuses_a_configuration_is_told_the_next_one(world: World) -> None:
    """As one of an older release may; the same is not told again."""
    await observed(world)
    world.taps.refuses = True
    for duration in ("2s", "3s"):
        world.kube.models["chat"]["spec"]["slo"] = {"duration": duration}
        await world.round()
        await world.round()
    seconds = [config.slo.e2e for config in world.taps.configured if config.slo is not None]
    assert seconds == [2.0, 3.0]


async def test_a_pod_of_another_models_tap_is_not_counted(world: World) -> None:
    """As when one was renamed."""
    await observed(world)
    other = copy.deepcopy(world.kube.models["chat"])
    other["metadata"] |= {"name": "other", "uid": "uid-other"}
    world.kube.models = {"other": other}
    await world.round()
    (named,) = other["status"]["pods"]["notObserved"]
    assert named["reason"] == "BelongsToOtherModel"


async def test_a_tap_that_does_not_answer_is_not_observed(world: World) -> None:
    """With the reason; it stays attached."""
    await observed(world)
    answer: Answer = Refusal(Reason.SIDECAR_UNREACHABLE, "m")
    world.taps.answer = answer
    await world.round()
    assert world.reasons() == {"a": "SidecarUnreachable"}
