"""The webhook as a process: kopf's server over TLS, against an API server that speaks HTTP."""

import asyncio
import base64
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from injection_world import pod

from sidelight_contract import names
from sidelight_operator.webhook import PATH
from sidelight_operator.webhook.certificate import Certificate

GROUP_VERSION = f"{names.GROUP}/{names.API_VERSION}"
DEADLINE_SECONDS = 30.0
MODEL = {
    "apiVersion": GROUP_VERSION,
    "kind": names.KIND,
    "metadata": {"name": "chat", "namespace": "ml", "uid": "1", "resourceVersion": "1"},
    "spec": {"selector": {"matchLabels": {"app": "chat"}}},
}
NAMESPACE = {"metadata": {"name": "ml", "uid": "2", "resourceVersion": "1", "labels": {}}}


def kind(name: str, plural: str, namespaced: bool) -> dict[str, Any]:
    """A kind in the API's discovery."""
    return {
        "name": plural, "singularName": name.lower(), "namespaced": namespaced, "kind": name,
        "verbs": ["get", "list", "watch", "create", "patch"],
    }  # fmt: skip


ANSWERS: dict[str, Any] = {
    "/api": {"versions": ["v1"]},
    "/api/v1": {
        "groupVersion": "v1",
        "resources": [kind("Pod", "pods", True), kind("Namespace", "namespaces", False)],
    },
    "/apis": {
        "groups": [
            {
                "name": names.GROUP,
                "versions": [{"groupVersion": GROUP_VERSION, "version": names.API_VERSION}],
                "preferredVersion": {
                    "groupVersion": GROUP_VERSION, "version": names.API_VERSION,
                },
            }
        ]
    },
    f"/apis/{GROUP_VERSION}": {
        "groupVersion": GROUP_VERSION, "resources": [kind(names.KIND, names.PLURAL, True)],
    },
    f"/apis/{GROUP_VERSION}/{names.PLURAL}": {
        "metadata": {"resourceVersion": "1"}, "items": [MODEL],
    },
    "/api/v1/namespaces": {"metadata": {"resourceVersion": "1"}, "items": [NAMESPACE]},
}  # fmt: skip


class ApiServer:
    """What kopf and the webhook ask for; it remembers what was written to it."""

    def __init__(self) -> None:
        self.writes: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method != "GET":
            self.writes.append(f"{request.method} {request.path}")
        if "watch" in request.query:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            await asyncio.sleep(3600)
            return response
        answer = ANSWERS.get(request.path)
        if answer is None:
            return web.json_response({"message": "not found", "code": 404}, status=404)
        return web.json_response(answer)


def make_certificate(folder: Path) -> None:
    """A self-signed pair, as the chart's Secret has it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program to make a certificate")
    command = [
        openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt"),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def api_server() -> AsyncIterator[tuple[ApiServer, int]]:
    """The API server on a port of its own."""
    server = ApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield server, runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a certificate."""
    make_certificate(tmp_path)
    return tmp_path


def review(body: dict[str, Any]) -> dict[str, Any]:
    """What the API server sends."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": "CREATE", "namespace": "ml", "object": body,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "x", "uid": "y", "groups": []}, "options": {},
        },
    }  # fmt: skip


async def test_the_process_injects_over_tls_and_writes_nothing(folder: Path) -> None:
    """Ready once all is seen; the path injects, any other does not; SIGTERM ends it with 0."""
    port, http_port = free_port(), free_port()
    async with api_server() as (server, api_port), aiohttp.ClientSession() as client:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(kubeconfig_for(api_port)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sidelight_operator", "webhook", f"--port={port}",
            f"--http-port={http_port}", f"--tls-dir={folder}", "--sidecar-image=localhost/s:1",
            f"--kubeconfig={kubeconfig}",
            stderr=asyncio.subprocess.PIPE, env=os.environ | {"USER": "test"},
        )  # fmt: skip
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await until_ok(client, f"http://127.0.0.1:{http_port}/readyz")
                context = ssl.create_default_context(cafile=str(folder / "tls.crt"))
                base = f"https://localhost:{port}"
                body = pod()
                body["metadata"]["namespace"] = "ml"
                answers = []
                for path in (PATH, "/other"):
                    request = client.post(f"{base}{path}", json=review(body), ssl=context)
                    async with request as response:
                        answers.append((await response.json())["response"])
                process.send_signal(signal.SIGTERM)
                _, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    injected, elsewhere = answers
    assert injected["allowed"], injected
    patch = json.loads(base64.b64decode(injected["patch"]))
    added = next(step for step in patch if step["path"] == "/spec/initContainers")
    assert [entry["name"] for entry in added["value"]] == ["sidelight-init", "sidelight"]
    assert elsewhere["allowed"]
    assert "patch" not in elsewhere, "a wrong path admits silently: the chart must name PATH"
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors, errors.decode()
    assert server.writes == []


async def until_ok(client: aiohttp.ClientSession, url: str) -> None:
    """Return once `url` answers 200; the caller has the deadline."""
    while True:
        try:
            async with client.get(url) as response:
                if response.status == 200:
                    return
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(0.05)


def kubeconfig_for(port: int) -> dict[str, object]:
    """A kubeconfig with a token, over plain HTTP."""
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": "secret"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }  # fmt: skip


def test_a_certificate_that_does_not_fit_its_key_leaves_the_old_one(folder: Path) -> None:
    """A Secret caught between two writes must not stop the server, and the next poll loads it."""
    certificate = Certificate(folder)
    certificate.poll()
    assert certificate.loaded
    old = certificate.certificate.read_bytes()
    make_certificate(folder)
    new = certificate.certificate.read_bytes()
    certificate.certificate.write_bytes(old)
    certificate.poll()
    assert certificate.loaded
    assert served(certificate) == old
    certificate.certificate.write_bytes(new)
    certificate.poll()
    assert served(certificate) == new


def test_without_a_certificate_there_is_none_loaded(tmp_path: Path) -> None:
    """Readiness depends on it."""
    certificate = Certificate(tmp_path)
    certificate.poll()
    assert not certificate.loaded


def served(certificate: Certificate) -> bytes:
    """The certificate that a new handshake gets, as PEM."""
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    two = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for side in (one, two, one, two):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    der = one.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der).encode()
