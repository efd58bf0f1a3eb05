"""A release of the chart in the API server, and its two programs run from here.

What is rendered is what `helm install` would create, with `certManager.enabled`, so that whoever
installs brings the webhook's certificate. Two things differ, for nothing runs in this cluster: the
Deployments become processes (with the same arguments and their own service account), and the
webhook is called by an address on loopback and not by its Service.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import yaml
from benchmarks.scale.plane import Json, Plane, until
from benchmarks.scale.world import SIDECAR
from benchmarks.ways import ROOT, BenchmarkError, free_port

from sidelight_operator.certificates.make import make_authority, make_serving
from sidelight_operator.webhook import PATH

SYSTEM = "sidelight-system"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_CLUSTER_WIDE = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "ClusterRole": f"{_RBAC}/clusterroles",
    "ClusterRoleBinding": f"{_RBAC}/clusterrolebindings",
}
_NAMESPACED = {
    "Role": (_RBAC, "roles"),
    "RoleBinding": (_RBAC, "rolebindings"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
}
"""What of a release is created; the rest is for a cluster in which something runs."""
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
READY_SECONDS = 60
END_SECONDS = 15


@dataclass(frozen=True)
class Program:
    """A webhook or controller that runs."""

    pid: int
    http_port: int
    port: int = 0

    async def metrics(self) -> str:
        """What it exports."""
        url = f"http://127.0.0.1:{self.http_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text()

    async def ready(self) -> bool:
        """What its readiness probe says."""
        url = f"http://127.0.0.1:{self.http_port}/readyz"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


class Release:
    """One release; `namespaces`: its `watch.namespaces`."""

    def __init__(
        self, plane: Plane, name: str = "sidelight", namespaces: Sequence[str] = (),
        interval: int = 10,
    ) -> None:  # fmt: skip
        self._plane = plane
        self.name = name
        self._namespaces = namespaces
        self._interval = interval
        self._rendered: list[Json] = []
        self._configured = False

    @property
    def user(self) -> str:
        """As whom its controller writes."""
        return f"system:serviceaccount:{SYSTEM}:{self.name}-controller"

    async def install(self, *, with_crd: bool = True) -> None:
        """Create what a release is made of, short of its programs and of what asks for them."""
        self._rendered = await self._render(with_crd)
        for body in self._rendered:
            kind, namespace = body["kind"], body["metadata"].get("namespace")
            if kind in _CLUSTER_WIDE:
                await self._plane.call("POST", _CLUSTER_WIDE[kind], body)
            elif kind in _NAMESPACED:
                group, plural = _NAMESPACED[kind]
                await self._plane.call("POST", f"{group}/namespaces/{namespace}/{plural}", body)

    async def _render(self, with_crd: bool) -> list[Json]:
        tools = await _said(str(ROOT / "hack/tools.sh"))
        repository, _, tag = SIDECAR.rpartition(":")
        values = [
            f"fullnameOverride={self.name}", "certManager.enabled=true",
            f"crds.install={str(with_crd).lower()}",
            f"controller.intervalSeconds={self._interval}",
            f"image.sidecar.repository={repository}", f"image.sidecar.tag={tag}",
        ]  # fmt: skip
        if self._namespaces:
            values.append(f"watch.namespaces={{{','.join(self._namespaces)}}}")
        text = await _said(
            f"{tools.strip()}/helm", "template", self.name, str(ROOT / "helm/sidelight"),
            "--namespace", SYSTEM, *(word for value in values for word in ("--set", value)),
        )  # fmt: skip
        return [body for body in yaml.safe_load_all(text) if body]

    @asynccontextmanager
    async def running(self, role: str, *arguments: str, port: int = 0) -> AsyncIterator[Program]:
        """Its webhook or controller, for the length of a block; not waited for."""
        container = self._container(role)
        variables = {entry["name"]: entry["value"] for entry in container["env"]}
        kubeconfig = await self._kubeconfig(role)
        program = [sys.executable, "-m", "sidelight_operator", *container["args"]]
        http_port = free_port()
        log = self._plane.folder / f"{self.name}-{role}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *program, f"--kubeconfig={kubeconfig}", f"--http-port={http_port}",
                "--log-level=WARNING", *arguments,
                stdout=out, stderr=out, env=os.environ | variables,
            )  # fmt: skip
        try:
            yield Program(process.pid, http_port, port)
        except BenchmarkError as error:
            said = log.read_text()[-2000:]
            raise BenchmarkError(f"{error}; {self.name}'s {role}: {said}") from None
        finally:
            await _ended(process)

    @asynccontextmanager
    async def webhook(self) -> AsyncIterator[Program]:
        """Its webhook, ready, and the API server asking it about every pod."""
        port, now = free_port(), datetime.now(UTC)
        authority = make_authority("bench", now)
        serving = make_serving(authority, ("localhost",), now)
        folder = self._plane.folder / "tls"
        folder.mkdir()
        (folder / "tls.crt").write_text(serving.certificate.pem)
        (folder / "tls.key").write_text(serving.key)
        options = (f"--port={port}", f"--tls-dir={folder}", "--drain-seconds=0")
        async with self.running("webhook", *options, port=port) as program:
            await until(program.ready, READY_SECONDS, "the webhook is ready")
            bundle = base64.b64encode(authority.certificate.pem.encode()).decode()
            await self.configure({"url": f"https://localhost:{port}{PATH}", "caBundle": bundle})
            try:
                yield program
            finally:
                await self.configure()

    async def configure(self, client: Json | None = None) -> None:
        """Create the MutatingWebhookConfiguration, anew if need be, with `client` in the place of
        the Service. Behind that nothing runs: pods then come in as they are.
        """
        (body,) = [b for b in self._rendered if b["kind"] == "MutatingWebhookConfiguration"]
        (entry,) = body["webhooks"]
        if self._configured:
            await self._plane.call("DELETE", f"{CONFIGURATIONS}/{self.name}")
        entries = [entry | {"clientConfig": client} if client else entry]
        await self._plane.call("POST", CONFIGURATIONS, {**body, "webhooks": entries})
        self._configured = True

    def _container(self, role: str) -> Json:
        for body in self._rendered:
            if body["kind"] == "Deployment" and body["metadata"]["name"] == f"{self.name}-{role}":
                found: Json = body["spec"]["template"]["spec"]["containers"][0]
                return found
        raise BenchmarkError(f"the chart has no {role}")

    async def _kubeconfig(self, role: str) -> Path:
        path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{self.name}-{role}/token"
        answer = await self._plane.call("POST", path, {"spec": {"expirationSeconds": 7200}})
        return self._plane.kubeconfig(f"{self.name}-{role}", answer["status"]["token"])


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, as a kubelet does; kill it where it does not."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _said(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    if process.returncode:
        raise BenchmarkError(f"{command[0]} failed; see above")
    return said.decode()
