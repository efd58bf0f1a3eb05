"""What the client makes of an API server that is not well, and who may write with it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admission_world import ApiServer
from aiohttp import web

from sidelight_operator.kube import KubeError
from sidelight_operator.kube import api as api_module
from sidelight_operator.kube.api import ApiClient, connect


class Odd(ApiServer):
    """Answers as it is told."""

    text: str | None = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await super().handle(request)
        if self.text is None:
            await asyncio.sleep(3600)
        return web.Response(text=self.text)


@pytest.fixture
async def server() -> AsyncIterator[Odd]:
    made = Odd()
    async with made.listen():
        yield made


@pytest.fixture
async def kube(server: Odd, tmp_path: Path) -> AsyncIterator[ApiClient]:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(server.kubeconfig()))
    async with connect(str(kubeconfig)) as made:
        yield made


@pytest.mark.parametrize("text", ["", "<html>", "[]", "null", '{"items": ['])
async def test_an_answer_that_is_no_object_is_an_error_like_others(
    server: Odd, kube: ApiClient, text: str
) -> None:
    """Something between may answer 200 for an API server that is away."""
    server.text = text
    with pytest.raises(KubeError):
        await kube.list_models()


async def test_an_api_server_that_hangs_is_given_up(
    server: Odd, kube: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before the round would count as stuck."""
    assert api_module.TIMEOUT_SECONDS == 15
    monkeypatch.setattr(api_module, "TIMEOUT_SECONDS", 0.05)
    server.text = None
    with pytest.raises(KubeError):
        await kube.list_models()


async def test_without_the_lease_nothing_is_written_but_the_lease(
    server: Odd, kube: ApiClient
) -> None:
    """Every way of writing; reading goes on."""
    server.text = "{}"
    kube.may_write = lambda: False
    metadata = {"metadata": {"name": "x"}}
    for write in (
        lambda: kube.create_config_map("ml", {}),
        lambda: kube.patch_config_map("ml", "x", {}),
        lambda: kube.patch_model_status("ml", "x", {}),
        lambda: kube.delete_pod("ml", "x", uid="u", resource_version="1"),
        lambda: kube.add_ephemeral_container("ml", "x", "u", {}),
        lambda: kube.patch_workload("ml", "deployment", "x", {}),
        lambda: kube.patch_pod("ml", "x", {}),
        lambda: kube.create_event("ml", {}),
        lambda: kube.apply_secret("ml", metadata),
        lambda: kube.apply_webhook_configuration(metadata),
    ):
        with pytest.raises(KubeError, match="Lease"):
            await write()
    assert server.writes == []
    await kube.list_models()
    await kube.create_lease("ml", {})
    await kube.patch_lease("ml", "x", {})
    assert len(server.writes) == 2
    kube.may_write = lambda: True
    await kube.create_event("ml", {})
    assert len(server.writes) == 3
