"""What an engine may have counted for an exchange: at least, most likely, at most.

Rules:
1. What ended well and says its usage is certain. Where engines differ in what they count (requests
   that were refused, or left by their clients; several choices), the difference is in the bounds.
2. A bound is never a guess at a mean: where nothing better is known it is what could not be
   exceeded, such as a token for each byte.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sidelight_sidecar.observer.exchange import CLIENT_LEFT, OTHER, Exchange

STOP_SECONDS = 1.0
"""How long an engine may go on computing what its client has left."""
STOPPED_NS = 250_000_000
"""The same after its side of the connection was seen to end."""
STOP_TOKENS = 16
"""Tokens that may be under way to a client in any case."""
MAX_PACE = 500.0
"""Tokens a second of one answer, where its own pace is not to be seen."""
TEMPLATE_TOKENS = 1024
"""What a chat's template may add to the text of a prompt."""
MAX_FAILED_TOKENS = 4096
"""Tokens of an answer that failed after it was computed."""


class Span(NamedTuple):
    """A number of which only this much is known."""

    low: int = 0
    seen: int = 0
    """The sidecar's own figure."""
    high: int = 0

    def plus(self, other: "Span") -> "Span":
        """The sum."""
        return Span(self.low + other.low, self.seen + other.seen, self.high + other.high)

    def maybe(self) -> "Span":
        """The same, if it may just as well not have been counted."""
        return self._replace(low=0)


NOTHING = Span()


def _certain(value: int, high: int | None = None) -> Span:
    return Span(value, value, value if high is None else high)


class Counts(NamedTuple):
    """Sums over exchanges."""

    requests: Span = NOTHING
    prompt_tokens: Span = NOTHING
    output_tokens: Span = NOTHING
    first_token_ns: Span = NOTHING
    """From the end of the request to the first token."""
    first_tokens: Span = NOTHING
    """How many times are in it."""
    decode_ns: Span = NOTHING
    """From the first token to the last."""
    cached_tokens: int = 0
    exchanges: int = 0
    left: int = 0
    """Left by their clients."""
    failed: int = 0
    """Refused, or failed."""
    several: int = 0
    """With more than one choice."""
    unary: int = 0
    """Answered at once, so that the first token was not to be seen."""
    without_usage: int = 0
    """Of whose tokens the engine said nothing."""
    unread: int = 0
    """On a path that is not known."""
    lost: int = 0
    """Lost sight of."""

    def plus(self, other: "Counts") -> "Counts":
        """The sum."""
        pairs: Iterable[tuple[Any, Any]] = zip(self, other, strict=True)
        values: list[Any] = [
            mine.plus(theirs) if isinstance(mine, Span) else mine + theirs for mine, theirs in pairs
        ]
        return Counts(*values)

    def maybe(self) -> "Counts":
        """The same, if the engine may have counted any part of it elsewhere."""
        values: list[Any] = [mine.maybe() if isinstance(mine, Span) else mine for mine in self]
        return Counts(*values)


LOST = Counts(lost=1)


def counts_of(exchange: Exchange) -> Counts:
    """What the engine may have counted for an exchange that ended, in all."""
    if exchange.operation == OTHER:
        return _unread(exchange)
    if exchange.code == CLIENT_LEFT:
        return _left(exchange)
    if exchange.error:
        return _failed(exchange)
    return _ended_well(exchange) if exchange.generating else _computed(exchange)


def _unread(exchange: Exchange) -> Counts:
    """What is on no path that is known may be inference all the same."""
    if exchange.method != "POST" or not 200 <= exchange.code < 300:
        return Counts()
    most = exchange.bytes_in + TEMPLATE_TOKENS
    return Counts(
        requests=Span(0, 0, max(1, exchange.bytes_in)),
        prompt_tokens=Span(0, 0, most),
        output_tokens=Span(0, 0, exchange.bytes_out),
        first_token_ns=Span(0, 0, int(exchange.duration * 1e9)),
        first_tokens=Span(0, 0, 1),
        decode_ns=Span(0, 0, int(exchange.duration * 1e9)),
        exchanges=1,
        unread=1,
    )


def _ended_well(exchange: Exchange) -> Counts:
    choices = max(1, exchange.choices)
    prompt, output = _prompt(exchange), _output(exchange)
    streamed = exchange.stream and exchange.first_output_ns > 0
    whole = int(exchange.duration * 1e9)
    first = _certain(_first_token_ns(exchange)) if streamed else Span(0, 0, whole)
    decode = exchange.last_output_ns - exchange.first_output_ns if streamed else 0
    return Counts(
        requests=_certain(1, choices),
        prompt_tokens=prompt._replace(high=prompt.high * choices),
        output_tokens=output._replace(high=output.high * choices),
        first_token_ns=first._replace(high=first.high * choices),
        first_tokens=_certain(1, choices),
        decode_ns=_certain(decode, decode * choices) if streamed else Span(0, 0, whole * choices),
        cached_tokens=exchange.cached_tokens,
        exchanges=1,
        several=int(choices > 1),
        unary=int(not streamed),
        without_usage=int(exchange.output_tokens is None),
    )


