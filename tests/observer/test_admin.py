"""The admin port and the two files behind it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from observed import CHAT_STREAM, Kept, Script, pipeline_of, request

from sidelight_contract.config import ConfigError, SidecarConfig
from sidelight_contract.gpu import EXPORTER_HEADER
from sidelight_contract.summary import decode_summary
from sidelight_sidecar.observer.accelerators.telling import Told
from sidelight_sidecar.observer.admin import Admin
from sidelight_sidecar.observer.app import serve_admin
from sidelight_sidecar.observer.files import ConfigFile, TokenFile
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.observer.tokens import SummaryTokens

Client = TestClient[web.Request, web.Application]


def tokens_of(pipeline: Pipeline, file: Path | None) -> SummaryTokens:
    return SummaryTokens(lambda: pipeline.config, TokenFile(file))


@contextlib.asynccontextmanager
async def client_of(token: Path | None) -> AsyncIterator[Client]:
    """A client of an admin port whose pipeline has seen one request."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script().client(request()).engine(*CHAT_STREAM).frames)
    application = Admin(pipeline, tokens_of(pipeline, token)).application()
    async with TestClient(TestServer(application)) as client:
        yield client


async def test_summary_asks_for_the_token_and_takes_a_new_one_at_once(tmp_path: Path) -> None:
    """503 while there is no file, 401 without or with the wrong one, 200 with it."""
    token = tmp_path / "token"
    async with client_of(token) as client:

        async def status(given: str | None) -> int:
            headers = {"Authorization": given} if given is not None else {}
            async with client.get("/summary", headers=headers) as response:
                if response.status != 200:
                    assert (await response.json())["error"]
                return response.status

        assert await status("Bearer a") == 503
        token.write_text("first\n")
        assert await status(None) == 401
        assert await status("Bearer wrong") == 401
        assert await status("first") == 401
        assert await status("Bearer first") == 200
        token.write_text("second")
        assert await status("Bearer first") == 401
        assert await status("Bearer second") == 200
        token.write_text("")
        assert await status("Bearer ") == 503


async def test_summary_takes_the_tokens_whose_hashes_are_configured() -> None:
    """Two while the key is changed; the hash itself, which many may read, opens nothing."""
    pipeline = pipeline_of(Kept())
    hashes = [hashlib.sha256(token).hexdigest() for token in (b"new", b"old")]
    pipeline.reconfigure(SidecarConfig(version=1, summary_tokens=hashes))
    application = Admin(pipeline, tokens_of(pipeline, None)).application()
    async with TestClient(TestServer(application)) as client:

        async def status(given: str) -> int:
            headers = {"Authorization": f"Bearer {given}"}
            async with client.get("/summary", headers=headers) as response:
                return response.status

        assert [await status(token) for token in ("new", "old")] == [200, 200]
        assert [await status(token) for token in ("", "other", *hashes)] == [401] * 4
        pipeline.reconfigure(SidecarConfig(version=1, summary_tokens=hashes[:1]))
        assert [await status(token) for token in ("new", "old")] == [200, 401]


async def test_without_a_token_file_loopback_is_answered() -> None:
    """Outside Kubernetes, on one machine."""
    async with client_of(None) as client, client.get("/summary") as response:
        assert response.status == 200
        assert decode_summary(await response.read()).total[0].requests == 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_and_metrics_need_no_token(tmp_path: Path, path: str) -> None:
    """The kubelet and Prometheus have none."""
    async with client_of(tmp_path / "none") as client, client.get(path) as response:
        assert response.status == 200


async def test_metrics_speak_openmetrics_when_asked() -> None:
    """Else the old text format."""
    async with client_of(None) as client:
        async with client.get("/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with client.get("/metrics", headers=accept) as response:
            assert response.headers["Content-Type"].startswith("application/openmetrics-text")
            assert (await response.text()).endswith("# EOF\n")


async def test_admin_port_that_is_taken_is_served_once_it_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The observer before this one may still hold it."""
    monkeypatch.setattr("sidelight_sidecar.observer.app.BIND_RETRY_SECONDS", 0.01)
    pipeline = pipeline_of(Kept())
    admin = Admin(pipeline, tokens_of(pipeline, None))
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(serve_admin(admin, "127.0.0.1", port))
            await asyncio.sleep(0)
            holder.close()
            async with asyncio.timeout(20):
                while True:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        break
            writer.close()
            await writer.wait_closed()
            serving.cancel()


def test_configuration_is_read_again_and_a_bad_one_is_said_once(tmp_path: Path) -> None:
    """Nothing new is None; so is a file that is not there, or not any more."""
    path = tmp_path / "config.json"
    file = ConfigFile(path)
    assert file.poll() is None
    path.write_text('{"version":1,"revision":"r1"}')
    config = file.poll()
    assert config is not None
    assert config.revision == "r1"
    assert file.poll() is None
    path.write_text('{"version":1,"window_seconds":1}')
    with pytest.raises(ConfigError, match=r"config\.json.*window_seconds"):
        file.poll()
    assert file.poll() is None
    path.unlink()
    assert file.poll() is None


def test_configuration_swapped_by_symlink_is_seen(tmp_path: Path) -> None:
    """As the kubelet does with a ConfigMap."""
    for revision in ("a", "b"):
        (tmp_path / revision).mkdir()
        (tmp_path / revision / "config.json").write_text(f'{{"version":1,"revision":"{revision}"}}')
    data, path = tmp_path / "..data", tmp_path / "config.json"
    data.symlink_to("a")
    path.symlink_to("..data/config.json")
    file = ConfigFile(path)
    seen = [file.poll()]
    (tmp_path / "new").symlink_to("b")
    (tmp_path / "new").replace(data)
    seen.append(file.poll())
    assert [config.revision for config in seen if config] == ["a", "b"]


def test_refused_configuration_is_in_metric_and_summary_until_a_good_one() -> None:
    """The last good one stays in force."""
    pipeline = pipeline_of(Kept(), revision="good")
    pipeline.refuse_config("window_seconds: too small")
    state = pipeline.summary(1).sidecar
    assert (state.config_revision, state.config_error) == ("good", "window_seconds: too small")
    assert b"sidelight_config_error 1.0" in pipeline.exposition()
    pipeline.reconfigure(pipeline.config)
    assert not pipeline.summary(1).sidecar.config_error
    assert b"sidelight_config_error 0.0" in pipeline.exposition()


async def test_exporters_are_taken_from_who_has_the_token_alone(tmp_path: Path) -> None:
    """It says where this process connects to: not even this machine says so without one."""
    token = tmp_path / "token"
    token.write_text("right")
    for file, given, known in (
        (token, "Bearer wrong", None),
        (token, "Bearer right", {"dcgm": "198.51.100.7:9400"}),
        (None, "", None),
    ):
        pipeline = pipeline_of(Kept())
        told = Told(lambda: 0)
        application = Admin(pipeline, tokens_of(pipeline, file), exporters=told).application()
        headers = {"Authorization": given, EXPORTER_HEADER: "dcgm=198.51.100.7:9400"}
        async with TestClient(TestServer(application)) as client:
            for path in ("/metrics", "/healthz", "/summary"):
                async with client.get(path, headers=headers):
                    assert told.now() == (known if path == "/summary" else None)
