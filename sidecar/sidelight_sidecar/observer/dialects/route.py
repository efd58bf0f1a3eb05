"""What a route is: the operation and the reader that a request's head leads to."""

from collections.abc import Callable
from typing import NamedTuple

from sidelight_sidecar.observer.dialects.base import Dialect, Request
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
"""No dialect knows the request: times, status and sizes are all there is."""
