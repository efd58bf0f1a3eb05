"""The webhook as a process: over TLS, against an API server that speaks HTTP."""

import asyncio
import base64
import io
import json
import signal
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from admission_world import (
    DEADLINE_SECONDS,
    GROUP_VERSION,
    ApiServer,
    Webhook,
    review,
    webhook_process,
)
from injection_world import engine, pod
from tls_world import new_authority, trusting, write_serving

from sidelight_contract import names
from sidelight_operator.certificates.read import Pair
from sidelight_operator.webhook.server import MAX_BODY_BYTES


def body_of(*containers: dict[str, Any]) -> dict[str, Any]:
    made = pod(*containers)
    made["metadata"]["namespace"] = "ml"
    return made


def injected(answer: dict[str, Any]) -> bool:
    """Whether the pod is admitted with a sidecar."""
    assert answer["allowed"], answer
    if "patch" not in answer:
        return False
    patch = json.loads(base64.b64decode(answer["patch"]))
    added = next(step for step in patch if step["path"] == "/spec/initContainers")
    return "sidelight" in [entry["name"] for entry in added["value"]]


@pytest.fixture
def authority(tmp_path: Path) -> Pair:
    """An authority, and a certificate of it in the folder."""
    made = new_authority()
    write_serving(tmp_path, made)
    return made


async def test_the_process_injects_over_tls_and_writes_nothing(
    tmp_path: Path, authority: Pair
) -> None:
    """Ready once all is seen; the path injects, any other does not; SIGTERM ends it with 0."""
    context = trusting(authority)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        ApiServer().listen() as server,
        webhook_process(tmp_path, server, "--drain-seconds=0") as webhook,
    ):
        assert injected(await webhook.ask(body_of(), context))
        elsewhere = await webhook.ask(body_of(), context, path="/other")
        assert not injected(elsewhere), "a wrong path admits silently: the chart must name PATH"
        webhook.process.send_signal(signal.SIGTERM)
        log = await webhook.end()
    assert webhook.process.returncode == 0, log
    assert "Traceback" not in log, log
    assert server.writes == []


async def test_with_namespaces_it_asks_for_nothing_outside_them(
    tmp_path: Path, authority: Pair
) -> None:
    """What a Role allows: to list and watch ObservedModels and bounds there, and to get the
    namespace.
    """
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        ApiServer().listen() as server,
        webhook_process(
            tmp_path, server, "--watch-namespaces=ml", "--log-level=WARNING"
        ) as webhook,
    ):
        assert injected(await webhook.ask(body_of(), trusting(authority)))
    discovery = {"/api", "/apis", "/api/v1", f"/apis/{GROUP_VERSION}"}
    assert server.reads - discovery == {
        "/api/v1/namespaces/ml", f"/apis/{GROUP_VERSION}/namespaces/ml/{names.PLURAL}",
        "/api/v1/namespaces/ml/limitranges", "/api/v1/namespaces/ml/resourcequotas",
    }  # fmt: skip
    assert server.writes == []
    assert webhook.log.read_text() == "", "nothing was refused or missing"


async def test_after_sigterm_it_answers_on_until_the_drain_is_over(
    tmp_path: Path, authority: Pair
) -> None:
    """Not ready at once, so that the Service forgets it; reviews on old and on new connections are
    answered, each as its connection's last; a second signal ends it.
    """
    context = trusting(authority)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        ApiServer().listen() as server,
        webhook_process(tmp_path, server, "--drain-seconds=600") as webhook,
        aiohttp.ClientSession() as fresh,
    ):
        assert injected(await webhook.ask(body_of(), context))
        webhook.process.send_signal(signal.SIGTERM)
        while await webhook.ready():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        for client in (webhook.client, fresh):
            request = client.post(webhook.url, json=review(body_of()), ssl=context)
            async with request as response:
                assert response.headers["Connection"] == "close"
                assert injected((await response.json())["response"])
        webhook.process.send_signal(signal.SIGTERM)
        log = await webhook.end()
    assert webhook.process.returncode == 0, log


