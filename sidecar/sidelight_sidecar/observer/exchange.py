"""One request and its response, with what is known of it when it ends."""

from collections.abc import Iterable
from typing import Protocol

from sidelight_contract.sketch import Sketch

UNKNOWN_MODEL = "_unknown"
OTHER = "other"
CLIENT_LEFT = 499
"""The code of an exchange whose client left before the response ended (nginx's convention)."""

_STATUS_ERRORS = {
    400: "invalid_request", 401: "auth", 403: "auth", 404: "not_found", 408: "timeout",
    413: "invalid_request", 422: "invalid_request", 424: "server_error", 429: "rate_limited",
    503: "overloaded", 504: "timeout", 529: "overloaded",
}  # fmt: skip


def status_error(status: int) -> str:
    """The error class of an HTTP status; empty when it is none."""
    if status < 400:
        return ""
    if status in _STATUS_ERRORS:
        return _STATUS_ERRORS[status]
    return "server_error" if status >= 500 else "invalid_request"


class Exchange:
    """Timings are nanoseconds of the relay's monotonic clock; 0: it never came to that."""

    __slots__ = (
        "arrivals", "bytes_in", "bytes_out", "cached_tokens", "choices", "code", "error",
        "events", "finish_reasons", "first_arrival_tokens", "first_output_ns",
        "first_visible_ns", "flow", "gaps", "generating", "last_output_ns", "method",
        "model", "operation", "output_tokens", "overhead_ns", "path", "prompt_tokens",
        "reasoned", "reasoning_tokens", "request_end_ns", "response_id", "response_start_ns",
        "start_ns", "stop_ns", "stream", "trace_id", "unread",
    )  # fmt: skip

    def __init__(self, flow: int, start_ns: int) -> None:
        self.flow = flow
        self.start_ns = start_ns
        """First byte of the request (t0)."""
        self.request_end_ns = 0
        """Last byte of the request (t_body)."""
        self.overhead_ns = -1
        """How long the relay held the request's last bytes (t_up - t_body); -1: not known."""
        self.response_start_ns = 0
        """First byte of the response (t_hdr)."""
        self.stop_ns = 0
        """Last byte of the response, or when it broke (t_end)."""
        self.method = ""
        self.path = ""
        self.operation = OTHER
        self.generating = False
        """The operation generates tokens (not an embedding, health check, ...)."""
        self.code = 0
        self.error = ""
        self.stream = False
        self.model = ""
        self.response_id = ""
        self.trace_id = ""
        self.bytes_in = 0
        """Bytes of the request's body."""
        self.bytes_out = 0
        """Bytes of the response's body."""
        self.unread = ""
        """What of the response could not be read (`json`, `sse`, `size`, `encoding`), if any."""
        self.choices = 0
        """Choices seen in the response; more than one makes a time per token ambiguous."""
        self.arrivals = 0
        """Reads that brought output (c_1 ... c_k)."""
        self.events = 0
        """Output-bearing events in them."""
        self.first_output_ns = 0
        self.first_visible_ns = 0
        """First output that is no reasoning."""
        self.reasoned = False
        self.last_output_ns = 0
        self.first_arrival_tokens = 1
        """Tokens in the first arrival (n_1), when the engine said so; else 1."""
        self.prompt_tokens: int | None = None
        self.output_tokens: int | None = None
        self.cached_tokens = 0
        self.reasoning_tokens = 0
        self.finish_reasons: list[str] = []
        self.gaps = Sketch()
        """Seconds between successive arrivals."""

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the first byte of the request to the first output; streams only."""
        if not (self.stream and self.first_output_ns):
            return None
        return (self.first_output_ns - self.start_ns) / 1e9

    @property
    def time_to_first_output(self) -> float | None:
        """The same to the first output that is no reasoning; only where reasoning came before."""
        if not (self.stream and self.reasoned and self.first_visible_ns):
            return None
        return (self.first_visible_ns - self.start_ns) / 1e9

    @property
    def time_per_output_token(self) -> float | None:
        """Mean seconds for each token after the first arrival, from the engine's own count.

        Only for streams that ended well, with one choice and at least two arrivals.
        """
        if not self.stream or self.error or self.arrivals < 2 or self.choices > 1:
            return None
        later = (self.output_tokens or 0) - self.first_arrival_tokens
        if later < 1:
            return None
        return (self.last_output_ns - self.first_output_ns) / 1e9 / later

    @property
    def duration(self) -> float:
        """Seconds from the first byte of the request to the last of the response."""
        return (self.stop_ns - self.start_ns) / 1e9

    @property
    def overhead(self) -> float | None:
        """Seconds that the relay held the end of the request; None when it had to wait."""
        return self.overhead_ns / 1e9 if self.overhead_ns >= 0 else None

    @property
    def usage_missing(self) -> bool:
        """It generated, ended well, and the engine said nothing of tokens."""
        return self.generating and not self.error and self.output_tokens is None

    @property
    def estimated_tokens(self) -> int:
        """Output events of a generating exchange without usage: an estimate, kept apart."""
        return self.events if self.generating and self.output_tokens is None else 0

    def arrival(self, at_ns: int, events: int) -> float | None:
        """One read brought `events` outputs; return the seconds since the one before it."""
        self.events += events
        self.arrivals += 1
        gap = None
        if self.first_output_ns:
            gap = (at_ns - self.last_output_ns) / 1e9
            self.gaps.add(gap)
        else:
            self.first_output_ns = at_ns
        self.last_output_ns = at_ns
        return gap


class Consumer(Protocol):
    """What is told of exchanges."""

    def started(self, exchange: Exchange) -> None:
        """The head of a request is known."""

    def arrived(self, exchange: Exchange, gap_seconds: float) -> None:
        """Output came, so long after the output before it."""

    def finished(self, exchange: Exchange) -> None:
        """It is over, well or not."""

    def dropped(self, exchange: Exchange) -> None:
        """It was lost sight of; nothing may be counted for it."""


class Consumers:
    """Several consumers as one."""

    def __init__(self, consumers: Iterable[Consumer]) -> None:
        self._consumers = tuple(consumers)

    def started(self, exchange: Exchange) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.started(exchange)

    def arrived(self, exchange: Exchange, gap_seconds: float) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.arrived(exchange, gap_seconds)

    def finished(self, exchange: Exchange) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.finished(exchange)

    def dropped(self, exchange: Exchange) -> None:
        """Tell all."""
        for consumer in self._consumers:
            consumer.dropped(exchange)
