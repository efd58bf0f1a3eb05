"""Every kind of sink that has a Secret: a new one counts without a restart, and no value of it is
told by anything, whatever the other side does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from engine_export import engine_span, export_of
from otlp_collector import collector
from receiver import chat, entries, receiver

from sidelight_contract.capture import CaptureSettings
from sidelight_contract.export import (
    CloudEventsSinkSettings,
    ExportSettings,
    KafkaSinkSettings,
    ObjectStoreSinkSettings,
    OtlpProtocol,
    OtlpSinkSettings,
    SinkSettings,
    SpoolSettings,
)
from sidelight_sidecar.capture.engine_spans.passing import Waiting, make_passing
from sidelight_sidecar.capture.make import Places, make_metrics, make_sink
from sidelight_sidecar.capture.ship.policy import Delivery
from sidelight_sidecar.capture.ship.time_left import WallClock
from sidelight_sidecar.records.handover import Settings
from sidelight_sidecar.records.metrics import Snapshot
from sidelight_sidecar.records.record import Origin

ORIGIN = Origin(namespace="ml", pod="chat-0", observed_model="chat")
FIRST, SECOND = "hunter2-first-value", "hunter3-second-value"
HTTP = ["otlp", "metrics", "spans", "cloudEvents"]
KEYS = ("token", "X-Own-Key", "username", "password", "access_key_id", "secret_access_key")


def mounted(folder: Path, value: str) -> None:
    """A Secret as the kubelet mounts it: a version beside the last, and a link that is swapped."""
    version = folder / f"..version-{value[6]}"
    version.mkdir(parents=True)
    for key in KEYS:
        (version / key).write_text(f"{value}-{key}")
        if not (folder / key).is_symlink():
            (folder / key).symlink_to(f"..data/{key}")
    (folder / "..new").symlink_to(version.name)
    (folder / "..new").replace(folder / "..data")


def settings_of(kind: str, url: str) -> SinkSettings:
    """Of a sink that sends there."""
    place = url.partition("://")[2]
    of: dict[str, Callable[[], SinkSettings]] = {
        "objectStore": lambda: ObjectStoreSinkSettings(name="a", url="s3://b", endpoint=url),
        "kafka": lambda: KafkaSinkSettings(name="a", brokers=[place], topic="t", sasl="PLAIN"),
        "cloudEvents": lambda: CloudEventsSinkSettings(name="a", url=url),
    }
    protocol = OtlpProtocol.GRPC if kind.endswith("-grpc") else OtlpProtocol.HTTP
    made = of.get(kind)
    if made is not None:
        return made()
    return OtlpSinkSettings(
        name="a", endpoint=url, protocol=protocol, metrics=True, engine_spans=True
    )


class Sent:
    """One sink, or what sends metrics or the engine's spans to it."""

    def __init__(self, kind: str, url: str, secrets: Path) -> None:
        self._kind = kind.partition("-")[0]
        settings = settings_of(kind, url)
        export = ExportSettings([settings])
        places = Places(secrets=secrets)
        self.made: Any
        if self._kind == "metrics":
            whole = Settings(CaptureSettings(), export, ORIGIN)
            (shipper,) = make_metrics(whole, places, WallClock())
            self.made = shipper._sink
        elif self._kind == "spans":
            assert isinstance(settings, OtlpSinkSettings)
            self.made = make_passing(settings, ORIGIN, secrets / "a", WallClock())
        else:
            self.made, _ = make_sink(settings, places, SpoolSettings())

    async def once(self) -> object:
        """Send something; what came of it."""
        if self._kind == "metrics":
            return await self.made.send(Snapshot(1, 2, [], []))
        if self._kind == "spans":
            self.made.put(Waiting(export_of(engine_span()).SerializeToString(), 1))
            await self.made._next()
            return self.made.state, self.made._policy.why
        delivery: Delivery = await self.made.send(entries(chat()))
        return delivery


@asynccontextmanager
async def sending(kind: str, url: str, secrets: Path) -> AsyncIterator[Sent]:
    """One that is closed at the end."""
    sent = Sent(kind, url, secrets)
    try:
        yield sent
    finally:
        await sent.made.close()


