"""One request and its response, with what is known of it when it ends."""

from sidelight_contract.names import TokenSource
from sidelight_contract.sketch import Sketch
from sidelight_sidecar.observer.budget import Kept, KeptText
from sidelight_sidecar.observer.capture.bodies import Bodies
from sidelight_sidecar.observer.energy.told import Share
from sidelight_sidecar.observer.engine_times import EngineTimes
from sidelight_sidecar.observer.poll import Poll

UNKNOWN_MODEL = "_unknown"
OTHER = "other"
CLIENT_LEFT = 499
"""The code of an exchange whose client left before the response ended (nginx's convention)."""
MAX_CHOICES = 128
"""Choices of one answer that are told apart; vLLM allows some tens."""
MAX_CALLS = 512
"""Tool calls of one answer that are told apart; it is counted no further."""

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
    """Timings are nanoseconds of the relay's monotonic clock; 0: it never came to that.

    No span is negative, though the tap's clock, the kernel's, may be set back.
    """

    __slots__ = (
        "arrivals", "asked", "bodies", "bytes_after_left", "bytes_in", "bytes_out",
        "cached_tokens", "choices", "code", "concurrency", "dialect", "energy", "engine_end_ns",
        "engine_times", "error", "events", "finishes", "first_arrival_tokens", "first_output_ns",
        "first_visible_ns", "flow", "fresh_gaps", "gaps", "generating", "has_output",
        "in_flight_as", "last_output_ns", "left_ns", "method", "model", "model_version",
        "operation", "output_tokens", "overhead_ns", "parent_id", "path", "poll", "prompt_tokens",
        "protocol", "reasoned", "reasoning_tokens", "request_end_ns", "request_id", "response_id",
        "response_start_ns", "server_tool_calls", "start_ns", "stop_ns", "stream", "stream_asked",
        "text", "tokenized_output", "tokenized_prompt", "tool_calls", "trace_id", "trace_sampled",
        "unread",
    )  # fmt: skip

    def __init__(self, flow: int, start_ns: int) -> None:  # noqa: PLR0915 - a record's fields
        self.flow = flow
        self.start_ns = start_ns
        """First byte of the request (t0)."""
        self.concurrency = 0
        """Exchanges in flight when it started, itself included."""
        self.request_end_ns = 0
        """Last byte of the request (t_body)."""
        self.overhead_ns = -1
        """How long the relay held the request's last bytes (t_up - t_body); -1: not known."""
        self.response_start_ns = 0
        """First byte of the response (t_hdr)."""
        self.stop_ns = 0
        """Last byte of the response, or when it broke (t_end)."""
        self.protocol = "http/1.1"
        """`http/1.1` or `http/2`."""
        self.method = ""
        self.path = ""
        self.operation = OTHER
        self.in_flight_as = OTHER
        """The operation by the request's head; on a shared path the answer may tell otherwise."""
        self.dialect = ""
        """The API whose rules the response was read by; empty: none that is known."""
        self.generating = False
        """The operation generates tokens (not an embedding, health check, ...)."""
        self.code = 0
        self.error = ""
        self.stream = False
        """The answer is a stream."""
        self.stream_asked = False
        """The request asked for one."""
        self.model = ""
        self.model_version = ""
        """The engine's word for the version of the model, where the API has one."""
        self.response_id = ""
        self.request_id = ""
        """The client's `ce-id`, else `x-request-id`."""
        self.trace_id = ""
        self.parent_id = ""
        """The caller's span, of `traceparent`."""
        self.trace_sampled = False
        self.bytes_in = 0
        """Bytes of the request's body."""
        self.bytes_out = 0
        """Bytes of the response's body, as they came (compressed, where they were)."""
        self.unread = ""
        """What of the exchange could not be read (`json`, `sse`, `size`, `memory`, `encoding`,
        `ratio`, `protobuf`), if any."""
        self.choices = 0
        """Choices seen in the response; more than one makes a time per token ambiguous."""
        self.arrivals = 0
        """Reads that brought output (c_1 ... c_k)."""
        self.events = 0
        """Output-bearing events in them."""
        self.has_output = False
        """The answer, stream or not, holds something for the client."""
        self.first_output_ns = 0
        self.first_visible_ns = 0
        """First output that is no reasoning."""
        self.reasoned = False
        self.last_output_ns = 0
        self.first_arrival_tokens = 1
        """Tokens in the first arrival (n_1), when the engine said so; else 1."""
        self.prompt_tokens: int | None = None
        """The engine's count, those that came from a cache included; None: it said nothing."""
        self.output_tokens: int | None = None
        """The engine's count, reasoning included; None: it said nothing."""
        self.tokenized_prompt: int | None = None
        """What the engine's tokenizer made of the prompt, where usage was missing."""
        self.tokenized_output: int | None = None
        """The same of the output."""
        self.cached_tokens = 0
        """Part of `prompt_tokens`."""
        self.reasoning_tokens = 0
        """Part of `output_tokens`."""
        self.tool_calls = 0
        """Calls that the client is asked to make."""
        self.server_tool_calls = 0
        """Calls that the server made by itself."""
        self.finishes: dict[int, str] = {}
        """Why each choice ended, as the engine spells it, by the choice's index."""
        self.text: KeptText | None = None
        """Output that is kept so that it can be counted later; None: it is not kept."""
        self.asked: Kept | None = None
        """The body of the request, kept for the same."""
        self.bodies: Bodies | None = None
        """What passed, while it may become a record with payloads; None: it is not kept."""
        self.left_ns = 0
        """When the client said that it sends no more, or reset the request."""
        self.bytes_after_left = 0
        """Bytes of body that the engine still sent after that."""
        self.engine_end_ns = 0
        """When the engine's side ended after the client had left; 0: that was not to be seen."""
        self.engine_times: EngineTimes | None = None
        """What the engine's answer says of its times; None: it says nothing."""
        self.energy: Share | None = None
        """Its part of the devices' energy; None: nobody shares that out."""
        self.poll: Poll | None = None
        """What a poll said of the request that it belongs to; None: the exchange is no poll."""
        self.gaps = Sketch()
        """Seconds between successive arrivals, but for `fresh_gaps`."""
        self.fresh_gaps: list[float] = []
        """Those that no consumer was told of yet."""

    @property
    def weight(self) -> int:
        """About how many bytes it takes up, with what a dialect keeps of its choices and calls."""
        calls = min(self.tool_calls, MAX_CALLS)
        return 100 * len(self.gaps.buckets) + 400 * self.choices + 200 * calls

    @property
    def finish_reasons(self) -> list[str]:
        """Why each choice ended, in the order of the choices, as the engine spells it."""
        return [self.finishes[index] for index in sorted(self.finishes)]

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the first byte of the request to the first output; streams only."""
        if not (self.stream and self.first_output_ns):
            return None
        return max(0, self.first_output_ns - self.start_ns) / 1e9

    @property
    def time_to_first_output(self) -> float | None:
        """The same to the first output that is no reasoning; only where reasoning came before."""
        if not (self.stream and self.reasoned and self.first_visible_ns):
            return None
        return max(0, self.first_visible_ns - self.start_ns) / 1e9

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
        return max(0, self.last_output_ns - self.first_output_ns) / 1e9 / later

    @property
    def duration(self) -> float:
        """Seconds from the first byte of the request to the last of the response."""
        return max(0, self.stop_ns - self.start_ns) / 1e9

    @property
    def overhead(self) -> float | None:
        """Seconds that the relay held the end of the request; None when it had to wait."""
        return self.overhead_ns / 1e9 if self.overhead_ns >= 0 else None

    @property
    def usage_missing(self) -> bool:
        """It generated, ended well, and the engine said nothing of tokens."""
        return self.generating and not self.error and self.output_tokens is None

    @property
    def empty(self) -> bool:
        """It generated, ended well, and the answer holds nothing."""
        return self.generating and not self.error and not self.has_output and not self.unread

    @property
    def token_source(self) -> TokenSource | None:
        """Where the count of output tokens comes from; None: there is nothing to count."""
        if not self.generating:
            return None
        if self.output_tokens is not None:
            return TokenSource.USAGE
        if self.tokenized_output is not None:
            return TokenSource.TOKENIZED
        return TokenSource.ESTIMATED if self.events else None

    @property
    def estimated_tokens(self) -> int:
        """Output events of a generating exchange without any count: an estimate, kept apart."""
        return self.events if self.token_source is TokenSource.ESTIMATED else 0

    def finish(self, index: object, reason: object) -> None:
        """A choice has ended; the last word on it wins."""
        if isinstance(reason, str) and reason and self.choice(index):
            self.finishes[index] = reason[:64]  # type: ignore[index]

    def choice(self, index: object) -> bool:
        """Take note of a choice; False when its index is none."""
        if type(index) is not int or not 0 <= index < MAX_CHOICES:
            return False
        if index >= self.choices:
            self.choices = index + 1
        return True

    def output(self, at_ns: int, *, reasoning: bool = False, visible: bool = True) -> None:
        """An event of a stream bears output: reasoning, something else, or both."""
        if visible:
            if not self.first_visible_ns:
                self.first_visible_ns = at_ns
                self.reasoned |= reasoning
        elif reasoning and not self.first_visible_ns:
            self.reasoned = True

    def arrival(self, at_ns: int, events: int) -> None:
        """One read brought `events` outputs."""
        self.events += events
        self.arrivals += 1
        if self.first_output_ns:
            gap_ns = at_ns - self.last_output_ns
            self.fresh_gaps.append(gap_ns / 1e9 if gap_ns > 0 else 0.0)
        else:
            self.first_output_ns = at_ns
            self.has_output = True
        self.last_output_ns = at_ns

    def take_gaps(self) -> list[float]:
        """The gaps that nobody was told of yet; from here on they are in `gaps`."""
        fresh, self.fresh_gaps = self.fresh_gaps, []
        self.gaps.add_all(fresh)
        return fresh
