"""The controller while the API server is away, and while it may not act."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from controller_world import INSTALLED, TOKENS, FakeKube, injects, model_body, pod_body
from reconcile_world import Sidecars

from sidelight_operator.controller.app import poll
from sidelight_operator.controller.health import LONGEST_ROUND_SECONDS, Pulse
from sidelight_operator.controller.installation import Installation
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.own_objects import OwnObjects
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.controller.watch import Changes
from sidelight_operator.kube import Json, KubeError
from sidelight_operator.kube.api import TIMEOUT_SECONDS

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AWAY = {
    "refused": KubeError("x", "connection refused"),
    "503": KubeError("x", "503 unavailable", 503),
    "429": KubeError("x", "429 too many", 429),
    "no answer": KubeError("x", "TimeoutError"),
}


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A controller with its pulse, and an API server that takes its time to fail."""

    def __init__(self, models: int = 1) -> None:
        self.clock = Clock()
        self.kube = FakeKube()
        for number in range(models):
            self.kube.models[f"m{number}"] = model_body(f"m{number}")
        self.kube.pods = [pod_body("m-a", "m0")]
        self.pulse = Pulse(10.0, self.clock)
        self.changes = Changes(self.clock)
        self.away: KubeError | None = None
        self.only = ""
        self.stuck: set[str] = set()
        """What /healthz said meanwhile."""
        self.kube.fault = self.fault
        self.reconciler = Reconciler(
            self.kube, Sidecars(), injects, installed=INSTALLED, clock=lambda: NOW,
            tokens=TOKENS, ended=self.pulse.beat,
        )  # fmt: skip

    def fault(self, what: str) -> KubeError | None:
        if self.away is None or self.only not in what:
            return None
        if self.away.status == 0 and "Timeout" in str(self.away):
            self.clock.now += TIMEOUT_SECONDS
            self.pulse.tick()
            self.stuck.add(self.pulse.stuck)
        return self.away

    async def rounds(self, until: Callable[[], bool], may: Callable[[], bool]) -> None:
        """Poll until it is so."""
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(poll(self.reconciler, self.changes, self.pulse, 0.0, may))
            while not until():  # noqa: ASYNC110 - the rounds bring it about
                await asyncio.sleep(0.01)
            task.cancel()


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between rounds."""
    monkeypatch.setattr("sidelight_operator.controller.app.SETTLE_SECONDS", 0.001)


@pytest.mark.parametrize("away", AWAY)
async def test_ten_minutes_away_leave_it_healthy_and_the_next_round_is_right(away: str) -> None:
    """However it is away: rounds fail and end, nothing is written, nothing piles up."""
    world = World()
    await world.reconciler.round()
    before = dict(world.kube.models)
    world.kube.writes.clear()
    world.away = AWAY[away]
    for _ in range(60):
        with pytest.raises(KubeError):
            await world.reconciler.round()
        world.pulse.beat()
        world.clock.now += 10
        world.pulse.tick()
        assert world.pulse.stuck == ""
    assert world.kube.writes == []
    world.away = None
    world.kube.pods.append(pod_body("m-b", "m0"))
    await world.reconciler.round()
    assert world.kube.models["m0"]["status"]["pods"]["ratio"] == "2/2"
    assert before.keys() == world.kube.models.keys()


async def test_many_models_whose_every_call_hangs_do_not_count_as_stuck() -> None:
    """The list is read, then the API server hangs: each model waits for its own answer in vain."""
    world = World(models=30)
    world.away, world.only = AWAY["no answer"], "list pods"
    began = world.clock.now
    await world.reconciler.round()
    assert world.clock.now - began > LONGEST_ROUND_SECONDS
    assert world.stuck == {""}


async def test_polling_survives_an_api_server_that_is_away() -> None:
    """A failed round is counted; with the API server's return the status is there."""
    world = World()
    world.away = AWAY["503"]

    def come_back() -> bool:
        failed = world.reconciler.metrics.registry.get_sample_value(
            "sidelight_controller_errors_total", {"error": "ListModels"}
        )
        if (failed or 0) >= 5:
            world.away = None
        return "status" in world.kube.models["m0"]

    await world.rounds(come_back, lambda: True)
    assert world.pulse.ready


async def test_who_may_not_does_no_round_and_is_healthy() -> None:
    """Another one holds the Lease: nothing is read or written, and nobody restarts it for that."""
    world, asked = World(), 0

    def may() -> bool:
        nonlocal asked
        asked += 1
        world.clock.now += 10
        world.pulse.tick()
        return asked > 30

    await world.rounds(lambda: asked >= 25, may)
    assert world.kube.writes == []
    assert "status" not in world.kube.models["m0"]
    assert (world.pulse.stuck, world.pulse.ready) == ("", False)
    await world.rounds(lambda: world.pulse.ready, may)
    assert "status" in world.kube.models["m0"]


class Secrets:
    """An API server that has the key, or says why not."""

    def __init__(self) -> None:
        self.error: KubeError | None = None
        self.secret: Json | None = None

    async def get_secret(self, namespace: str, name: str) -> Json | None:
        if self.error is not None:
            raise self.error
        return self.secret

    async def apply_secret(self, namespace: str, body: Json) -> Json:
        self.secret = {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}}
        return self.secret


@pytest.mark.parametrize("away", AWAY)
async def test_without_the_key_there_is_no_round_with_another_one(away: str) -> None:
    """A controller that starts while the Secret cannot be read would give every sidecar another
    token, and the right one a moment later.
    """
    kube = Secrets()
    here = Installation("s", "sidelight", keeps_certificates=False, keeps_namespaces=False)

    def started() -> OwnObjects:
        return OwnObjects(kube, here, clock=lambda: NOW, metrics=Metrics())  # type: ignore[arg-type]

    own = started()
    await own.look()
    assert own.has_key
    tokens = own.tokens("uid", NOW + timedelta(hours=1))
    again, kube.error = started(), AWAY[away]
    await again.look()
    assert not again.has_key
    kube.error = None
    await again.look()
    assert again.has_key
    assert again.tokens("uid", NOW + timedelta(hours=1)) == tokens


async def test_who_may_not_read_the_key_goes_on_with_one_of_its_own() -> None:
    """The right is missing: it is said, and observation goes on until the next start."""
    kube = Secrets()
    kube.error = KubeError("x", "403 forbidden", 403)
    here = Installation("s", "sidelight", keeps_certificates=False, keeps_namespaces=False)
    own = OwnObjects(kube, here, clock=lambda: NOW, metrics=Metrics())  # type: ignore[arg-type]
    assert not own.has_key
    assert not await own.look()
    assert own.has_key
