"""One controller at a time, however their clocks, pauses and answers are."""

import copy
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from controller_world import apply_merge_patch
from hypothesis import given
from hypothesis import strategies as st

from sidelight_operator.controller.lease import (
    DURATION_SECONDS,
    HELD_SECONDS,
    RENEW_SECONDS,
    Lease,
)
from sidelight_operator.kube import ConflictError, Json, KubeError
from sidelight_operator.kube.api import TIMEOUT_SECONDS

WHERE = ("sidelight-system", "sidelight-controller")


@dataclass
class Kube:
    """One Lease with versions."""

    lease: Json | None = None
    away: bool = False
    writes: int = 0
    before_write: list[str] = field(default_factory=list)
    """Holders that write just before the next write does."""

    def _check(self) -> None:
        if self.away:
            raise KubeError("x", "connection refused")

    async def get_lease(self, namespace: str, name: str) -> Json | None:
        self._check()
        return copy.deepcopy(self.lease)

    async def create_lease(self, namespace: str, body: Json) -> None:
        self._check()
        if self.lease is not None:
            raise ConflictError("x", "409 there", 409)
        self._store(body)

    async def patch_lease(self, namespace: str, name: str, patch: Json) -> None:
        self._check()
        assert self.lease is not None
        if self.before_write:
            self._store({"metadata": {}, "spec": {"holderIdentity": self.before_write.pop()}})
        if patch["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ConflictError("x", "409 changed", 409)
        self._store(apply_merge_patch(self.lease, patch))

    def _store(self, body: Json) -> None:
        self.writes += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self.writes)


class Clock:
    """Seconds that pass when told; what the wall shows is of no consequence."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime.fromtimestamp(1_800_000_000 + self.now, UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kube() -> Kube:
    return Kube({"metadata": {"resourceVersion": "0"}})


def of(kube: Kube, clock: Clock, holder: str) -> Lease:
    return Lease(kube, WHERE, holder, clock=clock.wall, monotonic=clock)


@pytest.mark.parametrize("there", [True, False])
async def test_the_charts_empty_lease_or_none_is_taken(clock: Clock, there: bool) -> None:
    """The first one has it at once, the second has not."""
    kube = Kube({"metadata": {"resourceVersion": "0"}} if there else None)
    first, second = of(kube, clock, "a"), of(kube, clock, "b")
    assert not first.held
    await first.renew()
    await second.renew()
    assert (first.held, second.held) == (True, False)


async def test_one_that_goes_away_is_followed_when_its_requests_have_ended(
    kube: Kube, clock: Clock
) -> None:
    """It stops counting on it one request's time before anybody takes it."""
    assert HELD_SECONDS + TIMEOUT_SECONDS <= DURATION_SECONDS
    assert HELD_SECONDS >= 2 * RENEW_SECONDS
    first, second = of(kube, clock, "a"), of(kube, clock, "b")
    await first.renew()
    await second.renew()
    clock.now += HELD_SECONDS
    assert not first.held
    clock.now += DURATION_SECONDS - HELD_SECONDS - 1
    await second.renew()
    assert not second.held
    clock.now += 1
    await second.renew()
    assert second.held
    await first.renew()
    assert not first.held, "it is back, and another one has it"


async def test_a_container_that_starts_again_goes_on_at_once(kube: Kube, clock: Clock) -> None:
    """The pod's name is the holder's."""
    await of(kube, clock, "a").renew()
    again = of(kube, clock, "a")
    await again.renew()
    assert again.held


async def test_one_that_ends_in_order_keeps_nobody_waiting(kube: Kube, clock: Clock) -> None:
    """It gives the Lease back, and writes no more."""
    first, second = of(kube, clock, "a"), of(kube, clock, "b")
    await first.renew()
    await first.release()
    assert not first.held
    await second.renew()
    assert second.held
    await first.release()
    assert second.held, "what is not held is not given back"
    assert (kube.lease or {})["spec"]["holderIdentity"] == "b"


async def test_of_two_that_ask_at_the_same_moment_one_has_it(kube: Kube, clock: Clock) -> None:
    """The version that was read is the condition of the write."""
    first = of(kube, clock, "a")
    kube.before_write = ["b"]
    await first.renew()
    assert not first.held
    assert (kube.lease or {})["spec"]["holderIdentity"] == "b"


async def test_an_api_server_that_is_away_ends_it_and_its_return_renews_it(
    kube: Kube, clock: Clock
) -> None:
    """For ten minutes nobody may write; then the same one goes on, without a wait."""
    first = of(kube, clock, "a")
    await first.renew()
    kube.away = True
    for _ in range(60):
        clock.now += 10
        with pytest.raises(KubeError):
            await first.renew()
    assert not first.held
    await first.release()
    kube.away = False
    await first.renew()
    assert first.held


async def test_a_lease_from_a_backup_is_taken_when_its_holder_stays_silent(
    kube: Kube, clock: Clock
) -> None:
    """The etcd was restored: the Lease names a pod that is long gone."""
    first = of(kube, clock, "a")
    await first.renew()
    kube.lease = {"metadata": {"resourceVersion": "0"}, "spec": {"holderIdentity": "gone"}}
    await first.renew()
    assert not first.held
    clock.now += DURATION_SECONDS
    await first.renew()
    assert first.held


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.floats(0, 50),
            st.booleans(),
            st.sampled_from(["renew", "renew", "renew", "release"]),
        ),
        max_size=40,
    )
)
async def test_never_two(steps: list[tuple[str, float, bool, str]]) -> None:
    """Any order of renewals and releases, pauses and failures: at most one holds it, and nobody
    gets it within a request's time of another one's holding it.
    """
    clock, kube = Clock(), Kube({"metadata": {"resourceVersion": "0"}})
    leases = {name: of(kube, clock, name) for name in "abc"}
    last: dict[str, float] = {}
    for name, pause, away, what in steps:
        clock.now += pause
        kube.away = away
        released = what == "release" and leases[name].held and not away
        with suppress(KubeError):
            await (leases[name].renew() if what == "renew" else leases[name].release())
        holders = [key for key, lease in leases.items() if lease.held]
        assert len(holders) <= 1
        if released:
            last.clear()
        if holders == [name] and what == "renew" and not away:
            others = [until for key, until in last.items() if key != name]
            assert all(clock.now >= until + TIMEOUT_SECONDS for until in others)
            last[name] = clock.now + HELD_SECONDS
