"""Outputs of a model behind Triton or the Open Inference Protocol, whatever carries them.

What the outputs are named is the model's choice. Those of the backends for language models are
known: `text_output`, and where the request asks for them `finish_reason`, `num_input_tokens` and
`num_output_tokens` (the latter of this response alone, so that a stream's are added up). Other
outputs are output, but no text, and nobody counts tokens of them.
"""

from collections.abc import Mapping
from typing import Any

from sidelight_sidecar.observer.dialects.base import Dialect, count

TEXT = "text_output"
FINISH = "finish_reason"
PROMPT_TOKENS = "num_input_tokens"
OUTPUT_TOKENS = "num_output_tokens"
KNOWN = frozenset({TEXT, FINISH, PROMPT_TOKENS, OUTPUT_TOKENS})


def read(dialect: Dialect, outputs: Mapping[str, Any]) -> bool:
    """Take in the known outputs of one response; say whether there is text in them."""
    exchange = dialect.exchange
    exchange.choice(0)
    exchange.prompt_tokens = count(_first(outputs.get(PROMPT_TOKENS)), exchange.prompt_tokens)
    tokens = count(_first(outputs.get(OUTPUT_TOKENS)))
    if tokens is not None:
        exchange.output_tokens = (exchange.output_tokens or 0) + tokens
    reason = _first(outputs.get(FINISH))
    if reason != "None":  # Python's, as the backend writes what has not ended
        exchange.finish(0, reason)
    text = outputs.get(TEXT)
    several = text if isinstance(text, list) else [text]
    for index, one in enumerate(several[1:], 1):
        if isinstance(one, str):
            exchange.choice(index)
    dialect.keep(several[0] if several else None)
    return any(isinstance(one, str) and bool(one) for one in several)


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value
