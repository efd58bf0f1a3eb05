"""A webhook whose watches fail in the middle goes on as the same process."""

import asyncio
import ssl
from pathlib import Path

from admission_world import ApiServer, webhook_process
from aiohttp import ClientError, web
from injection_world import pod
from tls_world import new_authority, trusting, write_serving

DEADLINE_SECONDS = 50.0


class Failing(ApiServer):
    """Its watches tell of an error when it is told so."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = asyncio.Event()
        self.watches = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return await super().handle(request)
        self.watches += 1
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await self.fails.wait()
        await response.write(b'{"type":"ERROR","object":{"kind":"Status","code":500}}\n')
        return response


async def test_errors_inside_the_watches_leave_the_process_and_its_view(tmp_path: Path) -> None:
    """What kopf takes for the end is no end: the listener comes back, with the view of before, and
    the process was ready only while it listened.
    """
    authority = new_authority()
    write_serving(tmp_path, authority)
    context: ssl.SSLContext = trusting(authority)
    server = Failing()
    body = pod()
    body["metadata"]["namespace"] = "ml"
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        server.listen(),
        webhook_process(tmp_path, server, "--drain-seconds=0") as webhook,
    ):
        assert "patch" in await webhook.ask(body, context)
        while server.watches < 2:  # noqa: ASYNC110 - of ObservedModels and of namespaces
            await asyncio.sleep(0.02)
        server.fails.set()
        while await webhook.ready():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        server.fails.clear()
        while not await webhook.ready():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        for _ in range(2):
            try:
                answer = await webhook.ask(body, context)
            except ClientError:  # a connection of before
                continue
        assert "patch" in answer
        assert webhook.process.returncode is None
        assert server.watches >= 4
    assert "watch ended" in webhook.log.read_text()
