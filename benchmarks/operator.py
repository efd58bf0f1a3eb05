"""What one controller costs: the real process against an API server and sidecars on loopback.

    .venv/bin/python -m benchmarks.operator              500, 2000 and 5000 pods, 50 ObservedModels
    .venv/bin/python -m benchmarks.operator 5000         one size

Every pod is an object of the usual size with a sidecar of its own address (127.1.x.y), which
answers with a summary. Measured: until the first complete statuses; what is written in rounds in
which nothing has changed; until every status shows what all sidecars say anew; processor time and
memory of the controller over rounds of 10 s. The API server is a stand-in: its own time is not
counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from benchmarks.measure import cpu_seconds, memory
from benchmarks.quiet import NOISY, Others
from benchmarks.ways import ROOT

sys.path[:0] = [str(ROOT / "tests" / "support")]
from controller_world import (  # noqa: E402 - from the folder above
    AFTER,
    CREATED,
    apply_merge_patch,
    summary,
)

from sidelight_contract import names  # noqa: E402
from sidelight_contract.spec import ObservedModelSpec  # noqa: E402
from sidelight_contract.summary import encode_summary  # noqa: E402
from sidelight_operator.inject import (  # noqa: E402
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    decide,
)

IMAGE = "registry.example/sidelight-sidecar:bench"
MODELS = 50
QUIET_SECONDS = 60.0
GROUP_PATH = f"/apis/{names.GROUP}/{names.API_VERSION}"
Json = dict[str, Any]


def pod(model: str, number: int) -> Json:
    """A vLLM pod with its sidecar, ready, some 6 KB as JSON."""
    environment = [{"name": f"SETTING_{n}", "value": "a value of some length"} for n in range(24)]
    engine = {
        "name": "vllm", "image": "vllm/vllm-openai:v0.11.0", "env": environment,
        "args": ["--model", "meta/llama", "--port", "8000"],
        "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
    }  # fmt: skip
    owner = {"kind": "ReplicaSet", "name": f"{model}-7c9d", "controller": True}
    plain = {
        "metadata": {
            "name": f"{model}-7c9d-{number}", "namespace": model, "uid": f"{model}-{number}",
            "resourceVersion": str(number), "creationTimestamp": AFTER, "ownerReferences": [owner],
            "labels": {"app": model, "pod-template-hash": "7c9d"},
        },
        "spec": {"containers": [engine]},
    }  # fmt: skip
    spec = ObservedModelSpec.model_validate(model_spec(model))
    made = decide(
        plain, NamespaceFacts({}), [ObservedModelView(model, spec)], InjectionSettings(IMAGE)
    ).patched
    assert made is not None
    statuses = [{"name": names.SIDECAR_CONTAINER, "ready": True, "restartCount": 0, "state": {}}]
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": AFTER}
    made["status"] = {
        "phase": "Running", "podIP": f"127.1.{number // 250}.{number % 250 + 1}",
        "startTime": AFTER, "conditions": [ready], "initContainerStatuses": statuses,
    }  # fmt: skip
    return made


def model_spec(model: str) -> Json:
    """Selects the pods that are called after it."""
    return {"selector": {"matchLabels": {"app": model}}}


class World:
    """The API server and all sidecars."""

    def __init__(self, pods: int) -> None:
        self.calls: Counter[str] = Counter()
        self.models: dict[str, Json] = {}
        self.pods: dict[str, list[Json]] = {}
        self.config_maps: dict[str, Json] = {}
        self.answer = encode_summary(summary(100))
        for number in range(MODELS):
            name = f"m{number:02}"
            self.models[name] = {
                "apiVersion": f"{names.GROUP}/{names.API_VERSION}", "kind": names.KIND,
                "metadata": {
                    "name": name, "namespace": name, "uid": name, "generation": 1,
                    "resourceVersion": "1", "creationTimestamp": CREATED,
                },
                "spec": model_spec(name),
            }  # fmt: skip
            self.pods[name] = [pod(name, n) for n in range(number, pods, MODELS)]
        self.bytes_of_a_pod = len(json.dumps(self.pods["m00"][0]))
        self.pages = {
            name: [json.dumps(part).encode() for part in _pages(found)]
            for name, found in self.pods.items()
        }

    async def summary(self, _: web.Request) -> web.Response:
        """What every sidecar says."""
        return web.Response(body=self.answer)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A request to the API server."""
        if "watch" in request.query:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            await asyncio.sleep(3600)
            return response
        parts = request.path.strip("/").split("/")
        self.calls[f"{request.method} {parts[-1] if len(parts) < 6 else parts[5]}"] += 1
        if request.path.endswith("/pods"):
            page = int(request.query.get("continue", "0"))
            return web.Response(body=self.pages[parts[3]][page], content_type="application/json")
        answer = await self.answer_to(request, parts)
        if answer is None:
            return web.json_response({"message": "not found"}, status=404)
        return web.json_response(answer)

    async def answer_to(self, request: web.Request, parts: list[str]) -> object:
        """What it is answered with; None: there is no such thing."""
        if request.method == "PATCH" and parts[-1] == "status":
            model = self.models[parts[6]]
            self.models[parts[6]] = apply_merge_patch(model, await request.json())
            self.calls["status writes"] += 1
            return {}
        if request.method == "POST":
            if parts[-1] == "configmaps":
                self.config_maps[parts[3]] = await request.json()
            return {}
        if "configmaps" in parts:
            return self.config_maps.get(parts[3])
        if parts[-1] == "events":
            return {"metadata": {}, "items": []}
        if parts[:3] == ["api", "v1", "namespaces"]:
            return {"metadata": {"name": parts[-1], "labels": {}}}
        return self.discovery(request.path)

    def discovery(self, path: str) -> object:
        """What there is, and the ObservedModels."""
        version = f"{names.GROUP}/{names.API_VERSION}"
        group = {"groupVersion": version, "version": names.API_VERSION}
        resource = {
            "name": names.PLURAL, "singularName": names.SINGULAR, "namespaced": True,
            "kind": names.KIND, "verbs": ["get", "list", "watch", "patch"],
        }  # fmt: skip
        found = {
            "/api": {"versions": ["v1"]},
            "/api/v1": {"groupVersion": "v1", "resources": []},
            "/apis": {
                "groups": [{"name": names.GROUP, "versions": [group], "preferredVersion": group}]
            },
            GROUP_PATH: {"groupVersion": version, "resources": [resource]},
        }  # fmt: skip
        if path == f"{GROUP_PATH}/{names.PLURAL}":
            return {"metadata": {"resourceVersion": "1"}, "items": list(self.models.values())}
        return found.get(path)

    def complete(self, requests: int) -> bool:
        """Whether every status says that all pods are observed, and so many requests of each."""
        for name, model in self.models.items():
            status = model.get("status", {})
            count = len(self.pods[name])
            seen = sum(version["requests"] for version in status.get("versions", ()))
            if status.get("pods", {}).get("observed") != count or seen != count * requests:
                return False
        return True


