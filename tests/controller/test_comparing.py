"""Rounds that compare versions: whom they ask, what they write, what they tell."""

from datetime import timedelta
from typing import Any

from controller_world import (
    INSTALLED,
    TOKENS,
    FakeKube,
    injects,
    model_body,
    pod_body,
    summary,
)
from reconcile_world import Sidecars
from strata_world import some

from sidelight_contract.strata import Strata
from sidelight_contract.summary import Summary
from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube import Json

OLD, NEW = "127.0.0.1", "127.0.0.2"


class World:
    """Two versions, a pod each, forty and ten requests a minute; the new one is slower."""

    def __init__(self, **compare: Any) -> None:
        self.kube = FakeKube()
        self.kube.models["chat"] = model_body(compare=compare)
        self.kube.pods = [
            self.pod("chat-a", "v1", OLD, "2026-11-24T11:00:00Z"),
            self.pod("chat-b", "v2", NEW, "2026-11-24T11:30:00Z"),
        ]
        self.sidecars = Sidecars()
        self.now = parse_time("2026-11-24T12:00:00Z")
        self.strata = {OLD: Strata(), NEW: Strata()}
        self.seed = 0
        self.restart()

    @staticmethod
    def pod(name: str, version: str, ip: str, created: str) -> Json:
        labels = {"sidelight.dev/version": version}
        return pod_body(name, labels=labels, ip=ip, created=created)

    def restart(self) -> None:
        self.reconciler = Reconciler(
            self.kube, self.sidecars, injects,
            installed=INSTALLED, clock=lambda: self.now, tokens=TOKENS,
        )  # fmt: skip

    async def minute(self, slower: float = 1.3) -> None:
        """Six rounds, with traffic between them."""
        for address, requests, factor in ((OLD, 40, 1.0), (NEW, 10, slower)):
            self.seed += 1
            row = some(requests, seed=self.seed, token=0.02 * factor)
            self.strata[address].merge(Strata([row]))
            self.sidecars.by_address[address] = self.answer(address)
        for _ in range(6):
            await self.reconciler.round()
            self.now += timedelta(seconds=10)

    def answer(self, address: str) -> Summary:
        told = summary()
        told.strata.merge(self.strata[address])
        told.sidecar.adapters = {"sql": "smollm2"}
        return told

    @property
    def compare(self) -> Json:
        found: Json = self.kube.models["chat"]["status"]["compare"]
        return found

    @property
    def condition(self) -> tuple[str, str] | None:
        for condition in self.kube.models["chat"]["status"]["conditions"]:
            if condition["type"] == "Verdict":
                return condition["status"], condition["reason"]
        return None

    def events(self) -> list[str]:
        return [event["reason"] for event in self.kube.events.values()]


async def test_a_worse_version_turns_verdict_false_and_an_event_says_why() -> None:
    """Over a restart of the controller in the middle, which costs a block."""
    world = World()
    await world.minute()
    assert world.condition == ("Unknown", "NeedMoreData")
    assert (world.compare["baseline"], world.compare["candidate"]) == ("v1", "v2")
    for minute in range(60):
        if minute == 8:
            world.restart()
        await world.minute()
        if world.compare["verdict"] != "NeedMoreData":
            break
    assert world.condition == ("False", "Rollback")
    (event,) = [e for e in world.kube.events.values() if e["reason"] == "Rollback"]
    assert event["type"] == "Warning"
    assert "v2: time per output token is" in event["message"]
    assert "tolerated are 5 %" in event["message"]


async def test_a_status_is_written_once_a_minute_and_strata_are_asked_for_as_often() -> None:
    """Five of six rounds ask for the small summary and write nothing."""
    world = World()
    await world.minute()
    await world.minute()
    before, asked = len(world.kube.writes), world.sidecars.strata_asked
    for _ in range(3):
        await world.minute()
    writes = [what for what in world.kube.writes[before:] if what == "patch status"]
    assert len(writes) == 3
    assert world.sidecars.strata_asked - asked == 3 * 2


async def test_a_model_that_compares_nothing_has_neither_condition_nor_status() -> None:
    """And no sidecar is asked for strata; taken out of the spec, both go."""
    world = World()
    await world.minute()
    del world.kube.models["chat"]["spec"]["compare"]
    asked = world.sidecars.strata_asked
    await world.minute()
    assert world.condition is None
    assert "compare" not in world.kube.models["chat"]["status"]
    assert world.sidecars.strata_asked == asked


async def test_a_damaged_status_begins_anew() -> None:
    """Whoever wrote it: the round goes on."""
    world = World()
    await world.minute()
    for damage in ({"verdict": "Maybe"}, {"since": "soon"}, {"since": "2026-11-24T11:00:00"}):
        world.kube.models["chat"]["status"]["compare"] |= damage
        await world.minute()
        await world.minute()
        assert world.compare["verdict"] == "NeedMoreData"


async def test_a_spec_that_is_not_understood_keeps_the_evidence() -> None:
    """A controller of another release in between costs no comparison, and a block at most."""
    world = World()
    for _ in range(3):
        await world.minute()
    evidence = world.compare["figures"]
    world.kube.models["chat"]["spec"]["novelty"] = 1
    await world.minute()
    assert world.compare["figures"] == evidence
    del world.kube.models["chat"]["spec"]["novelty"]
    for _ in range(2):
        await world.minute()
    assert world.compare["figures"][0]["requests"] == evidence[0]["requests"] + 10


async def test_an_adapter_is_compared_over_rounds_with_its_own_model() -> None:
    """One sidecar tells of both; the model's requests are those without the adapter's."""
    world = World(baseline="v1", candidate="v1/sql")
    del world.kube.pods[1]
    for _ in range(60):
        for model, factor in (("smollm2", 1.0), ("sql", 1.3)):
            world.seed += 1
            row = some(30, seed=world.seed, token=0.02 * factor, model=model)
            world.strata[OLD].merge(Strata([row]))
        await world.minute()
        if world.compare["verdict"] != "NeedMoreData":
            break
    assert world.condition == ("False", "Rollback")
    assert (world.compare["baseline"], world.compare["candidate"]) == ("v1", "v1/sql")
