"""Which exporter is on which node, and what sidecars are told of it."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession, web
from controller_world import INSTALLED, TOKENS, FakeKube, injects, model_body, pod_body, summary
from reconcile_world import Sidecars

from sidelight_contract.gpu import EXPORTER_HEADER, Fault, GpuReport
from sidelight_contract.spec_gpu import Gpu
from sidelight_contract.summary import encode_summary
from sidelight_operator.controller.collect import Collector
from sidelight_operator.controller.exporters import FRESH_SECONDS, ExporterRule, Exporters
from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube import Json, KubeError

DCGM = ExporterRule("dcgm", "app=dcgm", 9400)
AMD = ExporterRule("amd", "app=amd", 5000)
NOW = parse_time("2026-11-24T12:00:00Z")


def exporter(name: str = "e", node: str = "n", ip: str = "198.51.100.7", **changes: Any) -> Json:
    """A pod of a DaemonSet that runs and is ready."""
    created = changes.pop("created", "2026-11-24T10:00:00Z")
    metadata = {"name": name, "creationTimestamp": created, **changes.pop("metadata", {})}
    ready = changes.pop("ready", "True")
    status = {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": status | changes}


class World:
    """Exporters over a Kubernetes in memory, with a clock of its own."""

    def __init__(self, *rules: ExporterRule, namespaces: tuple[str, ...] = ()) -> None:
        self.kube = FakeKube()
        self.time = 0.0
        self.asked: list[str] = []
        self.refused = ""
        self.kube.fault = self._fault
        self.failures = 0
        self.exporters = Exporters(
            self.kube, rules, namespaces, monotonic=lambda: self.time, failed=self._failed
        )

    def _failed(self) -> None:
        self.failures += 1

    def _fault(self, what: str) -> KubeError | None:
        if not what.startswith("list exporters"):
            return None
        self.asked.append(what.removeprefix("list exporters "))
        return KubeError(what, self.refused, 403) if self.refused else None

    async def look(self, *pods: Json) -> None:
        self.kube.exporters = list(pods)
        await self.exporters.refresh()
        self.time += FRESH_SECONDS

    def told(self, node: str = "n", source: str = "Auto", *, unsafe: bool = False) -> str:
        nvml = {"unsafeVisibleAll": unsafe}
        return self.exporters.told(node, Gpu.model_validate({"source": source, "nvml": nvml}))


async def test_the_exporter_on_the_pods_own_node_is_told() -> None:
    """By its own address and the installation's port; on another node there is none."""
    world = World(DCGM)
    await world.look(exporter("a", "n1"), exporter("b", "n2", "2001:db8::7"))
    assert world.told("n1") == "dcgm=198.51.100.7:9400"
    assert world.told("n2") == "dcgm=[2001:db8::7]:9400"
    assert world.told("n3") == "none"
    assert world.told("") == ""


@pytest.mark.parametrize(
    "pod",
    [
        exporter(ready="False"), exporter(phase="Pending"), exporter(ip=""), exporter(node=""),
        exporter(ip="198.51.100.7:80/x"), exporter(metadata={"deletionTimestamp": "x"}),
        {"metadata": {}, "spec": None, "status": None},
    ],
)  # fmt: skip
async def test_who_does_not_serve_is_no_exporter(pod: Json) -> None:
    """Not running, not ready, on its way out, without an address."""
    world = World(DCGM)
    await world.look(pod)
    assert world.told() == "none"


async def test_of_several_on_a_node_the_newest_is_taken() -> None:
    """It is being rolled out; in whatever order they are listed."""
    old, new = exporter("a", ip="198.51.100.1"), exporter("b", ip="198.51.100.2")
    new["metadata"]["creationTimestamp"] = "2026-11-24T11:00:00Z"
    for pods in ((old, new), (new, old)):
        world = World(DCGM)
        await world.look(*pods)
        assert world.told() == "dcgm=198.51.100.2:9400"


@pytest.mark.parametrize(
    ("source", "unsafe", "told"),
    [
        ("Auto", False, "dcgm=198.51.100.7:9400"),
        ("DCGM", False, "dcgm=198.51.100.7:9400"),
        ("AMD", False, "amd=198.51.100.7:5000"),
        ("None", False, ""),
        ("NVML", False, ""),
        ("NVML", True, "dcgm=198.51.100.7:9400"),
    ],
)
async def test_only_what_the_source_reads_is_told(source: str, unsafe: bool, told: str) -> None:
    """NVML needs it where the sidecar sees all devices, for which are the pod's."""
    world = World(DCGM, AMD)
    await world.look(exporter())
    assert world.told(source=source, unsafe=unsafe) == told


async def test_the_api_server_is_asked_twice_a_minute_at_most() -> None:
    """However many rounds and models there are; in any namespace, or in those that are named."""
    world = World(DCGM, ExporterRule("amd", "app=amd", 5000, "amd-gpu"), namespaces=("a", "b"))
    for _ in range(5):
        await world.exporters.refresh()
    assert world.asked == ["a app=dcgm", "b app=dcgm", "amd-gpu app=amd"]
    world.time += FRESH_SECONDS
    await world.exporters.refresh()
    assert len(world.asked) == 6


