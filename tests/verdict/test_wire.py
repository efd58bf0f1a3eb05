"""The controller's own collector asks a real sidecar's admin port for strata."""

import aiohttp
from aiohttp.test_utils import TestServer
from observed import CHAT_STREAM, Kept, Script, pipeline_of, request

from sidelight_contract.strata import Strata
from sidelight_contract.summary import Summary
from sidelight_operator.controller.collect import Collector
from sidelight_sidecar.observer.admin import Admin
from sidelight_sidecar.observer.files import TokenFile
from sidelight_sidecar.observer.tokens import SummaryTokens


async def test_strata_come_over_the_wire_when_they_are_asked_for() -> None:
    """The stream's row, as the sidecar has it; without asking none, and the rest is the same."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script().client(request()).engine(*CHAT_STREAM).close().frames)
    tokens = SummaryTokens(lambda: pipeline.config, TokenFile(None))
    application = Admin(pipeline, tokens).application()
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        collector = Collector(session, 4, server.port or 0)
        plain = await collector.collect("127.0.0.1", "t")
        asked = await collector.collect("127.0.0.1", "t", strata=True)
    assert isinstance(plain, Summary)
    assert isinstance(asked, Summary)
    assert plain.strata == Strata()
    assert asked.strata.rows == pipeline.strata.told().rows
    assert len(asked.strata.rows) == 1
    assert plain.window == asked.window
