"""What is observed: ObservedModels, pods as a kubelet would report them, and a sidecar for each.

Each pod has a loopback address of its own (127.1.x.y), on which its sidecar answers with a summary
of the usual size: two operations, four distributions each. All say the same, and `say` changes it.
"""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web
from benchmarks.scale.plane import Json, Plane, crowd

from sidelight_contract import names
from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.summary import SidecarState, Summary, TokenCounts, Traffic, encode_summary
from sidelight_operator.inject import (
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    decide,
)

SIDECAR = "registry.example/sidelight-sidecar:bench"
MODELS_PATH = f"/apis/{names.GROUP}/{names.API_VERSION}"
VARIABLES = 24
"""In the engine's environment; with them a pod has the usual 10 KB in the API server."""


def spec_of(model: str) -> Json:
    """Selects the pods that are called after it."""
    return {"selector": {"matchLabels": {"app": model}}}


def plain_pod(model: str, number: int) -> Json:
    """A vLLM pod as its ReplicaSet would create it."""
    engine = {
        "name": "vllm", "image": "vllm/vllm-openai:v0.11.0",
        "args": ["--model", "meta/llama", "--port", "8000"],
        "env": [
            {"name": f"SETTING_{n}", "value": "a value of some length"} for n in range(VARIABLES)
        ],
        "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
    }  # fmt: skip
    owner = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{model}-7c9d",
        "uid": f"replica-set-{model}", "controller": True,
    }  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": f"{model}-7c9d-{number}", "namespace": model, "ownerReferences": [owner],
            "labels": {"app": model, "pod-template-hash": "7c9d"},
        },
        "spec": {"containers": [engine]},
    }  # fmt: skip


def injected_pod(model: str, number: int) -> Json:
    """The same as the webhook leaves it."""
    view = ObservedModelView(model, ObservedModelSpec.model_validate(spec_of(model)))
    settings = InjectionSettings(SIDECAR, "IfNotPresent")
    made = decide(plain_pod(model, number), NamespaceFacts({}), [view], settings).patched
    assert made is not None
    return made


def address(number: int) -> str:
    """Of a pod and its sidecar."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


def running(number: int) -> Json:
    """The status that a kubelet would write."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def container(name: str) -> Json:
        image = {"image": SIDECAR, "imageID": "sha256:0"}
        state = {"running": {"startedAt": now}}
        return {"name": name, "ready": True, "restartCount": 0, "state": state, **image}

    conditions = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    return {
        "phase": "Running", "podIP": address(number), "podIPs": [{"ip": address(number)}],
        "startTime": now, "containerStatuses": [container("vllm")],
        "initContainerStatuses": [container(names.SIDECAR_CONTAINER)],
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": now} for kind in conditions
        ],
    }  # fmt: skip


def summary(requests: int) -> bytes:
    """What a sidecar says after so many chats and as many completions."""
    chance = random.Random(1)  # the same in every run

    def traffic(operation: str) -> Traffic:
        made = Traffic(
            model="llama", operation=operation, requests=requests, streamed=requests,
            codes={"200": requests}, finish_reasons={"stop": requests},
            tokens=TokenCounts(prompt=500 * requests, output=200 * requests),
        )  # fmt: skip
        for sketch, typical in (
            (made.time_to_first_token, -1.6), (made.time_per_output_token, -4.0),
            (made.inter_chunk_latency, -4.0), (made.duration, 1.6),
        ):  # fmt: skip
            sketch.add_all([chance.lognormvariate(typical, 0.5) for _ in range(1000)])
        return made

    both = [traffic("chat"), traffic("text_completion")]
    state = SidecarState(release="0.1.0", started_at=1_800_000_000.0, boot_id="b")
    return encode_summary(Summary(state, 1_800_000_100.0, 100.0, both, both))


class World:
    """Everything that is observed."""

    def __init__(self, plane: Plane, models: int) -> None:
        self.plane = plane
        self.models = [f"m{number:02}" for number in range(models)]
        self.count = 0
        """Pods so far; pod `n` belongs to model `n` modulo their number."""
        self.requests = 0
        self._answer = b""
        application = web.Application()
        application.router.add_get("/summary", self.summary)
        self._sidecars = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
        self.say_more()

    def model_of(self, number: int) -> str:
        """The name of its ObservedModel, and of its namespace."""
        return self.models[number % len(self.models)]

    def say_more(self) -> None:
        """Let every sidecar have one more request of each kind to tell of."""
        self.requests += 1
        self._answer = summary(self.requests)

    async def create_models(self) -> None:
        """Each ObservedModel in a namespace of its own."""

        async def one(name: str) -> None:
            await self.create_namespace(name)
            body = {
                "apiVersion": f"{names.GROUP}/{names.API_VERSION}", "kind": names.KIND,
                "metadata": {"name": name}, "spec": spec_of(name),
            }  # fmt: skip
            path = f"{MODELS_PATH}/namespaces/{name}/{names.PLURAL}"
            await self.plane.call("POST", path, body)

        await crowd(self.models, one)

    async def create_namespace(self, name: str) -> None:
        """A namespace, with the service account that pods need."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self.plane.call("POST", "/api/v1/namespaces", body)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        await self.plane.call("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account)

    def pods_path(self, number: int) -> str:
        """Where a pod is created."""
        return f"/api/v1/namespaces/{self.model_of(number)}/pods"

    async def grow(self, count: int) -> None:
        """Create pods until there are so many, as the webhook leaves them, and let them run."""

        async def create(number: int) -> None:
            body = injected_pod(self.model_of(number), number)
            await self.plane.text("POST", self.pods_path(number), body)

        await crowd(range(self.count, count), create)
        await self.run_pods(count)

    async def run_pods(self, count: int) -> None:
        """Let all of the first `count` pods run: they were created before."""

        async def report(number: int) -> None:
            path = f"{self.pods_path(number)}/{self.model_of(number)}-7c9d-{number}/status"
            body = {"status": running(number)}
            await self.plane.text("PATCH", path, body, "application/merge-patch+json")
            listener = socket.create_server((address(number), names.ADMIN_PORT))
            await web.SockSite(self._sidecars, listener).start()

        await crowd(range(self.count, count), report)
        self.count = count

    @asynccontextmanager
    async def sidecars(self) -> AsyncIterator[None]:
        """Let sidecars answer for the length of a block."""
        await self._sidecars.setup()
        try:
            yield
        finally:
            await self._sidecars.cleanup()

    async def summary(self, _: web.Request) -> web.Response:
        """What every sidecar says."""
        return web.Response(body=self._answer)

    async def listed(self) -> list[Json]:
        """All ObservedModels."""
        found = await self.plane.call("GET", f"{MODELS_PATH}/{names.PLURAL}?resourceVersion=0")
        items: list[Json] = found["items"]
        return items

    async def complete(self) -> bool:
        """Whether the statuses say that all pods are observed, and all that these have to tell."""
        for model in await self.listed():
            status, number = model.get("status", {}), self.models.index(model["metadata"]["name"])
            count = len(range(number, self.count, len(self.models)))
            requests = sum(version["requests"] for version in status.get("versions", ()))
            if (status.get("pods", {}).get("observed"), requests) != (
                count, 2 * count * self.requests,
            ):  # fmt: skip
                return False
        return True
