"""Text in, text out: completions and the engines' own generation."""

from collections.abc import Iterator

from sidelight_sidecar.capture.content.canonical import parts
from sidelight_sidecar.capture.content.canonical.finish import finish_reason
from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json

_ASKED = ("prompt", "inputs", "text_input", "text", "input", "input_prefix")
_ANSWERED = (
    "generated_text", "text_output", "response", "content", "text", "outputs", "output", "data",
)  # fmt: skip
_TENSORS = frozenset({"text_input", "prompt", "text_output", "input_text", "output_text"})


def inputs(request: Object) -> list[Json]:
    """A message for each prompt."""
    for name in _ASKED:
        if name in request:
            return [{"role": "user", "parts": [parts.text(one)]} for one in _texts(request[name])]
    return []


def outputs(answer: Json, *, truncated: bool) -> list[Json]:
    """A message for each text of an answer."""
    if isinstance(answer, list):
        return [message for one in answer for message in outputs(one, truncated=truncated)]
    if not isinstance(answer, dict):
        return []
    for name in _ANSWERED:
        if isinstance(answer.get(name), str | list):
            found = list(_texts(answer[name]))
            reasons = _reasons(answer)
            return [
                _message(answer, one, reasons[i] if i < len(reasons) else None, truncated=truncated)
                for i, one in enumerate(found)
            ]
    return []


def _message(answer: Object, text: str, reason: Json, *, truncated: bool) -> Object:
    found: list[Json] = [parts.text(text)] if text else []
    thought = answer.get("thinking") or answer.get("reasoning_content")
    if thought:
        found.insert(0, parts.reasoning(thought))
    return {
        "role": "assistant",
        "parts": found,
        "finish_reason": finish_reason(reason, found, truncated=truncated),
    }


def _reasons(answer: Object) -> list[Json]:
    for place in (answer, answer.get("details"), answer.get("meta_info")):
        if not isinstance(place, dict):
            continue
        for name in ("finish_reason", "done_reason", "stop_type"):
            said = place.get(name)
            if said is not None:
                return said if isinstance(said, list) else [said]
    return []


def _texts(value: Json) -> Iterator[str]:
    """Texts: one, several, or those of tensors."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, str):
                yield one
            elif isinstance(one, dict) and one.get("name") in _TENSORS:
                yield from _texts(one.get("data"))
            elif isinstance(one, list):
                yield from _texts(one)
