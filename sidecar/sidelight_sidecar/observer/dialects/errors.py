"""What an answer's error says, in every shape that servers give one, and which class it is.

Shapes, all of them seen: `error` an object (OpenAI, Anthropic, llama.cpp) or a string (vLLM's 401,
Ollama, TGI with `error_type`, xAI with `code`); all of it flat with `object: "error"` (SGLang, vLLM
before 0.10, Mistral) or without (`{"code", "message"}`, FastAPI's `{"detail"}`), where only the
status says that it is one.

Rules:
1. An HTTP status that is one decides the class (CONVENTIONS 3.4); what is said may only make it
   `context_length`, or TGI's 429 `overloaded`.
2. An error within a stream that began well is `stream_error`, whatever code it names; again except
   `context_length`.
3. What is said is looked at and forgotten: it may quote the prompt.
"""

from typing import Any

from sidelight_sidecar.observer.exchange import Exchange, status_error

MAX_SAID = 600
"""Characters of an error that are looked at; what is known comes in its first sentence."""

_FIELDS = ("type", "code", "error_type", "message", "detail")
_CONTEXT = (
    "context_length_exceeded", "exceed_context_size", "context_window_exceeded",  # codes and types
    "too_many_prompt_tokens", "too_many_tokens",
    "maximum context length", "model's context length", "context window", "context limit",
    "max context length", "the context length", "available context size",
    "context size has been exceeded", "maximum model length", "model's maximum length",
    "prompt is too long", "prompt too long", "too long to fit into the model",
    "input is too long", "input tokens exceeded", "tokens) exceeds the maximum allowed length",
    "maximum prompt length", "maximum allowed input length", "exceeded model token limit",
    "exceeds maximum input length", "exceeds max_input_len", "`inputs` must have less than",
    "`inputs` tokens + `max_new_tokens` must be",
)  # fmt: skip
"""In the words of OpenAI, Anthropic, vLLM, SGLang, llama.cpp, Ollama, TGI, TensorRT-LLM."""
_KEEPS_ITS_CLASS = frozenset({"auth", "not_found", "rate_limited"})
"""Of such a status no words make a prompt that is too long."""


def error_in(answer: dict[str, Any]) -> object:
    """The error that an answer holds, as it is there; None (or nothing at all) when it is none."""
    fault = answer.get("error")
    if fault:
        return {**answer, "message": fault} if isinstance(fault, str) else fault
    if answer.get("object") == "error" or answer.get("type") == "error":
        return answer
    return None


def apply(exchange: Exchange, fault: object) -> None:
    """The answer says that it failed; put the class of it on the exchange."""
    said, code = _said(fault)
    if any(words in said for words in _CONTEXT) and exchange.error not in _KEEPS_ITS_CLASS:
        exchange.error = "context_length"
    elif exchange.error == "rate_limited" and "overloaded" in said:
        exchange.error = "overloaded"
    elif not exchange.error:
        unary = status_error(code) or "server_error"
        exchange.error = "stream_error" if exchange.stream else unary


def _said(fault: object) -> tuple[str, int]:
    """Its words in lower case, and the HTTP status that it names, or 0."""
    if not isinstance(fault, dict):
        return (fault[:MAX_SAID].lower() if isinstance(fault, str) else ""), 0
    words = [fault.get(field) for field in _FIELDS]
    code = fault.get("code")
    return (
        " ".join([word[:MAX_SAID] for word in words if isinstance(word, str)]).lower(),
        code if type(code) is int and 400 <= code < 600 else 0,
    )
