"""What an engine may have counted for one exchange: certain, or bounded, by how it ended."""

from __future__ import annotations

from sidelight_sidecar.observer.exchange import CLIENT_LEFT, OTHER, Exchange
from sidelight_sidecar.observer.reconcile.counts import Counts, Span, counts_of

MS = 1_000_000


def stream(*, code: int = 200, error: str = "", operation: str = "chat") -> Exchange:
    """A stream of 11 and 3 tokens, over a second: the first after 200 ms, the last after 800."""
    exchange = Exchange(1, 1000 * MS)
    exchange.method, exchange.operation, exchange.generating = "POST", operation, True
    exchange.code, exchange.error = code, error
    exchange.stream = exchange.stream_asked = True
    exchange.request_end_ns, exchange.stop_ns = 1010 * MS, 2000 * MS
    exchange.first_output_ns, exchange.last_output_ns = 1200 * MS, 1800 * MS
    exchange.arrivals = exchange.events = 3
    exchange.choices = 1
    exchange.prompt_tokens, exchange.output_tokens = 11, 3
    exchange.bytes_in, exchange.bytes_out = 100, 900
    return exchange


def left() -> Exchange:
    """The same, left by its client without usage."""
    exchange = stream(code=CLIENT_LEFT, error="client_disconnect")
    exchange.prompt_tokens = exchange.output_tokens = None
    exchange.left_ns = exchange.stop_ns
    return exchange


def test_a_stream_that_ended_well_is_certain() -> None:
    """The first token's time counts from the end of the request, which is when engines have it."""
    assert counts_of(stream()) == Counts(
        requests=Span(1, 1, 1), prompt_tokens=Span(11, 11, 11), output_tokens=Span(3, 3, 3),
        first_token_ns=Span(*[190 * MS] * 3), first_tokens=Span(1, 1, 1),
        decode_ns=Span(*[600 * MS] * 3), exchanges=1,
    )  # fmt: skip


def test_an_answer_at_once_hides_its_times() -> None:
    """They lie between nothing and its duration."""
    exchange = stream()
    exchange.stream = exchange.stream_asked = False
    exchange.first_output_ns = exchange.last_output_ns = 0
    counts = counts_of(exchange)
    assert counts.first_token_ns == counts.decode_ns == Span(0, 0, 1000 * MS)
    assert (counts.unary, counts.output_tokens) == (1, Span(3, 3, 3))


def test_several_choices_may_each_count() -> None:
    """llama.cpp's usage speaks of one of them; other engines add them up."""
    exchange = stream()
    exchange.choices = 2
    counts = counts_of(exchange)
    assert (counts.requests, counts.output_tokens) == (Span(1, 1, 2), Span(3, 3, 6))
    assert counts.prompt_tokens == Span(11, 11, 22)


def test_without_usage_the_tokenizers_count_is_nearly_certain() -> None:
    """Nothing is as certain as a byte that came: a token is at least one."""
    exchange = stream()
    exchange.prompt_tokens = exchange.output_tokens = None
    counts = counts_of(exchange)
    assert counts.prompt_tokens == Span(0, 0, 100 + 1024)
    assert counts.output_tokens == Span(0, 3, 900)
    exchange.tokenized_prompt, exchange.tokenized_output = 100, 50
    counts = counts_of(exchange)
    assert (counts.prompt_tokens, counts.output_tokens) == (Span(98, 100, 110), Span(49, 50, 59))


def test_what_was_left_counts_from_nothing_to_what_the_engine_made_before_it_stopped() -> None:
    """At the pace that was seen, for a second, or until its side was seen to end."""
    exchange = left()
    counts = counts_of(exchange)
    assert counts.requests == Span(0, 0, 1)
    assert counts.output_tokens == Span(0, 3, 3 + 16 + 5)
    exchange.engine_end_ns = exchange.left_ns + 50 * MS
    assert counts_of(exchange).output_tokens == Span(0, 3, 3 + 16 + 1)
    exchange.arrivals = 1
    assert counts_of(exchange).output_tokens == Span(0, 3, 3 + 16 + 150)


def test_what_was_left_before_it_was_whole_is_none_of_the_engines() -> None:
    """The engine never had the request."""
    exchange = left()
    exchange.request_end_ns = 0
    assert counts_of(exchange) == Counts(exchanges=1, left=1)


def test_what_was_refused_is_not_in_the_tokens() -> None:
    """It may be in the requests; what failed underway may be in everything."""
    refused = counts_of(stream(code=400, error="context_length"))
    assert refused == Counts(requests=Span(0, 0, 1), exchanges=1, failed=1)
    broken = counts_of(stream(error="stream_error"))
    assert (broken.failed, broken.left, broken.requests) == (1, 0, Span(0, 0, 1))
    assert broken.output_tokens.low == 0 < broken.output_tokens.high
    assert counts_of(stream(code=500, error="server_error")).output_tokens.high > 4096


def test_an_embedding_may_count_for_each_input() -> None:
    """Or not at all; none has more inputs than tokens."""
    exchange = stream(operation="embeddings")
    exchange.generating, exchange.output_tokens = False, None
    counts = counts_of(exchange)
    assert (counts.requests, counts.prompt_tokens) == (Span(0, 1, 11), Span(0, 11, 11))
    assert counts.output_tokens == Span()


def test_what_is_no_inference_counts_for_nothing_and_what_may_be_for_something() -> None:
    """Health checks and scrapes; on a path that is not known a body may have been a prompt."""
    exchange = stream(operation=OTHER)
    counts = counts_of(exchange)
    assert (counts.unread, counts.requests) == (1, Span(0, 0, 100))
    assert (counts.prompt_tokens, counts.output_tokens) == (Span(0, 0, 1124), Span(0, 0, 900))
    assert counts_of(stream(operation=OTHER, code=404)) == Counts()
    exchange.method = "GET"
    assert counts_of(exchange) == Counts()