def _left(exchange: Exchange) -> Counts:
    """The engine may count it whole, in part, or not at all; and it stops a little later."""
    if not exchange.request_end_ns:  # the engine has not had the whole of it
        return Counts(exchanges=1, left=1)
    after_ns = int(STOP_SECONDS * 1e9)
    if exchange.engine_end_ns:  # it was seen to stop
        after_ns = min(after_ns, max(0, exchange.engine_end_ns - exchange.left_ns) + STOPPED_NS)
    sent = _sent(exchange)
    more = STOP_TOKENS + int(_pace(exchange, sent) * _unseen_seconds(exchange, after_ns))
    prompt = _prompt(exchange)
    first = _first_token_ns(exchange) if exchange.first_output_ns else 0
    decode = max(0, exchange.last_output_ns - exchange.first_output_ns)
    whole = int(exchange.duration * 1e9) + after_ns
    return Counts(
        requests=Span(0, 0, max(1, exchange.choices)),
        prompt_tokens=Span(0, prompt.seen, prompt.high * max(1, exchange.choices)),
        output_tokens=Span(0, sent, max(sent, exchange.events) + more),
        first_token_ns=Span(0, first, first or whole),
        first_tokens=Span(0, int(first > 0), 1),
        decode_ns=Span(0, decode, decode + after_ns if first else whole),
        cached_tokens=exchange.cached_tokens,
        exchanges=1,
        left=1,
    )


def _pace(exchange: Exchange, sent: int) -> float:
    """Tokens a second, as they came; one arrival has no pace."""
    decoded_ns = exchange.last_output_ns - exchange.first_output_ns
    if exchange.arrivals < 2 or decoded_ns <= 0:
        return MAX_PACE
    return min(MAX_PACE, sent * 1e9 / decoded_ns)


def _unseen_seconds(exchange: Exchange, after_ns: int) -> float:
    """How long the engine may have computed what nobody saw: of an answer that is no stream, all
    of the time.
    """
    unary = not exchange.stream_asked and not exchange.first_output_ns
    return after_ns / 1e9 + (exchange.duration if unary else 0.0)


def _failed(exchange: Exchange) -> Counts:
    """Engines refuse before they count, and may count what failed underway."""
    counts = _left(exchange)._replace(left=0, failed=1)
    if 400 <= exchange.code < 500:
        return Counts(requests=Span(0, 0, 1), exchanges=1, failed=1)
    if exchange.code >= 500:
        more = Span(0, 0, MAX_FAILED_TOKENS)
        return counts._replace(output_tokens=counts.output_tokens.plus(more))
    return counts


def _computed(exchange: Exchange) -> Counts:
    """An embedding or the like: some engines count each input, and some none."""
    prompt = _prompt(exchange)
    return Counts(
        requests=Span(0, 1, max(1, prompt.high)),
        prompt_tokens=prompt.maybe(),
        first_tokens=Span(0, 0, max(1, prompt.high)),
        first_token_ns=Span(0, 0, int(exchange.duration * 1e9)),
        cached_tokens=exchange.cached_tokens,
        exchanges=1,
    )


def _prompt(exchange: Exchange) -> Span:
    if exchange.prompt_tokens is not None:
        return _certain(exchange.prompt_tokens)
    if (counted := exchange.tokenized_prompt) is not None:
        return Span(counted - counted // 50, counted, counted + counted // 50 + 8)
    return Span(0, 0, exchange.bytes_in + TEMPLATE_TOKENS)


def _output(exchange: Exchange) -> Span:
    if exchange.output_tokens is not None:
        return _certain(exchange.output_tokens)
    if (counted := exchange.tokenized_output) is not None:  # without what ended it
        return Span(counted - counted // 50, counted, counted + counted // 50 + 8)
    return Span(0, exchange.events, max(exchange.events, exchange.bytes_out))


def _sent(exchange: Exchange) -> int:
    for counted in (exchange.output_tokens, exchange.tokenized_output):
        if counted is not None:
            return counted
    return exchange.events


def _first_token_ns(exchange: Exchange) -> int:
    return max(0, exchange.first_output_ns - (exchange.request_end_ns or exchange.start_ns))
