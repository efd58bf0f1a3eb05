"""Why generation ended, in the words of a message (OpenTelemetry's GenAI conventions v1.41.1).

The schema has `stop`, `length`, `content_filter`, `tool_call` and `error`. An answer that was
broken off has no reason, and gets `error`; so does one that was aborted.
"""

from sidelight_sidecar.capture.content.read_json import Json

_REASONS = {
    "stop": "stop", "eos_token": "stop", "eos": "stop", "stop_sequence": "stop", "word": "stop",
    "end_turn": "stop", "pause_turn": "stop", "completed": "stop", "end_id": "stop",
    "stop_words": "stop", "unload": "stop", "load": "stop",
    "length": "length", "limit": "length", "max_tokens": "length", "max_output_tokens": "length",
    "model_context_window_exceeded": "length", "model_length": "length",
    "tool_calls": "tool_call", "function_call": "tool_call", "tool_use": "tool_call",
    "tool_call": "tool_call",
    "content_filter": "content_filter", "refusal": "content_filter",
    "abort": "error", "cancelled": "error", "error": "error", "failed": "error",
}  # fmt: skip


def finish_reason(said: Json, parts: list[Json], *, truncated: bool) -> str:
    """The reason; `stop` of an answer that asks for tools is `tool_call`."""
    if isinstance(said, dict):  # SGLang's
        said = said.get("type")
    reason = _REASONS.get(said, "stop") if isinstance(said, str) and said else ""
    if not reason:
        reason = "error" if truncated else "stop"
    calls = any(isinstance(one, dict) and one.get("type") == "tool_call" for one in parts)
    return "tool_call" if reason == "stop" and calls else reason
