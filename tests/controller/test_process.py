"""The controller as a process, against an API server that speaks HTTP."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from controller_world import apply_merge_patch, model_body

from sidelight_contract import names

GROUP_PATH = f"/apis/{names.GROUP}/{names.API_VERSION}"
DEADLINE_SECONDS = 20.0


class ApiServer:
    """As much of the API as the controller and kopf need: discovery, one model, no pods."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.model = model_body() | {"apiVersion": f"{names.GROUP}/v1alpha1", "kind": names.KIND}
        self.model["metadata"]["resourceVersion"] = "1"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls[f"{request.method} {request.path}"] += 1
        assert request.headers["Authorization"] == "Bearer secret"
        if "watch" in request.query:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
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
        return {
            "/api": {"versions": ["v1"]},
            "/api/v1": {"groupVersion": "v1", "resources": []},
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


async def test_the_process_writes_a_status_and_stops_when_told(tmp_path: Path) -> None:
    """kopf, the loop and the HTTP port together; SIGTERM ends all of it with status 0."""
    server = ApiServer()
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
                await until(lambda: "status" in server.model and server.calls["GET /api/v1"] > 0)
                pods = "GET /api/v1/namespaces/llm/pods"
                rounds = server.calls[pods]
                await until(lambda: server.calls[pods] >= rounds + 2)
                process.send_signal(signal.SIGTERM)
                _, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
    finally:
        await runner.cleanup()
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors
    assert server.model["status"]["conditions"][0]["reason"] == "NoPodsSelected"
    status_path = f"PATCH {GROUP_PATH}/namespaces/llm/{names.PLURAL}/chat/status"
    assert server.calls[status_path] == 1, "an unchanged status was written again"


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
