"""A reverse proxy as one writes it with aiohttp: each piece passed on as it comes; on uvloop.

``python -m benchmarks.peers.aiohttp_proxy PORT ENGINE_PORT``.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
SESSION = web.AppKey("session", ClientSession)


def application(engine: str) -> web.Application:
    """Return an application that passes everything to the engine."""

    async def session(app: web.Application) -> AsyncIterator[None]:
        app[SESSION] = ClientSession(
            auto_decompress=False,
            connector=TCPConnector(limit=0),
            timeout=ClientTimeout(total=None),
        )
        yield
        await app[SESSION].close()

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP]
        body = request.content if request.body_exists else None
        async with request.app[SESSION].request(
            request.method, engine + request.path_qs, headers=headers, data=body
        ) as answer:
            kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP]
            response = web.StreamResponse(status=answer.status)
            response.headers.extend(kept)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=1 << 30)
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


def main() -> None:
    """Serve until killed."""
    port, engine = int(sys.argv[1]), int(sys.argv[2])
    web.run_app(
        application(f"http://127.0.0.1:{engine}"),
        host="127.0.0.1",
        port=port,
        backlog=4096,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
