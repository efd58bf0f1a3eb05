"""The port that an engine sends its spans to, open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine_export import free_port

from sidelight_sidecar.capture.engine_spans.intake import Intake


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Intake, str]]:
    """It, and its address."""
    port = free_port()
    made = Intake(port)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.serve())
        try:
            await until_open(made)
            yield made, f"http://127.0.0.1:{port}"
        finally:
            task.cancel()


async def until_open(made: Intake) -> None:
    """Wait for it."""
    async with asyncio.timeout(20):
        while not made.listening:  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.005)
