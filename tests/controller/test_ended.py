"""Versions that stopped serving stay in the status with their last numbers, for a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from controller_world import INSTALLED, TOKENS, FakeKube, injects, model_body, pod_body, summary
from hypothesis import given
from hypothesis import strategies as st
from reconcile_world import Sidecars

from sidelight_contract.names import Reason
from sidelight_contract.slo import SloCount, SloHistory, SloReport, SloSettings
from sidelight_contract.status import MAX_VERSIONS, Identity, Tokens, Traffic, VersionStatus
from sidelight_operator.controller.ended import KEPT, with_untold
from sidelight_operator.controller.models import format_time, parse_time
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube import Json

NOW = parse_time("2026-11-24T12:00:00Z")
NOTHING = Traffic(requests=0, requests_per_second="0", error_ratio="0", tokens_per_second="0")


def version(name: str, requests: int = 5, **fields: Any) -> VersionStatus:
    return VersionStatus(
        name=name, identity=Identity(), pods=1, since="2026-11-24T11:00:00Z", requests=requests,
        tokens=Tokens(prompt=1, output=1), window=NOTHING, **fields,
    )  # fmt: skip


# --- the pure step ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "told", "unheard", "state"),
    [
        ("v1", {"v2"}, set(), "Ended"),
        ("v1", {"v2"}, {"v1"}, "Silent"),
        ("v1/sql", {"v2"}, set(), "Ended"),
        ("v1/sql", set(), {"v1"}, "Silent"),
        ("v1/sql", {"v1"}, set(), "Ended"),
        ("v1/sql", {"v1"}, {"v1"}, "Silent"),
        ("v1/sql", {"v1"}, {"v2"}, "Ended"),
    ],
)
def test_a_version_has_ended_when_nobody_who_might_know_it_is_unheard(
    name: str, told: set[str], unheard: set[str], state: str
) -> None:
    """An adapter's pods are those of its pods' version."""
    live = [version(one) for one in sorted(told)]
    *shown, last = with_untold([version(name)], live, told, unheard, NOW)
    assert shown == live
    assert (last.name, last.state, last.pods) == (name, state, 0)
    assert last.last_seen == format_time(NOW)


class Fleet:
    """The steps of a fleet whose versions come, go and fall silent."""

    def __init__(self) -> None:
        self.shown: list[VersionStatus] = []
        self.now = NOW
        self.last: dict[str, VersionStatus] = {}

    def step(self, live: list[str], unheard: set[str]) -> None:
        told = [version(name, requests=len(self.last) + 1) for name in live]
        self.last |= {one.name: one for one in told[:MAX_VERSIONS]}
        before = self.shown
        self.shown = with_untold(
            before, told[:MAX_VERSIONS], set(live), unheard - set(live), self.now
        )
        self.check(before, live)

    def check(self, before: list[VersionStatus], live: list[str]) -> None:
        names = [one.name for one in self.shown]
        assert len(names) == len(set(names)) <= MAX_VERSIONS
        serving = [one.name for one in self.shown if one.state == "Serving"]
        assert serving == live[:MAX_VERSIONS] == names[: len(serving)]
        states = [one.state for one in self.shown]
        assert states == sorted(states, key=["Serving", "Silent", "Ended"].index)
        earlier = {one.name: one for one in before}
        for one in self.shown:
            if one.state == "Serving":
                assert one.last_seen is None
                continue
            assert one.last_seen is not None
            assert self.now - parse_time(one.last_seen) < KEPT or one.state == "Silent"
            kept = {"state": "Serving", "last_seen": None, "pods": 1}
            assert one.model_copy(update=kept) == self.last[one.name]
            if earlier[one.name].state == one.state:
                assert one == earlier[one.name], "it would be written each round"
        ended = [one.last_seen or "" for one in self.shown if one.state == "Ended"]
        assert ended == sorted(ended, reverse=True)


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 12), max_size=12, unique=True),
            st.sets(st.integers(0, 12), max_size=4),
            st.sampled_from([10, 3600, 12 * 3600, 86_400]),
        ),
        max_size=12,
    )
)
def test_whatever_comes_and_goes(rounds: list[tuple[list[int], set[int], int]]) -> None:
    """Serving ones first and whole, last numbers untouched, times written once, all bounded."""
    fleet = Fleet()
    for live, unheard, seconds in rounds:
        fleet.step([f"v{n}" for n in live], {f"v{n}" for n in unheard})
        fleet.now += timedelta(seconds=seconds)


def test_a_version_that_never_had_a_request_is_not_kept() -> None:
    """There is nothing to show."""
    assert with_untold([version("v1", requests=0)], [], set(), set(), NOW) == []


def test_a_version_beyond_the_bound_that_serves_has_not_ended() -> None:
    """It had a place before others got more traffic."""
    live = [version(f"v{number}") for number in range(MAX_VERSIONS)]
    names = {one.name for one in live} | {"crowded-out"}
    assert with_untold([version("crowded-out")], live, names, set(), NOW) == live
    assert with_untold([version("crowded-out")], live[1:], names, set(), NOW) == live[1:]


@pytest.mark.parametrize("told", ["2027-01-01T00:00:00Z", "nonsense", "2026-11-24T11:00:00", None])
def test_a_time_that_cannot_be_is_now(told: str | None) -> None:
    """Whoever wrote it: nothing stays for ever."""
    before = version("v1", state="Ended", last_seen=told)
    (kept,) = with_untold([before], [], set(), set(), NOW)
    assert kept.last_seen == format_time(NOW)
    assert with_untold([kept], [], set(), set(), NOW + KEPT) == []


# --- over rounds --------------------------------------------------------------------------------
class World:
    """Two versions, a pod each."""

    def __init__(self, **spec: Any) -> None:
        self.kube = FakeKube()
        self.kube.models["chat"] = model_body(**spec)
        self.kube.pods = [self.pod("chat-a", "v1", "127.0.0.1"),
                          self.pod("chat-b", "v2", "127.0.0.2")]  # fmt: skip
        self.sidecars = Sidecars()
        self.sidecars.by_address = {"127.0.0.1": summary(30), "127.0.0.2": summary(40)}
        self.now: datetime = NOW
        self.restart()

    @staticmethod
    def pod(name: str, version: str, ip: str) -> Json:
        return pod_body(name, labels={"sidelight.dev/version": version}, ip=ip)

    def restart(self) -> None:
        self.reconciler = Reconciler(
            self.kube, self.sidecars, injects,
            installed=INSTALLED, clock=lambda: self.now, tokens=TOKENS,
        )  # fmt: skip

    async def round(self, seconds: int = 10) -> None:
        self.now += timedelta(seconds=seconds)
        await self.reconciler.round()

    @property
    def versions(self) -> dict[str, Json]:
        status = self.kube.models["chat"]["status"]
        return {version["name"]: version for version in status["versions"]}


async def test_a_version_that_stopped_serving_keeps_its_last_numbers_for_a_day() -> None:
    """Written once, whatever rounds follow, and whichever controller makes them."""
    world = World()
    await world.round()
    last = world.versions["v1"]
    assert (last["state"], last["requests"]) == ("Serving", 30)
    assert "lastSeen" not in last
    del world.kube.pods[0]
    await world.round()
    kept = world.versions["v1"]
    assert list(world.versions) == ["v2", "v1"]
    assert (kept["state"], kept["pods"]) == ("Ended", 0)
    assert kept["lastSeen"] == format_time(world.now)
    assert {**kept, "state": "Serving", "pods": 1} == {**last, "lastSeen": kept["lastSeen"]}
    world.kube.writes.clear()
    for _ in range(5):
        await world.round()
    world.restart()
    await world.round()
    assert world.kube.writes == []
    await world.round(seconds=24 * 3600)
    assert list(world.versions) == ["v2"]


async def test_a_version_whose_pod_does_not_answer_has_not_ended() -> None:
    """Its last numbers stand and say so; it answers again, and is as before."""
    world = World()
    await world.round()
    before = world.versions["v1"]
    world.sidecars.by_address["127.0.0.1"] = Refusal(Reason.SIDECAR_UNREACHABLE, "m")
    for _ in range(3):
        await world.round()
    silent = world.versions["v1"]
    assert (silent["state"], silent["requests"], silent["pods"]) == ("Silent", 30, 0)
    assert silent["lastSeen"] == "2026-11-24T12:00:20Z"
    await world.round(seconds=48 * 3600)
    assert world.versions["v1"] == silent
    del world.kube.pods[0]
    await world.round()
    assert world.versions["v1"]["state"] == "Ended"
    assert world.versions["v1"]["lastSeen"] == format_time(world.now)
    world.kube.pods.append(world.pod("chat-c", "v1", "127.0.0.1"))
    world.sidecars.by_address["127.0.0.1"] = summary(30)
    await world.round()
    assert world.versions["v1"] == before


async def test_an_adapter_whose_pods_count_anew_has_ended_until_it_is_asked_again() -> None:
    """Its pods serve on, under their own version."""
    world = World()
    told = summary(30)
    told.total[0].model = "sql"
    told.sidecar.adapters = {"sql": "smollm2"}
    world.sidecars.by_address["127.0.0.1"] = told
    await world.round()
    assert world.versions["v1/sql"]["requests"] == 30
    assert world.versions["v1"]["requests"] == 0
    world.sidecars.by_address["127.0.0.1"] = summary(1)
    await world.round()
    assert world.versions["v1/sql"]["state"] == "Ended"
    assert world.versions["v1"]["state"] == "Serving"
    world.sidecars.by_address["127.0.0.1"] = told
    await world.round()
    assert world.versions["v1/sql"]["state"] == "Serving"


async def test_a_spec_that_is_not_understood_ends_nothing() -> None:
    """No pod is looked for under it."""
    world = World()
    await world.round()
    world.kube.models["chat"]["spec"]["novelty"] = 1
    await world.round()
    assert {v["state"] for v in world.versions.values()} == {"Silent"}
    del world.kube.models["chat"]["spec"]["novelty"]
    await world.round()
    assert {v["state"] for v in world.versions.values()} == {"Serving"}


async def test_slo_figures_of_an_ended_version_stay_as_told_last() -> None:
    """The whole goes on; without spec.slo they go."""
    slo = {"duration": "2s", "errors": [], "objective": "0.9"}
    world = World(slo=slo)
    for address, bad in (("127.0.0.1", 7), ("127.0.0.2", 1)):
        history = SloHistory()
        history.take(world.now.timestamp(), {"all": SloCount(3, bad), "e2e": SloCount(3, bad)})
        revision = SloSettings(e2e=2.0).revision
        world.sidecars.by_address[address].slo = SloReport(revision, history=history)
    await world.round()
    last = world.versions["v1"]["slo"]
    assert (last[0]["bad"], last[0]["last5m"]) == (7, "30.00%")
    del world.kube.pods[0]
    await world.round(seconds=600)
    assert world.versions["v1"]["slo"] == last
    assert world.versions["v2"]["slo"][0]["last5m"] == ""
    assert world.kube.models["chat"]["status"]["slo"]["figures"][0]["bad"] == 8
    del world.kube.models["chat"]["spec"]["slo"]
    await world.round()
    assert world.versions["v1"]["slo"] == []
