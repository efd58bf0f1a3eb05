"""OpenAI chat and completions, and what is streamed in their shape (vLLM's token ids too)."""

from typing import Any

from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.merge import Merger, Object, Other, Policy
from sidelight_sidecar.capture.content.read_json import Json

_FACTS = frozenset({
    "id", "object", "model", "role", "type", "name", "format", "status", "finish_reason",
    "native_finish_reason", "stop_reason", "matched_stop", "system_fingerprint", "service_tier",
    "provider", "severity", "request_id", "tool_call_id",
})  # fmt: skip
_PIECES = frozenset({
    "content", "reasoning", "reasoning_content", "reasoning_text", "thinking", "refusal",
    "arguments", "text", "summary", "transcript", "data", "input",
})  # fmt: skip
_LISTS = frozenset({"annotations", "citations", "images", "token_ids"})

_LOGPROBS = Policy(last=_FACTS | {"logprobs"}, other=Other.JOIN, extend_all=True)
_DELTA = Policy(last=_FACTS, join=_PIECES, extend=_LISTS)
_MESSAGE = Policy(last=_FACTS)  # Perplexity's: all of it so far, beside the delta
_CHOICE = Policy(
    last=_FACTS,
    join=frozenset({"text"}),
    extend=_LISTS,
    other=Other.SAME,
    under={"delta": _DELTA, "message": _MESSAGE, "logprobs": _LOGPROBS},
)
_CHUNK = Policy(
    last=_FACTS,
    skip=frozenset({"obfuscation"}),
    other=Other.SAME,
    under={"choices": _CHOICE},
)


class OpenAI:
    """Chunks of choices."""

    def __init__(self, budget: Budget) -> None:
        self._merger = Merger(_CHUNK, budget)

    def add(self, event: Object) -> None:
        """A chunk, or an error."""
        self._merger.add(event)

    def merges(self, event: Object) -> tuple[Merger, Object]:
        """All of it is."""
        return self._merger, event

    def whole(self) -> Json:
        """The answer, with a message for each delta."""
        answer = self._merger.whole()
        named = answer.get("object")
        if isinstance(named, str):
            answer["object"] = named.removesuffix(".chunk")
        choices = answer.get("choices")
        if isinstance(choices, list):
            whole = [_choice(one) for one in choices if isinstance(one, dict)]
            whole.sort(key=_index)
            answer["choices"] = list(whole)
        return answer

    def ended(self) -> bool:
        """Each choice has a reason to finish."""
        choices: Any = self._merger.whole().get("choices")
        return bool(choices) and all(
            isinstance(one, dict) and one.get("finish_reason") for one in choices
        )


def _index(choice: Object) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _choice(choice: Object) -> Object:
    delta = choice.pop("delta", None)
    if isinstance(delta, dict) and (delta or "message" not in choice):
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            delta["tool_calls"] = [_without_index(call) for call in calls]
        choice["message"] = delta
    return choice


def _without_index(call: Json) -> Json:
    """A call as it is unstreamed: only a stream needs its index."""
    if isinstance(call, dict):
        return {name: value for name, value in call.items() if name != "index"}
    return call
