"""Which dialect reads the answer to a request: by its method and path, and where several engines
share a path, by the engine that was configured, the request's body, and the answer's shape.

The tables are beside the dialects they speak of: `api_routes` (OpenAI, Anthropic, Ollama, TGI) and
`native_routes` (what other engines have of their own). Each has
    EXACT     {"METHOD /path": Route}
    PATTERNS  (compiled pattern that must match all of "METHOD /path", Route), in order
    SHARED    {"METHOD /path": (operation, dialect classes that answer there)}
An exact path goes before a shared one, and that before a pattern. Candidates of a shared path are
asked in the order of the tables: native ones first, for their shapes are the more peculiar.
"""

import re

from sidelight_sidecar.observer.dialects import api_routes, native_routes
from sidelight_sidecar.observer.dialects.base import Dialect, Request
from sidelight_sidecar.observer.dialects.route import PLAIN, Route
from sidelight_sidecar.observer.dialects.shared import shared

__all__ = ["PLAIN", "Route", "route_of"]

_TABLES = (native_routes, api_routes)


def _exact() -> dict[str, Route]:
    candidates: dict[str, tuple[str, tuple[type[Dialect], ...]]] = {}
    for table in _TABLES:
        for path, (operation, dialects) in table.SHARED.items():
            operation, before = candidates.get(path, (operation, ()))  # noqa: PLW2901
            candidates[path] = operation, before + dialects
    routes = {
        path: Route(
            operation,
            shared(*dialects),
            generating=True,
            needs_request=any(dialect.needs_request for dialect in dialects),
        )
        for path, (operation, dialects) in candidates.items()
    }
    for table in _TABLES:
        routes |= table.EXACT
    return routes


_EXACT: dict[str, Route] = _exact()
_PATTERNS: tuple[tuple[re.Pattern[str], Route], ...] = (
    *native_routes.PATTERNS,
    *api_routes.PATTERNS,
)


def route_of(request: Request) -> Route:
    """The route of a request; `PLAIN` when no dialect knows it."""
    asked = f"{request.method} {request.path.rstrip('/') or '/'}"
    route = _EXACT.get(asked)
    if route is not None:
        return route
    for pattern, route in _PATTERNS:
        if pattern.fullmatch(asked):
            return route
    return PLAIN