async def test_a_failed_look_changes_nothing_and_says_why() -> None:
    """What was known goes on; before anything is known nothing is said, until that lasts."""
    world = World(DCGM)
    world.refused = "403 forbidden"
    await world.look()
    assert world.told() == ""
    assert "403 forbidden" in world.exporters.problem
    await world.look()
    assert world.told() == "none"
    world.refused = ""
    await world.look(exporter())
    assert (world.told(), world.exporters.problem) == ("dcgm=198.51.100.7:9400", "")
    world.refused = "500 away"
    await world.look()
    assert world.told() == "dcgm=198.51.100.7:9400"
    world.refused = ""
    await world.look()
    assert world.told() == "none"
    assert world.failures == 3


async def test_a_fault_of_our_own_is_a_failed_look(caplog: pytest.LogCaptureFixture) -> None:
    """It ends no round, and is logged whole."""
    world = World(DCGM)
    await world.look({"spec": {}})
    assert (world.told(), world.exporters.problem) == ("", "KeyError")
    assert "exporters not listed" in caplog.text


async def test_an_exporter_of_one_kind_counts_while_another_cannot_be_looked_for() -> None:
    """Rights are missing for one namespace."""
    world = World(DCGM, AMD)
    world.kube.fault = lambda what: KubeError(what, "403", 403) if "app=amd" in what else None
    await world.look(exporter())
    assert world.told() == "dcgm=198.51.100.7:9400"
    assert world.exporters.problem


def gpu_pod(name: str, node: str = "n", **facts: Any) -> Json:
    body = pod_body(name, **facts)
    body["spec"]["nodeName"] = node
    body["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    return body


async def test_a_round_tells_pods_with_gpus_alone() -> None:
    """From the first round on."""
    world, sidecars = World(DCGM), Sidecars()
    world.kube.models["chat"] = model_body()
    world.kube.pods = [gpu_pod("a"), pod_body("b")]
    world.kube.exporters = [exporter()]
    reconciler = Reconciler(
        world.kube, sidecars, injects,
        installed=INSTALLED, clock=lambda: NOW, tokens=TOKENS, exporters=world.exporters,
    )  # fmt: skip
    await reconciler.round()
    assert sorted(sidecars.accelerators) == ["", "dcgm=198.51.100.7:9400"]


@pytest.mark.parametrize(
    ("gpu", "pod"),
    [
        ({"source": "None"}, gpu_pod("a")), ({"source": "NVML"}, gpu_pod("a")),
        ({}, pod_body("a")), ({}, gpu_pod("a", phase="Pending")),
    ],
)  # fmt: skip
async def test_nobody_is_listed_where_nobody_asks(gpu: Json, pod: Json) -> None:
    """`gpu.source: None`, the driver through a claim, or no pod with a GPU."""
    world = World(DCGM)
    world.kube.models["chat"] = model_body(gpu=gpu)
    world.kube.pods = [pod]
    reconciler = Reconciler(
        world.kube, Sidecars(), injects,
        installed=INSTALLED, clock=lambda: NOW, tokens=TOKENS, exporters=world.exporters,
    )  # fmt: skip
    await reconciler.round()
    assert world.asked == []


async def test_a_failed_look_ends_no_round() -> None:
    """The status is written all the same."""
    world = World(DCGM)
    world.refused = "500 away"
    world.kube.models["chat"] = model_body()
    world.kube.pods = [gpu_pod("a")]
    reconciler = Reconciler(
        world.kube, Sidecars(), injects,
        installed=INSTALLED, clock=lambda: NOW, tokens=TOKENS, exporters=world.exporters,
    )  # fmt: skip
    await reconciler.round()
    assert world.kube.models["chat"]["status"]["conditions"][0]["status"] == "True"


async def test_gpus_that_are_unwell_are_in_the_controllers_metrics() -> None:
    """By ObservedModel, as long as they are."""
    world, sidecars = World(), Sidecars()
    world.kube.models["chat"] = model_body()
    world.kube.pods = [gpu_pod("a")]
    reconciler = Reconciler(
        world.kube, sidecars, injects, installed=INSTALLED, clock=lambda: NOW, tokens=TOKENS
    )
    unwell = summary(1)
    unwell.gpu = GpuReport(sidecars=1, seen=1, faults=[Fault("lost", "0")])
    for answer, value in ((unwell, 1), (summary(1), 0)):
        sidecars.answer = answer
        await reconciler.round()
        labels = {"namespace": "llm", "observed_model": "chat"}
        registry = reconciler.metrics.registry
        assert registry.get_sample_value("sidelight_controller_gpu_unhealthy", labels) == value


async def test_it_is_told_in_a_header_of_the_request_for_a_summary() -> None:
    """Absent where nothing is to be told."""
    heard: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request.headers.get(EXPORTER_HEADER))
        return web.Response(body=encode_summary(summary(1)))

    app = web.Application()
    app.router.add_get("/summary", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession(auto_decompress=False) as session:
            collector = Collector(session, 2, runner.addresses[0][1])
            await collector.collect("127.0.0.1", "t", accelerators="dcgm=[2001:db8::7]:9400")
            await collector.collect("127.0.0.1", "t")
    finally:
        await runner.cleanup()
    assert heard == ["dcgm=[2001:db8::7]:9400", None]
