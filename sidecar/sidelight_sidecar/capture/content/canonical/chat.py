"""Messages with roles: OpenAI chat, Anthropic messages, Ollama chat, and what imitates them."""

from collections.abc import Iterator

from sidelight_sidecar.capture.content.canonical import parts
from sidelight_sidecar.capture.content.canonical.finish import finish_reason
from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json

_ROLES = {
    "developer": "system", "function": "tool", "model": "assistant", "ipython": "tool",
    "system": "system", "user": "user", "assistant": "assistant", "tool": "tool",
}  # fmt: skip
_REASONING = ("reasoning", "reasoning_content", "thinking")


def message(said: Json) -> Object | None:
    """A message of a request; None if it is none."""
    if not isinstance(said, dict):
        return None
    role = said.get("role")
    role = _ROLES.get(role, "user") if isinstance(role, str) else "user"
    if role == "tool":
        identity = said.get("tool_call_id") or said.get("tool_name") or said.get("name")
        found: list[Json] = [parts.tool_response(identity, said.get("content"))]
    else:
        found = list(_parts(said))
        if found and all(_is_response(one) for one in found):
            role = "tool"  # Anthropic's results of tools come from the user
    result: Object = {"role": role, "parts": found}
    name = said.get("name")
    if isinstance(name, str) and name and role != "tool":
        result["name"] = name
    return result


def messages(said: Json) -> list[Json]:
    """The messages of a request."""
    found = [message(one) for one in said] if isinstance(said, list) else []
    return [one for one in found if one is not None]


def output(said: Json, reason: Json, *, truncated: bool) -> Object:
    """A message of an answer."""
    found = list(_parts(said)) if isinstance(said, dict) else []
    return {
        "role": "assistant",
        "parts": found,
        "finish_reason": finish_reason(reason, found, truncated=truncated),
    }


def _is_response(part: Json) -> bool:
    return isinstance(part, dict) and part.get("type") == "tool_call_response"


def _parts(said: Object) -> Iterator[Json]:
    """What a message says, in the order in which it was generated."""
    for name in _REASONING:
        if said.get(name):
            yield parts.reasoning(said[name])
            break
    yield from parts.parts_of(said.get("content"))
    refusal = said.get("refusal")
    if isinstance(refusal, str) and refusal:
        yield parts.text(refusal)
    for image in _list(said.get("images")):
        if isinstance(image, str):
            yield parts.media("image", image)
    audio = said.get("audio")
    if isinstance(audio, dict) and isinstance(audio.get("data"), str):
        yield parts.media("audio", str(audio["data"]))
        if audio.get("transcript"):
            yield parts.text(audio["transcript"])
    for call in (*_list(said.get("tool_calls")), said.get("function_call")):
        if isinstance(call, dict):
            yield _call(call)


def _list(value: Json) -> list[Json]:
    """A list; one object is a list of it (TGI)."""
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) else []


def _call(call: Object) -> Object:
    function = call.get("function")
    inner = function if isinstance(function, dict) else call
    custom = call.get("custom")
    if isinstance(custom, dict):
        return parts.tool_call(call.get("id"), custom.get("name"), custom.get("input"))
    return parts.tool_call(call.get("id"), inner.get("name"), inner.get("arguments"))
