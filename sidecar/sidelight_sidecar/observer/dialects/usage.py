"""The engine's counts of tokens, brought to one form.

On an exchange `prompt_tokens` includes what came from a cache and `output_tokens` includes
reasoning, so that each part is at most its whole. Most servers count so; where one does not, and
its own numbers prove it, the part is added:
    a part that is larger than its whole was left out of it;
    so was reasoning where total = prompt + completion + reasoning (xAI's chat completions).
Where nothing proves it, numbers are taken as they are.
"""

from typing import Any

from sidelight_sidecar.observer.dialects.base import count
from sidelight_sidecar.observer.exchange import Exchange


def read_openai(exchange: Exchange, usage: dict[str, Any]) -> None:
    """`usage` of chat, completions and embeddings. It is cumulative: what it says replaces."""
    read(
        exchange,
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        cached=_part(usage, "prompt_tokens_details", "cached_tokens", "prompt_cache_hit_tokens"),
        reasoning=_part(usage, "completion_tokens_details", "reasoning_tokens", "reasoning_tokens"),
        total=usage.get("total_tokens"),
    )


def read_responses(exchange: Exchange, usage: dict[str, Any]) -> None:
    """`usage` of responses."""
    read(
        exchange,
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        cached=_part(usage, "input_tokens_details", "cached_tokens", ""),
        reasoning=_part(usage, "output_tokens_details", "reasoning_tokens", ""),
        total=usage.get("total_tokens"),
    )


def read(
    exchange: Exchange,
    prompt: object,
    output: object,
    *,
    cached: object = None,
    reasoning: object = None,
    total: object = None,
) -> None:
    """Put counts on the exchange; what is no count leaves the one that was there."""
    whole = count(prompt)
    if whole is not None:
        part = count(cached, exchange.cached_tokens) or 0
        exchange.prompt_tokens = whole + part if part > whole else whole
        exchange.cached_tokens = part
    made = count(output)
    if made is not None:
        part = count(reasoning, exchange.reasoning_tokens) or 0
        apart = part > made or (part > 0 and count(total) == (whole or 0) + made + part)
        exchange.output_tokens = made + part if apart else made
        exchange.reasoning_tokens = part


def _part(usage: dict[str, Any], details: str, name: str, beside: str) -> object:
    """A count within the details; else where some servers put it, beside the whole."""
    inner = usage.get(details)
    if isinstance(inner, dict) and count(inner.get(name)) is not None:
        return inner[name]
    return usage.get(beside)
