"""etcd and an API server on loopback for the length of a block, and a client of it.

`hack/cluster/control-plane.sh` starts both and ends them when its standard input does: they are
gone with this process, however it ends.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from benchmarks.ways import ROOT, BenchmarkError, free_port

Json = dict[str, Any]
AT_ONCE = 16
"""Requests of a crowd in flight."""


class Plane:
    """The API server, asked as an administrator."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession, port: int) -> None:
        self.folder = folder
        self.server = f"https://127.0.0.1:{port}"
        self._session = session
        self._context = ssl.create_default_context(cafile=str(folder / "pki/ca.crt"))
        self._context.load_cert_chain(folder / "pki/admin.crt", folder / "pki/admin.key")

    async def call(self, method: str, path: str, body: object = None, content: str = "") -> Json:
        """What it answers.

        Raises:
            BenchmarkError: it refuses.
        """
        text = await self.text(method, path, body, content)
        answer: Json = json.loads(text)
        return answer

    async def text(self, method: str, path: str, body: object = None, content: str = "") -> str:
        """The same as it is on the wire."""
        headers = {"Content-Type": content or "application/json"}
        data = None if body is None else json.dumps(body)
        async with self._session.request(
            method, self.server + path, data=data, headers=headers, ssl=self._context
        ) as response:
            text = await response.text()
            if response.status >= 400:
                raise BenchmarkError(f"{method} {path}: {response.status} {text[:500]}")
            return text

    def kubeconfig(self, name: str, token: str) -> Path:
        """A kubeconfig for whoever has the token."""
        path = self.folder / f"{name}.kubeconfig"
        cluster = {"server": self.server, "certificate-authority": str(self.folder / "pki/ca.crt")}
        document = {
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": cluster}],
            "users": [{"name": "bench", "user": {"token": token}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        }  # fmt: skip
        path.write_text(json.dumps(document))
        return path

    def audited(self) -> list[Json]:
        """Every write to an ObservedModel so far, as the API server logs it."""
        return [json.loads(line) for line in (self.folder / "audit.log").read_text().splitlines()]


@asynccontextmanager
async def plane() -> AsyncIterator[Plane]:
    """Bring it up.

    Raises:
        BenchmarkError: it does not come up.
    """
    ports = [free_port() for _ in range(3)]
    with tempfile.TemporaryDirectory(prefix="sidelight-plane-") as folder:
        process = await asyncio.create_subprocess_exec(
            str(ROOT / "hack/cluster/control-plane.sh"), folder, *map(str, ports),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not await process.stdout.readline():
                raise BenchmarkError("etcd and the API server do not start; see above")
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
            async with aiohttp.ClientSession(connector=connector) as session:
                yield Plane(Path(folder), session, ports[0])
        finally:
            process.stdin.close()
            await process.wait()


async def crowd(items: Iterable[Any], work: Callable[[Any], Awaitable[object]]) -> None:
    """Do the work for all items, some at a time."""
    waiting = iter(items)

    async def one_after_the_other() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(one_after_the_other())


async def until(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Return when it holds.

    Raises:
        BenchmarkError: it did not in time.
    """
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - another process brings it about
                await asyncio.sleep(0.25)
    except TimeoutError:
        raise BenchmarkError(f"not within {seconds:g} s: {what}") from None
