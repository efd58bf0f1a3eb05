"""Prometheus is told of every sidecar and tap that the last round found."""

import json

import pytest
from aiohttp.test_utils import TestClient, TestServer
from attach_world import CONTAINER
from controller_world import (
    BEFORE,
    INSTALLED,
    TOKENS,
    FakeKube,
    injects,
    model_body,
    pod_body,
)
from reconcile_world import Sidecars

from sidelight_contract import names
from sidelight_operator.controller import scraped
from sidelight_operator.controller.health import Pulse, health_app
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.pods import view_pod
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.controller.scraped import Scrapes, scraped_of, target_groups
from sidelight_operator.kube import Json, KubeError

NOW = parse_time("2026-11-24T12:00:00Z")


def injected(name: str = "a", ip: str = "198.51.100.1", **facts: str) -> Json:
    body = pod_body(name, ip=ip, **facts)
    body["spec"]["nodeName"] = "gpu-1"
    return body


def tapped(name: str = "old", ip: str = "198.51.100.2") -> Json:
    """From before the model, with a tap that was attached to it and runs."""
    body = pod_body(name, "", created=BEFORE, ip=ip)
    body["spec"]["ephemeralContainers"] = [CONTAINER]
    body["status"]["ephemeralContainerStatuses"] = [
        {"name": names.TAP_CONTAINER, "state": {"running": {}}}
    ]
    return body


def group(address: str, pod: str, mode: str, **more: str) -> Json:
    labels = {"namespace": "llm", "pod": pod, "observed_model": "chat", "mode": mode, **more}
    return {"targets": [address], "labels": labels}


SIDECAR = group("198.51.100.1:15020", "a", "Redirect", node="gpu-1")
TAP = group("198.51.100.2:15020", "old", "Tap")


class World:
    """A controller, its HTTP application and a Kubernetes in memory."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.kube.models["chat"] = model_body()
        self.kube.pods = [tapped(), injected(), pod_body("bare", "")]
        self.reconciler = Reconciler(
            self.kube, Sidecars(), injects, installed=INSTALLED, clock=lambda: NOW, tokens=TOKENS
        )

    def server(self) -> TestServer:
        pulse = Pulse(10.0, lambda: 0.0)
        return TestServer(health_app(Metrics(), pulse, scrapes=self.reconciler.scrapes))

    def groups(self) -> list[Json]:
        return target_groups(self.reconciler.scrapes.listed())


async def test_the_port_names_what_the_round_found() -> None:
    """As `http_sd_configs` wants it: a list, as JSON, by type and content. On demand the attached
    ones alone, which nothing else finds.
    """
    world = World()
    async with TestClient(world.server()) as client:
        early = await client.get("/targets")
        assert early.status == 503, "Prometheus would take an empty list for the truth"
        await world.reconciler.round()
        answer = await client.get("/targets")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert json.loads(await answer.text()) == [SIDECAR, TAP]
        assert await (await client.get("/targets?attached=false")).json() == [SIDECAR, TAP]
        assert await (await client.get("/targets?attached=true")).json() == [TAP]
        assert (await client.get("/targets?attached=perhaps")).status == 400


async def test_what_ends_is_named_no_more() -> None:
    """A pod after the next round, an ObservedModel's pods with it."""
    world = World()
    await world.reconciler.round()
    world.kube.pods[0]["status"]["ephemeralContainerStatuses"][0]["state"] = {
        "terminated": {"exitCode": 0}
    }
    await world.reconciler.round()
    assert world.groups() == [SIDECAR]
    world.kube.models.clear()
    await world.reconciler.round()
    assert world.groups() == []


async def test_what_could_not_be_looked_at_stays() -> None:
    """An API server that hiccups takes no metrics away. A spec that is not understood may stay so
    for long, and addresses come to others: then nothing is known.
    """
    world = World()
    await world.reconciler.round()
    world.kube.fault = lambda what: KubeError(what, "503", 503) if what == "list pods" else None
    await world.reconciler.round()
    assert world.groups() == [SIDECAR, TAP]
    world.kube.fault = None
    world.kube.models["chat"]["spec"] = {"selector": 5}
    await world.reconciler.round()
    assert world.groups() == []


@pytest.mark.parametrize(
    "pod",
    [
        injected(phase="Pending"),
        injected(ip=""),
        pod_body("bare", ""),
    ],
    ids=["not running", "no address", "no sidecar"],
)
def test_what_cannot_be_scraped_is_not_named(pod: Json) -> None:
    """It would be down for ever in Prometheus."""
    assert scraped_of("llm", [view_pod(pod, ())]) == ()


def test_an_annotation_is_not_believed() -> None:
    """Whoever may write it gets neither a label's value of his own nor a port that is none."""
    body = injected()
    record = json.loads(body["metadata"]["annotations"][names.ANNOTATION_INJECTION])
    for more, expected in (
        ({"mode": "x" * 1000}, [""]),
        ({"mode": "Tap", "adminPort": 9}, ["Tap"]),
        ({"adminPort": 0}, []),
        ({"adminPort": 65536}, []),
    ):
        text = json.dumps(record | more)
        body["metadata"]["annotations"][names.ANNOTATION_INJECTION] = text
        found = scraped_of("llm", [view_pod(body, ())])
        assert [one.mode for one in found] == expected
    body["metadata"]["annotations"][names.ANNOTATION_INJECTION] = json.dumps(record | {"mode": "x"})
    (only,) = target_groups(scraped_of("llm", [view_pod(body, ())]))
    assert "mode" not in only["labels"]  # type: ignore[operator]


def test_an_address_of_ipv6_has_its_brackets() -> None:
    """Else the port is a part of it."""
    (found,) = scraped_of("llm", [view_pod(injected(ip="2001:db8::1"), ())])
    assert found.address == "[2001:db8::1]:15020"


def test_a_pod_that_two_select_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the ObservedModel that it was injected for; and no more than so many are named."""
    scrapes = Scrapes()
    found = scraped_of("llm", [view_pod(injected(name), ()) for name in ("b", "a")])
    scrapes.saw("one", found)
    scrapes.saw("two", found)
    assert [one.pod for one in scrapes.listed()] == ["a", "b"]
    monkeypatch.setattr(scraped, "MAX_SCRAPED", 1)
    assert [one.pod for one in scrapes.listed()] == ["a"]
