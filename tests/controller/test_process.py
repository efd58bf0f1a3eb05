"""The controller as a process, against an API server that speaks HTTP."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from controller_world import apply_merge_patch, model_body

from sidelight_contract import names
from sidelight_operator.kube import Json

GROUP_PATH = f"/apis/{names.GROUP}/{names.API_VERSION}"
DEADLINE_SECONDS = 20.0


class ApiServer:
    """As much of the API as the controller and kopf need: discovery, one model, no pods. Without
    namespaces in it kopf would wait for ever, and watch nothing.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.model = model_body() | {"apiVersion": f"{names.GROUP}/v1alpha1", "kind": names.KIND}
        self.model["metadata"]["resourceVersion"] = "1"
        self.watched: list[Json] = []
        """What a watch brings; it stays open then."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls[f"{request.method} {request.path}"] += 1
        assert request.headers["Authorization"] == "Bearer secret"
        if "watch" in request.query:
            self.calls[f"WATCH {request.path}"] += 1
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            for event in self.watched:
                await response.write(json.dumps(event).encode() + b"\n")
            await asyncio.sleep(3600)
            return response
        if request.method == "PATCH":
            assert request.content_type == "application/merge-patch+json"
            patch = await request.json()
            self.model = apply_merge_patch(self.model, patch)
        answer = self.answer(request.method, request.path)
        if answer is None:
            return web.json_response({"message": "not found", "code": 404}, status=404)
        return web.json_response(answer)

    def answer(self, method: str, path: str) -> object:
        if method != "GET":
            return {}
        group = {
            "groupVersion": f"{names.GROUP}/v1alpha1", "version": "v1alpha1",
        }  # fmt: skip
        resource = {
            "name": names.PLURAL, "singularName": names.SINGULAR, "namespaced": True,
            "kind": names.KIND, "verbs": ["get", "list", "watch", "patch"], "shortNames": ["om"],
        }  # fmt: skip
        namespaces = {
            "name": "namespaces", "singularName": "namespace", "namespaced": False,
            "kind": "Namespace", "verbs": ["get", "list", "watch"],
        }  # fmt: skip
        return {
            "/api": {"versions": ["v1"]},
            "/api/v1": {"groupVersion": "v1", "resources": [namespaces]},
            "/apis": {
                "groups": [{"name": names.GROUP, "versions": [group], "preferredVersion": group}]
            },
            GROUP_PATH: {"groupVersion": f"{names.GROUP}/v1alpha1", "resources": [resource]},
            f"{GROUP_PATH}/{names.PLURAL}": {
                "metadata": {"resourceVersion": "1"}, "items": [self.model],
            },
            "/api/v1/namespaces/llm": {"metadata": {"name": "llm"}},
            **{
                f"/api/v1/namespaces/llm/{kind}": {"metadata": {}, "items": []}
                for kind in ("pods", "events", "limitranges", "resourcequotas")
            },
        }.get(path)  # fmt: skip


@asynccontextmanager
async def controller(server: ApiServer, tmp_path: Path) -> AsyncIterator[Process]:
    """The process, which has the API server that it asks; it is gone afterwards."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(kubeconfig_for(runner.addresses[0][1])))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sidelight_operator", "controller",
            "--http-port=0", "--interval=0.2", f"--kubeconfig={kubeconfig}", "--sidecar-image=x",
            stderr=asyncio.subprocess.PIPE, env=os.environ | {"USER": "test"},
        )  # fmt: skip
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        await runner.cleanup()


async def test_the_process_writes_a_status_and_stops_when_told(tmp_path: Path) -> None:
    """kopf, the loop and the HTTP port together; SIGTERM ends all of it with status 0."""
    server = ApiServer()
    async with controller(server, tmp_path) as process:
        watch = f"WATCH {GROUP_PATH}/{names.PLURAL}"
        await until(lambda: "status" in server.model and server.calls[watch] > 0)
        pods = "GET /api/v1/namespaces/llm/pods"
        rounds = server.calls[pods]
        await until(lambda: server.calls[pods] >= rounds + 2)
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors
    assert server.model["status"]["conditions"][0]["reason"] == "NoPodsSelected"
    status_path = f"PATCH {GROUP_PATH}/namespaces/llm/{names.PLURAL}/chat/status"
    assert server.calls[status_path] == 1, "an unchanged status was written again"


async def test_kopfs_own_lines_are_objects_too(tmp_path: Path) -> None:
    """Of an ObservedModel that its watch stumbles over it logs a traceback, with things of its own
    beside it; one line all the same, and so is every other.
    """
    server = ApiServer()
    server.watched = [{"type": "ADDED", "object": server.model | {"metadata": {"name": "odd"}}}]
    async with controller(server, tmp_path) as process:
        assert process.stderr is not None
        lines: list[dict[str, str]] = []
        while not (lines and lines[-1]["logger"].startswith("kopf")):
            lines.append(json.loads(await process.stderr.readline()))
        process.send_signal(signal.SIGTERM)
        _, rest = await process.communicate()
    lines += [json.loads(line) for line in rest.splitlines()]
    for line in lines:
        assert line.keys() >= {"time", "level", "logger", "message"}
        assert not line.keys() & {"k8s_skip", "k8s_ref", "settings"}, "kopf's own objects"
    (found,) = [line for line in lines if line["logger"].startswith("kopf")]
    assert found["level"] == "ERROR"
    assert found["exception"].startswith("Traceback")


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds; the caller has the deadline."""
    while not condition():  # noqa: ASYNC110 - another process brings it about
        await asyncio.sleep(0.05)


def kubeconfig_for(port: int) -> dict[str, object]:
    """A kubeconfig with a token, over plain HTTP."""
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": "secret"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }  # fmt: skip


def test_the_pure_part_needs_no_framework() -> None:
    """Evaluation imports neither kopf, aiohttp nor the Kubernetes client."""
    script = (
        "import sys, sidelight_operator.controller.evaluate\n"
        "sys.exit(','.join({'kopf', 'aiohttp', 'kubernetes'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