def _pages(pods: list[Json], size: int = 500) -> list[Json]:
    parts = [pods[start : start + size] for start in range(0, len(pods), size)] or [[]]
    return [
        {"metadata": {"continue": str(n + 1)} if n + 1 < len(parts) else {}, "items": part}
        for n, part in enumerate(parts)
    ]


@asynccontextmanager
async def running(world: World) -> AsyncIterator[int]:
    """The API server on a port of its own, and each pod's sidecar on its address."""
    api, sidecar = web.Application(), web.Application()
    api.router.add_route("*", "/{path:.*}", world.handle)
    sidecar.router.add_get("/summary", world.summary)
    runners = [web.AppRunner(app, shutdown_timeout=0.1, access_log=None) for app in (api, sidecar)]
    for runner in runners:
        await runner.setup()
    try:
        await web.TCPSite(runners[0], "127.0.0.1", 0).start()
        for found in world.pods.values():
            for one in found:
                listener = socket.create_server((one["status"]["podIP"], names.ADMIN_PORT))
                await web.SockSite(runners[1], listener).start()
        port: int = runners[0].addresses[0][1]
        yield port
    finally:
        for runner in runners:
            await runner.cleanup()


async def until(condition: Any, seconds: float) -> float:
    """Seconds until it holds.

    Raises:
        TimeoutError: it did not in time.
    """
    started = time.monotonic()
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(0.1)
    return time.monotonic() - started


async def measure(pods: int) -> None:
    """One size, and its line of the table."""
    world, others = World(pods), Others()
    async with running(world) as port:
        with tempfile.TemporaryDirectory() as folder:
            kubeconfig = Path(folder) / "kubeconfig"
            kubeconfig.write_text(json.dumps(_kubeconfig(port)))
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sidelight_operator", "controller", "--http-port=0",
                f"--kubeconfig={kubeconfig}", f"--sidecar-image={IMAGE}", "--log-level=WARNING",
                env=os.environ | {"USER": "bench"},
            )  # fmt: skip
            try:
                first = await until(lambda: world.complete(100), 120)
                await asyncio.sleep(11)
                writes, used, begun = (
                    world.calls["status writes"],
                    cpu_seconds(process.pid),
                    time.monotonic(),
                )
                await asyncio.sleep(QUIET_SECONDS)
                used = (cpu_seconds(process.pid) - used) / (time.monotonic() - begun)
                writes = world.calls["status writes"] - writes
                world.answer = encode_summary(summary(101))
                behind = await until(lambda: world.complete(101), 120)
                held = memory([process.pid])
            finally:
                process.terminate()
                await process.wait()
    noisy = f"  others {share:.2f}" if (share := others.share_of_a_core()) > NOISY else ""
    print(
        f"{pods:>6} {world.bytes_of_a_pod:>7} {first:>9.1f} {behind:>9.1f} {used:>8.2f} "
        f"{held.rss:>7.0f} {writes:>7}{noisy}",
        flush=True,
    )


def _kubeconfig(port: int) -> Json:
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "bench", "user": {"token": "secret"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    }  # fmt: skip


async def main(sizes: list[int]) -> None:
    """The table."""
    print("  pods   bytes  complete    behind    cores  MB rss  writes")
    print("         a pod   after, s      by, s             with no change")
    for size in sizes:
        await measure(size)


if __name__ == "__main__":
    asyncio.run(main([int(word) for word in sys.argv[1:]] or [500, 2000, 5000]))
