"""llama.cpp's `timings`: counts of tokens that its OpenAI routes give whether usage was asked for
or not, and times.
"""

from typing import Any

from sidelight_sidecar.observer.dialects.base import count
from sidelight_sidecar.observer.dialects.usage import read
from sidelight_sidecar.observer.engine_times import EngineTimes, milliseconds
from sidelight_sidecar.observer.exchange import Exchange


def read_times(exchange: Exchange, timings: dict[str, Any]) -> None:
    """Put the times on the exchange."""
    exchange.engine_times = EngineTimes(
        prefill_ns=milliseconds(timings.get("prompt_ms")),
        decode_ns=milliseconds(timings.get("predicted_ms")),
    )


def read_timings(exchange: Exchange, timings: dict[str, Any]) -> None:
    """Put the counts on the exchange. `prompt_n` is what was computed, without the cache's part."""
    cached = count(timings.get("cache_n"), 0) or 0
    prompt = count(timings.get("prompt_n"))
    whole = prompt + cached if prompt is not None else None
    read(exchange, whole, timings.get("predicted_n"), cached=cached)
