"""The webhook as a real process: its certificate, an API server that it watches, and reviews."""

import asyncio
import json
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from sidelight_contract import names
from sidelight_operator.webhook import PATH

GROUP_VERSION = f"{names.GROUP}/{names.API_VERSION}"
DEADLINE_SECONDS = 30.0


def model_object(name: str = "chat", namespace: str = "ml") -> dict[str, Any]:
    """An ObservedModel that selects `app: chat`, as the API server returns it."""
    return {
        "apiVersion": GROUP_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": name, "namespace": namespace, "uid": f"{namespace}-{name}",
            "resourceVersion": "1",
        },
        "spec": {"selector": {"matchLabels": {"app": "chat"}}},
    }  # fmt: skip


def namespace_object(name: str = "ml") -> dict[str, Any]:
    """A namespace without labels of its own."""
    return {"metadata": {"name": name, "uid": name, "resourceVersion": "1", "labels": {}}}


def _kind(name: str, plural: str, namespaced: bool) -> dict[str, Any]:
    return {
        "name": plural, "singularName": name.lower(), "namespaced": namespaced, "kind": name,
        "verbs": ["get", "list", "watch", "create", "patch"],
    }  # fmt: skip


_VERSION = {"groupVersion": GROUP_VERSION, "version": names.API_VERSION}
_DISCOVERY: dict[str, Any] = {
    "/api": {"versions": ["v1"]},
    "/api/v1": {
        "groupVersion": "v1",
        "resources": [
            _kind("Pod", "pods", True), _kind("Namespace", "namespaces", False),
            _kind("LimitRange", "limitranges", True),
            _kind("ResourceQuota", "resourcequotas", True),
        ],
    },
    "/apis": {
        "groups": [{"name": names.GROUP, "versions": [_VERSION], "preferredVersion": _VERSION}]
    },
    f"/apis/{GROUP_VERSION}": {
        "groupVersion": GROUP_VERSION, "resources": [_kind(names.KIND, names.PLURAL, True)],
    },
}  # fmt: skip


class ApiServer:
    """What kopf and the webhook ask for; it remembers what was written to it."""

    def __init__(
        self, models: Sequence[dict[str, Any]] = (), namespaces: Sequence[dict[str, Any]] = ()
    ) -> None:
        self.writes: list[str] = []
        self.reads: set[str] = set()
        self.forbidden: frozenset[str] = frozenset()
        """Last parts of addresses that are answered with 403."""
        self.port = 0
        self._told: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._answers = _DISCOVERY | {
            f"/apis/{GROUP_VERSION}/{names.PLURAL}": _list(models or [model_object()]),
            "/api/v1/namespaces": _list(namespaces or [namespace_object()]),
            f"/apis/{GROUP_VERSION}/namespaces/ml/{names.PLURAL}": _list([model_object()]),
            "/api/v1/namespaces/ml": namespace_object(),
            **{
                f"/api/v1/{place}{kind}": _list([])
                for place in ("", "namespaces/ml/")
                for kind in ("limitranges", "resourcequotas")
            },
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Discovery, lists, and watches in which happens what is told."""
        if request.method != "GET":
            self.writes.append(f"{request.method} {request.path}")
        else:
            self.reads.add(request.path)
        if request.path.rpartition("/")[2] in self.forbidden:
            return web.json_response({"message": "no right", "code": 403}, status=403)
        if "watch" in request.query:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            while True:
                event = await self._queue(request.path).get()
                await response.write(json.dumps(event).encode() + b"\n")
        answer = self._answers.get(request.path)
        if answer is None:
            return web.json_response({"message": "not found", "code": 404}, status=404)
        return web.json_response(answer)

    def tell(self, path: str, change: str, body: dict[str, Any]) -> None:
        """Let the watch of a list have an event."""
        self._queue(path).put_nowait({"type": change, "object": body})

    def _queue(self, path: str) -> asyncio.Queue[dict[str, Any]]:
        return self._told.setdefault(path, asyncio.Queue())

    def lists(self, path: str, *items: dict[str, Any]) -> None:
        """What a list is from now on."""
        self._answers[path] = _list(items)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator["ApiServer"]:
        """Serve on a port of its own."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.port = runner.addresses[0][1]
            yield self
        finally:
            await runner.cleanup()

    def kubeconfig(self) -> dict[str, object]:
        """A kubeconfig with a token, over plain HTTP."""
        return {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [
                {"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
            ],
            "users": [{"name": "test", "user": {"token": "secret"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }  # fmt: skip


def _list(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "1"}, "items": list(items)}


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def review(body: dict[str, Any], namespace: str = "ml") -> dict[str, Any]:
    """What the API server sends."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": "CREATE", "namespace": namespace, "object": body,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "x", "uid": "y", "groups": []}, "options": {},
        },
    }  # fmt: skip


@dataclass
class Webhook:
    """A webhook process that runs."""

    process: asyncio.subprocess.Process
    port: int
    http_port: int
    client: aiohttp.ClientSession
    log: Path

    @property
    def url(self) -> str:
        """Where reviews go."""
        return f"https://localhost:{self.port}{PATH}"

    async def ready(self) -> bool:
        """What /readyz says."""
        try:
            async with self.client.get(f"http://127.0.0.1:{self.http_port}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def ask(
        self, body: dict[str, Any], context: ssl.SSLContext, path: str = PATH
    ) -> dict[str, Any]:
        """The response part of the answer to a review of `body`."""
        url = f"https://localhost:{self.port}{path}"
        async with self.client.post(url, json=review(body), ssl=context) as response:
            assert response.status == 200, await response.text()
            answer: dict[str, Any] = (await response.json())["response"]
            return answer

    async def end(self) -> str:
        """Wait for its end; what it logged."""
        await self.process.wait()
        return self.log.read_text()


@asynccontextmanager
async def webhook_process(
    folder: Path, server: ApiServer, *arguments: str
) -> AsyncIterator[Webhook]:
    """The process, ready; `folder` holds its certificate. Killed at the end if it still runs."""
    port, http_port = free_port(), free_port()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(server.kubeconfig()))
    log = folder / "webhook.log"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sidelight_operator", "webhook", f"--port={port}",
            f"--http-port={http_port}", f"--tls-dir={folder}", "--sidecar-image=localhost/s:1",
            f"--kubeconfig={kubeconfig}", *arguments,
            stderr=file, env=os.environ | {"USER": "test"},
        )  # fmt: skip
    async with aiohttp.ClientSession() as client:
        webhook = Webhook(process, port, http_port, client, log)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not await webhook.ready():
                    assert process.returncode is None, "the webhook ended"
                    await asyncio.sleep(0.05)
            yield webhook
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
