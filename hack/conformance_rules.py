"""How an exchange that Sidelight observed is compared with what its recording says of itself.

`expect` of a recording is what the response says, in its own spelling. Sidelight brings counts to
one form (see CONVENTIONS of the exchange: cached within prompt, reasoning within output), so some
numbers differ by design. Each such difference is a rule here: a name, the reason, and a test that
holds for nothing else. A difference that no rule explains is wrong.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sidelight_sidecar.observer.exchange import OTHER, Exchange

Tape = dict[str, Any]
NOT_READ = frozenset({"gemini", "cohere", "bedrock_converse"})
"""Wire formats of closed services that no engine in a pod serves: times, sizes and status only."""

STATUS_CLASSES = {
    400: "invalid_request", 401: "auth", 403: "auth", 404: "not_found", 408: "timeout",
    422: "invalid_request", 429: "rate_limited", 500: "server_error", 503: "overloaded",
}  # fmt: skip


class Difference(NamedTuple):
    """One field that is not as expected."""

    field: str
    expected: object
    got: object


class Rule(NamedTuple):
    """A difference that is right as it is."""

    name: str
    reason: str
    holds: Callable[[Tape, Exchange, Difference], bool]


def _expected(tape: Tape, field: str) -> int:
    return tape["expect"].get(field) or 0


def _cached_included(tape: Tape, _: Exchange, difference: Difference) -> bool:
    cached = _expected(tape, "cached_tokens") + _expected(tape, "cache_creation_tokens")
    return (
        tape["shape"] == "anthropic_messages"
        and difference.field == "prompt_tokens"
        and difference.got == _expected(tape, "prompt_tokens") + cached
    )


def _cached_apart(tape: Tape, _: Exchange, difference: Difference) -> bool:
    prompt, cached = _expected(tape, "prompt_tokens"), _expected(tape, "cached_tokens")
    return (
        tape["shape"] == "openai_chat"
        and difference.field == "prompt_tokens"
        and cached > prompt
        and difference.got == prompt + cached
    )


def _reasoning_apart(tape: Tape, _: Exchange, difference: Difference) -> bool:
    output, reasoning = _expected(tape, "completion_tokens"), _expected(tape, "reasoning_tokens")
    prompt = _expected(tape, "prompt_tokens")
    total = f'"total_tokens":{prompt + output + reasoning},' in tape["response_body"].replace(
        " ", ""
    )
    return (
        tape["shape"] == "openai_chat"
        and difference.field == "output_tokens"
        and (reasoning > output or total)
        and difference.got == output + reasoning
    )


def _why_incomplete(tape: Tape, _: Exchange, difference: Difference) -> bool:
    return (
        difference.field == "finish_reasons"
        and difference.expected == ["incomplete"]
        and difference.got == [tape["expect"]["incomplete_reason"]]
    )


def _search_by_client(tape: Tape, exchange: Exchange, difference: Difference) -> bool:
    return (
        difference.field in ("tool_calls", "server_tool_calls")
        and '"type":"tool_search_call"' in tape["response_body"]
        and '"execution":"client"' in tape["response_body"]
        and exchange.tool_calls + exchange.server_tool_calls
        == _expected(tape, "tool_calls") + _expected(tape, "server_tool_calls")
    )


def _path_of_a_hub(tape: Tape, exchange: Exchange, difference: Difference) -> bool:
    return (
        tape["shape"] == "tgi"
        and exchange.path == tape["path"]
        and exchange.path != tape["native_path"]
        and exchange.operation == OTHER
        and difference.field in ("output_tokens", "finish_reasons", "error")
    )


def _array_stream(tape: Tape, _: Exchange, difference: Difference) -> bool:
    return difference.field == "stream" and "json_array_stream" in tape["features"]


RULES = (
    Rule(
        "cached-included",
        "Anthropic's input_tokens leave out what was read from a cache or written to it; here the "
        "prompt includes both, as in every other API.",
        _cached_included,
    ),
    Rule(
        "cached-apart",
        "The response names more cached tokens than prompt tokens (Grok on Azure): they cannot be "
        "a part of them, so they are added.",
        _cached_apart,
    ),
    Rule(
        "reasoning-apart",
        "The response's own sums prove that its completion tokens leave out reasoning (xAI: total "
        "= prompt + completion + reasoning; Gemini behind a gateway: more reasoning than "
        "completion); here output includes it.",
        _reasoning_apart,
    ),
    Rule(
        "why-incomplete",
        "The status `incomplete` does not say why a response ended; incomplete_details does, and "
        "that is kept.",
        _why_incomplete,
    ),
    Rule(
        "search-by-client",
        "A tool_search_call with `execution: client` waits for the client: its call, not the "
        "server's.",
        _search_by_client,
    ),
    Rule(
        "path-of-a-hub",
        "/models/NAME is a hub's path in front of TGI; TGI itself does not serve it. The exchange "
        "is `other` there, and read in full at the path that TGI serves.",
        _path_of_a_hub,
    ),
    Rule(
        "array-stream",
        "Gemini without alt=sse streams one JSON array as application/json: by all that HTTP says "
        "it is no stream, and no engine in a pod answers so.",
        _array_stream,
    ),
)


def differences(tape: Tape, exchange: Exchange) -> Iterator[Difference]:
    """What differs. A part that the response does not name is expected to be nought."""
    expect = tape["expect"]
    pairs = [
        ("code", tape["status"], exchange.code),
        ("stream", expect["stream"], exchange.stream),
        ("error", expect["error"], bool(exchange.error)),
        ("unread", "", exchange.unread),
    ]
    if tape["shape"] not in NOT_READ:
        pairs += [
            ("model", expect["model"] or "", exchange.model),
            ("prompt_tokens", expect["prompt_tokens"], exchange.prompt_tokens),
            ("output_tokens", expect["completion_tokens"], exchange.output_tokens),
            ("cached_tokens", expect["cached_tokens"] or 0, exchange.cached_tokens),
            ("reasoning_tokens", expect["reasoning_tokens"] or 0, exchange.reasoning_tokens),
            ("finish_reasons", expect["finish_reasons"], exchange.finish_reasons),
            ("tool_calls", expect["tool_calls"], exchange.tool_calls),
            ("server_tool_calls", expect.get("server_tool_calls", 0), exchange.server_tool_calls),
        ]
    if expect["error"] and exchange.error and exchange.error not in _classes(tape):
        yield Difference("error class", "|".join(_classes(tape)), exchange.error)
    for field, expected, got in pairs:
        if expected != got:
            yield Difference(field, expected, got)


def _classes(tape: Tape) -> tuple[str, ...]:
    """The classes that an error may have: by its status, or the narrower one."""
    if tape["status"] < 400:
        return ("stream_error" if tape["expect"]["stream"] else "server_error", "context_length")
    narrower = ("context_length",) if tape["status"] in (400, 422) else ()
    return (STATUS_CLASSES[tape["status"]], *narrower)


def explained_by(tape: Tape, exchange: Exchange, difference: Difference) -> Rule | None:
    """The rule that makes the difference right, or None: it is wrong."""
    for rule in RULES:
        if rule.holds(tape, exchange, difference):
            return rule
    return None