@pytest.mark.parametrize("kind", HTTP)
async def test_a_new_secret_counts_from_the_next_request_on(kind: str, tmp_path: Path):
    """Over HTTP: the token, and a header of its own. Object stores and brokers: test_real_*.py."""
    mounted(tmp_path / "a", FIRST)
    async with receiver() as server, sending(kind, server.url, tmp_path) as sent:
        if kind == "metrics":
            sent.made._requests = lambda *_: [b""]
        await sent.once()
        mounted(tmp_path / "a", SECOND)
        await sent.once()
        keys = [one.headers["X-Own-Key"] for one in server.posted]
        tokens = [one.headers["Authorization"] for one in server.posted]
    half = len(keys) // 2
    assert half
    assert keys == [f"{FIRST}-X-Own-Key"] * half + [f"{SECOND}-X-Own-Key"] * half
    assert tokens == [f"Bearer {FIRST}-token"] * half + [f"Bearer {SECOND}-token"] * half


@pytest.mark.parametrize("kind", ["otlp-grpc", "spans-grpc"])
async def test_a_new_secret_counts_from_the_next_call_on(kind: str, tmp_path: Path):
    """Over gRPC, on the connection that is kept."""
    mounted(tmp_path / "a", FIRST)
    async with collector() as server, sending(kind, server.address, tmp_path) as sent:
        await sent.once()
        mounted(tmp_path / "a", SECOND)
        await sent.once()
        tokens = [metadata["authorization"] for _, metadata in server.calls]
        assert len(set(server.peers)) == 1
    assert tokens == [f"Bearer {FIRST}-token", f"Bearer {SECOND}-token"]


async def repeats(request: web.BaseRequest) -> web.Response:
    """Refuses, and says all that it was sent."""
    body = await request.content.read()
    said = "; ".join(f"{name}: {value}" for name, value in request.headers.items())
    return web.Response(status=STATUS[0], reason=said[:200], body=said.encode() + body)


STATUS = [401]
EVERY = [*HTTP, "otlp-grpc", "metrics-grpc", "spans-grpc", "objectStore", "kafka"]


@pytest.mark.parametrize("kind", EVERY)
async def test_no_value_of_a_secret_is_told_whatever_the_other_side_does(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    """It says 401, 400, 500 and repeats what it got; it hangs up; it is not there; it says what is
    no protocol. In no log of any library, no word of ours, no repr.
    """
    caplog.set_level(logging.DEBUG)
    mounted(tmp_path / "a", FIRST)
    told: list[object] = []
    async with receiver(repeats) as server:
        for STATUS[0] in (401, 403, 400, 500):
            async with sending(kind, server.url, tmp_path) as sent:
                told += [await sent.once(), repr(sent.made), repr(vars(sent.made))]
        gone = server.url
    for answer in (b"", b"\x00" * 64, b"HTTP/1.1 200 OK\r\n\r\n"):
        async with saying(answer) as url, sending(kind, url, tmp_path) as sent:
            told.append(await sent.once())
    async with sending(kind, gone, tmp_path) as sent:
        told.append(await sent.once())
    (tmp_path / "a" / "..data" / "token").write_text(f"{FIRST}\n\x00")
    async with sending(kind, gone, tmp_path) as sent:
        told.append(await sent.once())
    output = capfd.readouterr()
    everything = f"{told!r} {caplog.text} {output.out} {output.err}"
    assert told
    assert "hunter" not in everything


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[str]:
    """Somebody who reads a little, says this, and hangs up."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def refuses_all(_: Sequence[object], context: grpc.aio.ServicerContext) -> None:
    """In words of the caller's own."""
    metadata = dict(context.invocation_metadata() or ())
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(metadata))


@pytest.mark.parametrize("kind", ["otlp-grpc", "spans-grpc"])
async def test_what_a_grpc_server_repeats_is_not_told(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Its status' message has the token."""
    caplog.set_level(logging.DEBUG)
    mounted(tmp_path / "a", FIRST)
    async with collector() as server, sending(kind, server.address, tmp_path) as sent:
        server.answer = refuses_all  # type: ignore[assignment]
        told = [await sent.once(), repr(vars(sent.made))]
    assert "gRPC status 16" in repr(told)
    assert "hunter" not in repr(told) + caplog.text
