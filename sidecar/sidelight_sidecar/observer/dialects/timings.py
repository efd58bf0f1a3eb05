"""llama.cpp's `timings`: counts of tokens that its OpenAI routes give whether usage was asked for
or not.
"""

from typing import Any

from sidelight_sidecar.observer.dialects.base import count
from sidelight_sidecar.observer.dialects.usage import read
from sidelight_sidecar.observer.exchange import Exchange


def read_timings(exchange: Exchange, timings: dict[str, Any]) -> None:
    """Put the counts on the exchange. `prompt_n` is what was computed, without the cache's part."""
    cached = count(timings.get("cache_n"), 0) or 0
    prompt = count(timings.get("prompt_n"))
    whole = prompt + cached if prompt is not None else None
    read(exchange, whole, timings.get("predicted_n"), cached=cached)
