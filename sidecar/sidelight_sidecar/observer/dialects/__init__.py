"""How the APIs of LLM servers speak: one module for each, behind one protocol."""

from sidelight_sidecar.observer.dialects.base import Reader
from sidelight_sidecar.observer.dialects.openai import OpenAIReader
from sidelight_sidecar.observer.dialects.plain import PlainReader
from sidelight_sidecar.observer.exchange import Exchange

_OPENAI = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
}
_PREFIXES = ("/openai",)
"""KServe puts the OpenAI API under it."""


def classify(method: str, path: str) -> str:
    """The operation of a request, `other` when no dialect knows it."""
    path = path.partition("?")[0]
    for prefix in _PREFIXES:
        path = path.removeprefix(prefix)
    return _OPENAI.get(path, "other") if method == "POST" else "other"


def reader_for(exchange: Exchange) -> Reader:
    """What reads the response of `exchange`, whose operation is known."""
    return OpenAIReader(exchange) if exchange.generating else PlainReader(exchange)
