"""Which dialect reads the answer to a request: by its method and path, and where several engines
share a path, by the engine that was configured, the request's body, and the answer's shape.
"""

from collections.abc import Callable
from typing import NamedTuple

from sidelight_sidecar.observer.dialects.base import Dialect, Request
from sidelight_sidecar.observer.dialects.openai import OpenAI
from sidelight_sidecar.observer.exchange import OTHER, Exchange


class Route(NamedTuple):
    """What is known of a request by its head."""

    operation: str
    """The `operation` label."""
    dialect: Callable[[Exchange, Request], Dialect]
    """Makes the reader of the response, once its head is there."""
    generating: bool = False
    """Tokens are generated."""
    needs_request: bool = False
    """The request's body is kept until the response's head: it tells which dialect it is."""


PLAIN = Route(OTHER, Dialect)
_POST = {
    "/v1/chat/completions": Route("chat", OpenAI, generating=True),
    "/v1/completions": Route("text_completion", OpenAI, generating=True),
}
_PREFIXES = ("/openai",)
"""KServe puts the OpenAI API under it."""


def route_of(request: Request) -> Route:
    """The route of a request; `PLAIN` when no dialect knows it."""
    if request.method != "POST":
        return PLAIN
    path = request.path
    for prefix in _PREFIXES:
        path = path.removeprefix(prefix)
    return _POST.get(path, PLAIN)
