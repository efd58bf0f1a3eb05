"""Why generation ended: every API's words for it, normalised (CONVENTIONS 4.3).

Ollama, responses and forced calls have no word of their own for an answer that asks for tools:
they say that it stopped, or was completed. Such an answer ended for the tools.
"""

from sidelight_sidecar.observer.exchange import Exchange

NORMAL = {
    "stop": "stop", "eos_token": "stop", "eos": "stop", "stop_sequence": "stop", "word": "stop",
    "end_turn": "stop", "pause_turn": "stop", "completed": "stop",
    "end_id": "stop", "stop_words": "stop",  # TensorRT-LLM's
    "length": "length", "limit": "length", "max_tokens": "length", "max_output_tokens": "length",
    "model_context_window_exceeded": "length", "model_length": "length",
    "tool_calls": "tool_calls", "function_call": "tool_calls", "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "content_filter": "content_filter", "refusal": "content_filter",
    "abort": "abort", "cancelled": "abort",
    "error": "error", "failed": "error",
}  # fmt: skip


def normalised(reason: str) -> str:
    """`stop`, `length`, `tool_calls`, `content_filter`, `abort`, `error` or `other`."""
    return NORMAL.get(reason, "other")


def reasons_of(exchange: Exchange) -> list[str]:
    """Why each choice of an exchange ended, normalised, in the order of the choices."""
    reasons = [normalised(reason) for reason in exchange.finish_reasons]
    if exchange.tool_calls and reasons == ["stop"]:
        return ["tool_calls"]
    return reasons