async def test_a_rotation_during_a_thousand_admissions_loses_none(
    tmp_path: Path, authority: Pair
) -> None:
    """Eight clients that trust what the bundle holds at the time, each review on a connection of
    its own, while the authority and the certificate change, also half written: each is answered.
    """
    trusted = [authority]
    answered: list[bool] = []
    served: list[int] = []

    async def admit(webhook: Webhook) -> None:
        while len(answered) < 1000:
            context = trusting(*trusted)
            connector = aiohttp.TCPConnector(force_close=True)
            async with aiohttp.ClientSession(connector=connector) as client:
                request = client.post(webhook.url, json=review(body_of()), ssl=context)
                async with request as response:
                    answered.append(injected((await response.json())["response"]))

    async def until(count: int) -> None:
        while len(answered) < count:  # noqa: ASYNC110 - eight clients count
            await asyncio.sleep(0.01)

    async def rotate(webhook: Webhook) -> None:
        for at in (200, 500):
            await until(at)
            new = new_authority()
            trusted.append(new)  # the bundle first
            old_key = (tmp_path / "tls.key").read_text()
            write_serving(tmp_path, new)
            whole_key = (tmp_path / "tls.key").read_text()
            (tmp_path / "tls.key").write_text(old_key)  # caught between two writes
            await until(at + 100)
            (tmp_path / "tls.key").write_text(whole_key)
            while not await accepts(webhook, new):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
            served.append(len(answered))

    async with (
        asyncio.timeout(50),
        ApiServer().listen() as server,
        webhook_process(
            tmp_path, server, "--log-level=ERROR", "--certificate-poll-seconds=0.1"
        ) as webhook,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(rotate(webhook))
        for _ in range(8):
            tasks.create_task(admit(webhook))
    assert len(answered) >= 1000
    assert all(answered)
    assert len(served) == 2
    assert served[-1] < len(answered), "both were served within the run"


async def accepts(webhook: Webhook, authority: Pair) -> bool:
    """Whether a client that trusts this authority alone is served."""
    try:
        return injected(await webhook.ask(body_of(), trusting(authority)))
    except aiohttp.ClientConnectorCertificateError:
        return False


async def test_a_pod_of_three_megabytes_is_reviewed_and_a_larger_body_is_not(
    tmp_path: Path, authority: Pair
) -> None:
    """As large as the API server takes them; beyond the limit an error, so the pod comes in."""
    context = trusting(authority)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        ApiServer().listen() as server,
        webhook_process(tmp_path, server, "--log-level=ERROR") as webhook,
    ):
        large = body_of(engine(env=[{"name": "LARGE", "value": "x" * (3 << 20)}]))
        data = io.BytesIO(json.dumps(review(large)).encode())
        async with webhook.client.post(webhook.url, data=data, ssl=context) as response:
            assert injected((await response.json())["response"])
        for data in (b"x" * (MAX_BODY_BYTES + 1), b"{}", b"no JSON", b""):
            request = webhook.client.post(webhook.url, data=io.BytesIO(data), ssl=context)
            async with request as response:
                assert response.status >= 400
        assert injected(await webhook.ask(body_of(), context)), "it goes on"


async def test_a_client_that_does_not_trust_the_authority_gets_no_further(
    tmp_path: Path, authority: Pair
) -> None:
    """The tests above mean something: their trust is checked."""
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        ApiServer().listen() as server,
        webhook_process(tmp_path, server, "--log-level=ERROR") as webhook,
    ):
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await webhook.ask(body_of(), trusting(new_authority()))


async def test_its_metrics_say_when_the_certificate_ends(tmp_path: Path, authority: Pair) -> None:
    """Of the one that it serves with, whoever made it."""
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        ApiServer().listen() as server,
        webhook_process(tmp_path, server, "--log-level=ERROR") as webhook,
        webhook.client.get(f"http://127.0.0.1:{webhook.http_port}/metrics") as response,
    ):
        text = await response.text()
    (line,) = [
        line for line in text.splitlines()
        if line.startswith('sidelight_certificate_expiry_timestamp_seconds{certificate="served"}')
    ]  # fmt: skip
    parsed = ssl.cert_time_to_seconds(served_end(tmp_path))
    assert float(line.split()[-1]) == parsed


def served_end(folder: Path) -> str:
    """The end of the certificate in the folder, as OpenSSL writes it."""
    # The only reader of a PEM file in the standard library.
    decoded = ssl._ssl._test_decode_cert(str(folder / "tls.crt"))  # type: ignore[attr-defined]
    return str(decoded["notAfter"])
