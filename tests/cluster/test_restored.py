"""etcd restored from an older copy, under both roles as processes: a real API server, no node."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # the benchmarks' control plane, not installed

from admitted import POD, injected
from benchmarks.scale.plane import Json, Plane, plane, until
from benchmarks.scale.release import SYSTEM, Program, Release
from benchmarks.scale.world import MODELS_PATH
from benchmarks.ways import BenchmarkError
from outage import API, ControlPlane

NAMESPACE = "llm"
MODELS = f"{MODELS_PATH}/namespaces/{NAMESPACE}/observedmodels"
UNREACHABLE = (BenchmarkError, aiohttp.ClientError)


@pytest.fixture
async def server() -> AsyncIterator[Plane]:
    """An etcd and an API server with two namespaces."""
    async with plane() as made:
        for name in (SYSTEM, NAMESPACE):
            await made.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
            account = {"metadata": {"name": "default"}}  # no controller makes it here
            path = f"/api/v1/namespaces/{name}/serviceaccounts"
            await made.call("POST", path, account)
        yield made


class World:
    """The API server as somebody uses it."""

    def __init__(self, server: Plane) -> None:
        self.server = server

    async def add(self, name: str) -> None:
        """An ObservedModel of the pods `app: NAME`."""
        body = {
            "apiVersion": "sidelight.dev/v1alpha1", "kind": "ObservedModel",
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": name}}},
        }  # fmt: skip
        await self.server.call("POST", MODELS, body)

    async def injects(self, name: str) -> bool:
        """Whether a pod `app: NAME` would get a sidecar."""
        pod = {**POD, "metadata": {"generateName": "x-", "labels": {"app": name}}}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All"
        return injected(await self.server.call("POST", path, pod))

    async def status(self, name: str) -> Json:
        """Of an ObservedModel; empty before there is one."""
        found: Json = (await self.server.call("GET", f"{MODELS}/{name}")).get("status", {})
        return found

    async def until(self, what: str, seconds: float, *wanted: tuple[str, bool]) -> None:
        """Return when pods of these ObservedModels are injected, or not."""

        async def holds() -> bool:
            try:
                return [await self.injects(name) for name, _ in wanted] == [w for _, w in wanted]
            except UNREACHABLE:
                return False

        await until(holds, seconds, what)

    async def until_status(self, name: str, seconds: float) -> None:
        """Return when its status is there, and its ConfigMap."""

        async def there() -> bool:
            try:
                path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/sidelight-{name}"
                await self.server.call("GET", path)
                return bool((await self.status(name)).get("conditions"))
            except UNREACHABLE:
                return False

        await until(there, seconds, f"the status of {name}")


async def healthy(program: Program) -> bool:
    url = f"http://127.0.0.1:{program.http_port}/healthz"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status == 200


@pytest.mark.timeout(180)
async def test_after_etcd_went_back_in_time_both_roles_see_what_there_is(server: Plane) -> None:
    """An ObservedModel that was deleted is there again, one that was made is gone, and the watches
    go on from versions that are still to come: a new one is seen all the same. Neither process was
    restarted, and nothing is written that stood already.
    """
    world, release = World(server), Release(server, interval=2)
    await release.install()
    control = ControlPlane(server.folder)
    async with release.webhook() as webhook, release.running("controller") as controller:
        await world.add("early")
        await world.until_status("early", 20)
        await world.until("injection", 10, ("early", True))
        copy = await asyncio.to_thread(control.copy_etcd)
        await world.until("injection after a restart of the API server", 30, ("early", True))
        await server.call("DELETE", f"{MODELS}/early")
        await world.add("late")
        await world.until_status("late", 30)
        await world.until("what there is", 30, ("early", False), ("late", True))
        for number in range(100):  # versions that the copy has not come to
            body = {"metadata": {"name": f"filler-{number}"}}
            await server.call("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", body)
        await asyncio.to_thread(control.restore_etcd, copy)
        await world.until_status("early", 60)
        await world.until("what there is again", 60, ("early", True), ("late", False))
        log = (server.folder / "sidelight-webhook.log").read_text()
        assert "view put right" in log, "the watch is not deaf: this test shows nothing"
        await world.add("after")
        await world.until_status("after", 20)
        await world.until("a new one, by a deaf watch", 20, ("after", True))
        assert await healthy(webhook)
        assert await webhook.ready()
        assert await healthy(controller)


@pytest.mark.timeout(120)
async def test_while_the_api_server_is_away_the_webhook_answers_and_nobody_ends(
    server: Plane,
) -> None:
    """From its view, ready; the controller is healthy, and both are right again soon after."""
    world, release = World(server), Release(server, interval=2)
    await release.install()
    control = ControlPlane(server.folder)
    async with release.webhook() as webhook, release.running("controller") as controller:
        await world.add("early")
        await world.until_status("early", 20)
        await world.until("injection", 10, ("early", True))
        await asyncio.to_thread(control.stop, API)
        for _ in range(15):
            await asyncio.sleep(1)
            assert await healthy(webhook)
            assert await webhook.ready()
            assert await healthy(controller)
        control.start(API)
        await world.until("injection", 20, ("early", True))
        await world.add("late")
        await world.until_status("late", 30)
        await world.until("injection", 30, ("early", True), ("late", True))
