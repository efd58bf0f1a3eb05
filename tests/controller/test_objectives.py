"""Objectives over rounds: a fleet that comes, goes and restarts, and a controller that does."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from controller_world import INSTALLED, TOKENS, FakeKube, injects, model_body, pod_body, summary
from reconcile_world import Sidecars

from sidelight_contract.names import Reason
from sidelight_contract.slo import FAULTS, SloCount, SloHistory, SloReport, SloSettings, add
from sidelight_contract.summary import Traffic
from sidelight_operator.controller.models import parse_model, parse_time
from sidelight_operator.controller.objects import sidecar_config
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.controller.slo_history import MAX_ENDED, SloLedger, SloReading
from sidelight_operator.controller.slo_status import attainment, slo_condition, windows_of
from sidelight_operator.kube import Json

SLO = {"timeToFirstToken": "500ms", "objective": "0.9"}
SETTINGS = SloSettings(ttft=0.5, errors=list(FAULTS), objective=0.9)


class Pod:
    """A sidecar that counts, as one would."""

    def __init__(self, name: str, version: str, ip: str) -> None:
        self.name, self.version, self.ip = name, version, ip
        self.behind = timedelta(0)
        self.restart()

    def restart(self) -> None:
        self.boots = getattr(self, "boots", 0) + 1
        self.boot = f"{self.name}-{self.boots}"
        self.counts: dict[str, SloCount] = {}
        self.history = SloHistory()
        self.adapters: dict[str, SloHistory] = {}

    def serve(self, now: datetime, good: int, bad: int, adapter: str = "") -> None:
        counts = {name: SloCount(good, bad) for name in ("ttft", "all")}
        counts["errors"] = SloCount(good + bad, 0)
        add(self.counts, counts)
        at = (now - self.behind).timestamp()
        self.history.take(at, counts)
        if adapter:
            self.adapters[adapter].take(at, counts)

    def body(self) -> Json:
        return pod_body(self.name, labels={"sidelight.dev/version": self.version}, ip=self.ip)


class World:
    """A fleet under one ObservedModel."""

    def __init__(self, **slo: Any) -> None:
        self.kube = FakeKube()
        self.kube.models["chat"] = model_body(slo=slo or SLO)
        self.sidecars = Sidecars()
        self.now = parse_time("2026-11-24T12:00:00Z")
        self.pods: list[Pod] = []
        self.revision = SETTINGS.revision
        self.restart()

    def restart(self) -> None:
        self.reconciler = Reconciler(
            self.kube, self.sidecars, injects,
            installed=INSTALLED, clock=lambda: self.now, tokens=TOKENS,
        )  # fmt: skip

    def pod(self, name: str, version: str = "v1") -> Pod:
        made = Pod(name, version, f"127.0.0.{len(self.pods) + 1}")
        self.pods.append(made)
        return made

    async def rounds(self, count: int = 1, seconds: int = 30) -> None:
        for _ in range(count):
            self.kube.pods = [pod.body() for pod in self.pods]
            for pod in self.pods:
                told = summary()
                told.sidecar.boot_id = pod.boot
                at = (self.now - pod.behind).timestamp() if pod.behind else 0.0
                told.slo = SloReport(
                    self.revision, 0.0, pod.counts, pod.history, pod.adapters, at
                )  # fmt: skip
                wire = msgspec.json.encode(told.slo)
                told.slo = msgspec.json.decode(wire, type=SloReport)
                for name in pod.adapters:
                    told.sidecar.adapters[name] = "smollm2"
                    told.total.append(Traffic(model=name, operation="chat", requests=1))
                self.sidecars.by_address[pod.ip] = told
            await self.reconciler.round()
            self.now += timedelta(seconds=seconds)

    @property
    def status(self) -> Json:
        found: Json = self.kube.models["chat"]["status"]
        return found

    def version(self, name: str) -> Json:
        (found,) = [v for v in self.status["versions"] if v["name"] == name]
        return {figure["name"]: figure for figure in found["slo"]}

    def figures(self) -> Json:
        return {figure["name"]: figure for figure in self.status["slo"]["figures"]}

    @property
    def condition(self) -> tuple[str, str] | None:
        for condition in self.status["conditions"]:
            if condition["type"] == "SLOMet":
                return condition["status"], condition["reason"]
        return None


async def test_status_has_attainment_budget_and_burn_for_the_whole_and_each_version() -> None:
    """A slow new version costs the whole; the sidecars were told by what to judge."""
    world = World()
    old, new = world.pod("a", "v1"), world.pod("b", "v2")
    old.serve(world.now, 95, 5)
    new.serve(world.now, 5, 5)
    await world.rounds()
    slo = world.status["slo"]
    assert (slo["objective"], slo["attainment"]) == ("90%", "90.90%")
    assert (slo["errorBudgetLeft"], slo["burnRate"]) == ("9%", "0.909")
    assert world.version("v1")["all"]["last5m"] == "95.00%"
    assert world.version("v2")["all"]["last24h"] == "50.00%"
    assert world.version("v2")["errors"]["last24h"] == "100%"
    assert [world.figures()["all"][key] for key in ("good", "bad")] == [100, 10]
    assert world.condition == ("True", "SLOMet")
    config = sidecar_config(parse_model(world.kube.models["chat"]))
    assert config.slo == SETTINGS
    new.serve(world.now, 0, 10)
    await world.rounds()
    assert world.condition == ("False", "ErrorBudgetSpent")
    assert world.status["slo"]["errorBudgetLeft"].startswith("-")


async def test_an_adapter_has_figures_of_its_own_and_the_model_those_without_it() -> None:
    """The whole has both; when its sidecar ends they stay with whom they were told of."""
    world = World()
    pod = world.pod("a", "v1")
    pod.adapters["sql"] = SloHistory()
    pod.serve(world.now, 90, 2)
    pod.serve(world.now, 3, 5, "sql")
    for _ in range(2):
        await world.rounds()
        assert [world.figures()["all"][key] for key in ("good", "bad")] == [93, 7]
        assert [world.version("v1")["all"][key] for key in ("good", "bad")] == [90, 2]
        assert [world.version("v1/sql")["all"][key] for key in ("good", "bad")] == [3, 5]
        pod.restart()
        pod.adapters["sql"] = SloHistory()


async def test_a_restarted_controller_has_the_same_figures_of_pods_that_live() -> None:
    """Over two hours of traffic, to the last count."""
    world = World()
    pods = [world.pod(name, version) for name, version in (("a", "v1"), ("b", "v1"), ("c", "v2"))]
    dice = random.Random(4)
    for _ in range(240):
        for pod in pods:
            pod.serve(world.now, dice.randrange(9), dice.randrange(2))
        await world.rounds()
    before, since = world.figures(), world.status["slo"]["endedPodsSince"]
    world.restart()
    world.now -= timedelta(seconds=30)
    await world.rounds()
    assert world.figures() == before
    assert world.status["slo"]["endedPodsSince"] > since


async def test_what_pods_that_ended_or_restarted_told_last_still_counts() -> None:
    """Until it is a day old; a controller that was not there does not know of it, and says so."""
    world = World()
    a, b = world.pod("a"), world.pod("b")
    a.serve(world.now, 10, 0)
    b.serve(world.now, 0, 4)
    await world.rounds()
    a.restart()
    a.serve(world.now, 1, 0)
    world.pods = [a]
    await world.rounds(2)
    assert [world.figures()["all"][key] for key in ("good", "bad")] == [11, 4]
    assert world.version("v1")["all"]["bad"] == 4
    world.now += timedelta(hours=23)
    await world.rounds()
    assert world.figures()["all"]["bad"] == 4
    assert world.figures()["all"]["last1h"] == ""
    world.now += timedelta(hours=2)
    a.history.forget(world.now.timestamp())
    await world.rounds()
    assert "all" not in world.figures()
    assert world.condition == ("Unknown", "NothingJudged")


async def test_a_sidecar_that_does_not_answer_is_taken_at_its_last_word() -> None:
    """A node that is slow for a minute must not improve the figures."""
    world = World()
    a, b = world.pod("a"), world.pod("b")
    a.serve(world.now, 10, 0)
    b.serve(world.now, 0, 10)
    await world.rounds()
    real = world.sidecars.collect

    async def deaf(address: str, *args: Any, **named: Any) -> Any:
        if address == b.ip:
            return Refusal(Reason.SIDECAR_UNREACHABLE, "m")
        return await real(address, *args, **named)

    world.sidecars.collect = deaf  # type: ignore[method-assign]
    await world.rounds()
    assert world.figures()["all"]["bad"] == 10


async def test_counts_under_other_thresholds_are_no_answer() -> None:
    """A sidecar that has not read the new ones yet is waited for; all begins anew."""
    world = World()
    world.pod("a").serve(world.now, 10, 10)
    await world.rounds()
    assert world.figures()["all"]["bad"] == 10
    world.kube.models["chat"]["spec"]["slo"] = {"timeToFirstToken": "2s"}
    await world.rounds(seconds=1)
    assert world.status["slo"]["figures"] == []
    assert world.status["slo"]["attainment"] == ""
    world.revision = SloSettings(ttft=2.0, errors=list(FAULTS)).revision
    await world.rounds(4, seconds=10)
    assert world.figures()["all"]["bad"] == 10


async def test_rings_are_asked_for_and_the_status_is_written_twice_a_minute_at_most() -> None:
    """Six rounds of ten seconds; between them traffic goes on, and the figures stand."""
    world = World()
    pod = world.pod("a")
    await world.rounds(1, seconds=10)
    writes, asked = world.kube.writes.count("patch status"), world.sidecars.slo_asked
    for _ in range(18):
        pod.serve(world.now, 3, 1)
        await world.rounds(1, seconds=10)
    assert world.sidecars.slo_asked - asked == 6
    assert world.kube.writes.count("patch status") - writes == 6


@pytest.mark.parametrize("behind", [timedelta(hours=2), timedelta(days=-400), timedelta(0)])
async def test_a_sidecar_whose_clock_is_wrong_has_its_figures_all_the_same(
    behind: timedelta,
) -> None:
    """Its node slept, or was given another time of day after it began; it says what its clock is.
    What it had told stays when it has ended, and is forgotten in time.
    """
    world = World()
    right, wrong = world.pod("a"), world.pod("b")
    wrong.behind = behind
    right.serve(world.now, 10, 0)
    wrong.serve(world.now, 7, 3)
    await world.rounds()
    figures = world.figures()["all"]
    assert (figures["good"], figures["bad"]) == (17, 3)
    assert figures["last5m"] == figures["last24h"] == "85.00%"
    world.pods.remove(wrong)
    await world.rounds(1, seconds=3600)
    await world.rounds()
    figures = world.figures()["all"]
    assert (figures["last5m"], figures["last24h"]) == ("", "85.00%")


async def test_a_clock_that_was_set_back_does_not_let_figures_stand() -> None:
    """Until it was as late again, no sidecar would be asked."""
    world = World()
    pod = world.pod("a")
    await world.rounds()
    world.now -= timedelta(hours=1)
    pod.serve(world.now, 0, 7)
    await world.rounds(2)
    assert world.figures()["all"]["bad"] == 7


async def test_without_objectives_there_is_neither_condition_nor_status() -> None:
    """And taken out of the spec, both go; nobody is asked for rings."""
    world = World()
    world.pod("a").serve(world.now, 1, 0)
    await world.rounds()
    assert world.condition is not None
    del world.kube.models["chat"]["spec"]["slo"]
    asked = world.sidecars.slo_asked
    await world.rounds(3)
    assert world.condition is None
    assert "slo" not in world.status
    assert not any("slo" in version and version["slo"] for version in world.status["versions"])
    assert world.sidecars.slo_asked == asked


def test_memory_of_ended_versions_is_bounded_and_the_whole_loses_nothing() -> None:
    """A version a minute."""
    ledger, now = SloLedger(), parse_time("2026-11-24T12:00:00Z")
    for number in range(3 * MAX_ENDED):
        history = SloHistory()
        history.take(now.timestamp(), {"all": SloCount(1, 1)})
        reading = SloReading(f"u{number}", "b", "r", {f"v{number}": history})
        ledger.take("r", [reading], [f"u{number}"], now)
    found = ledger.histories()
    assert len(found) <= MAX_ENDED + 2
    whole = windows_of((one for some in found.values() for one in some), now)
    assert whole[900]["all"] == SloCount(3 * MAX_ENDED, 3 * MAX_ENDED)


@pytest.mark.parametrize(
    ("good", "bad", "shown"),
    [(1, 0, "100%"), (0, 1, "0.00%"), (99_999, 1, "99.99%"), (1, 99_999, "0.00%"), (0, 0, "")],
)
def test_shares_are_rounded_down(good: int, bad: int, shown: str) -> None:
    """100% is never said of what had a bad request."""
    assert attainment(SloCount(good, bad)) == shown


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        (10, 0, ("True", "SLOMet")),
        (9, 1, ("Unknown", "TooFewJudged")),
        (8, 2, ("False", "ErrorBudgetSpent")),
        (99, 1, ("True", "SLOMet")),
        (0, 0, ("Unknown", "NothingJudged")),
    ],
)
def test_the_condition_is_about_a_day_and_one_bad_request_alone_breaks_nothing(
    good: int, bad: int, expected: tuple[str, str]
) -> None:
    """With an objective of 99 %."""
    whole: Any = {10: {}, 60: {}, 900: {"all": SloCount(good, bad)} if good + bad else {}}
    ((_, status, reason, message),) = slo_condition(whole, 0.99)
    assert (status, reason) == expected
    assert message
