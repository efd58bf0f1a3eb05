"""The controller watches itself: what stands still makes it unhealthy, what is away does not."""

import pytest
from aiohttp.test_utils import TestClient, TestServer

from sidelight_operator.controller.health import (
    LONGEST_ROUND_SECONDS,
    LOOP_SECONDS,
    WATCH_SECONDS,
    Pulse,
    health_app,
)
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.watch import Changes
from sidelight_operator.kube.timing import resource_of


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    return Pulse(10.0, clock)


def test_rounds_that_do_not_end_are_stuck(clock: Clock, pulse: Pulse) -> None:
    """However they end, an API server that is away included, they end."""
    clock.now += LONGEST_ROUND_SECONDS - 1
    pulse.tick()
    assert pulse.stuck == ""
    clock.now += 2
    pulse.tick()
    assert "rounds" in pulse.stuck
    pulse.beat()
    assert pulse.stuck == ""


def test_an_event_loop_that_stood_still_is_stuck(clock: Clock, pulse: Pulse) -> None:
    """Told by who looks at the clock every second, and by how late that was."""
    clock.now += 1.25
    assert pulse.tick() == 0.25
    clock.now += LOOP_SECONDS + 1
    pulse.beat()
    assert "event loop" in pulse.stuck
    assert pulse.tick() == LOOP_SECONDS
    assert pulse.stuck == ""


def test_a_watch_that_lacks_what_lists_have_is_stuck(clock: Clock, pulse: Pulse) -> None:
    """After a while: kopf opens it anew by itself. A quiet cluster is not stuck."""
    pulse.watch(behind=True)
    clock.now += WATCH_SECONDS - 2
    for _ in range(2):
        pulse.tick()
        pulse.beat()
        pulse.watch(behind=True)
        clock.now += 1
    pulse.tick()
    pulse.beat()
    assert pulse.stuck == ""
    clock.now += 1
    assert "watch" in pulse.stuck
    pulse.watch(behind=False)
    assert pulse.stuck == ""


def test_the_watch_is_behind_when_it_lacks_a_model_or_a_generation(clock: Clock) -> None:
    """What it has more than the list, it has seen deleted or will."""
    changes = Changes(clock)
    changes.saw("ADDED", {"uid": "a", "generation": 2})
    assert not changes.behind({"a": 2})
    assert not changes.behind({"a": 1})
    assert not changes.behind({})
    assert changes.behind({"a": 3})
    assert changes.behind({"a": 2, "b": 1})


def test_a_change_waits_from_when_it_was_seen(clock: Clock) -> None:
    """The first of several that nobody has acted on; status writes are no change."""
    changes = Changes(clock)
    assert changes.taken() is None
    changes.saw("ADDED", {"uid": "a", "generation": 1})
    clock.now += 5
    changes.saw("MODIFIED", {"uid": "a", "generation": 1})
    changes.saw("MODIFIED", {"uid": "a", "generation": 2})
    assert (changes.taken(), changes.last_event) == (1000.0, 1005.0)
    assert changes.taken() is None


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/namespaces/llm/pods?limit=500", "pods"),
        ("/api/v1/namespaces/llm", "namespaces"),
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/llm/pods/chat/ephemeralcontainers", "pods/ephemeralcontainers"),
        ("/apis/sidelight.dev/v1alpha1/observedmodels", "observedmodels"),
        (
            "/apis/sidelight.dev/v1alpha1/namespaces/llm/observedmodels/chat/status",
            "observedmodels/status",
        ),
        ("/apis/apps/v1/namespaces/llm/deployments/chat", "deployments"),
        ("/apis", ""),
    ],
)
def test_api_calls_are_counted_by_resource(path: str, resource: str) -> None:
    """No object's name becomes a label."""
    assert resource_of(path) == resource


async def test_the_port_says_so(clock: Clock, pulse: Pulse) -> None:
    """/healthz with what stands still, /readyz, and every metric with its name."""
    metrics = Metrics()
    metrics.api_request("GET", "pods", 200, 0.01)
    async with TestClient(TestServer(health_app(metrics, pulse))) as client:
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/readyz")).status == 503
        pulse.ready = True
        assert (await client.get("/readyz")).status == 200
        text = await (await client.get("/metrics")).text()
        clock.now += LONGEST_ROUND_SECONDS + 1
        stuck = await client.get("/healthz")
        assert stuck.status == 503
        assert "rounds" in await stuck.text()
    for name in (
        "reconcile_duration_seconds", "queue_age_seconds", "watch_last_event_age_seconds",
        "watch_behind", "loop_lag_seconds", "breakers_open", "pods_outdated",
        'api_request_duration_seconds_count{code="200",resource="pods",verb="GET"}',
    ):  # fmt: skip
        assert f"sidelight_controller_{name}" in text
