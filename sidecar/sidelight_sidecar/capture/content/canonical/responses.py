"""OpenAI responses: items in, items out."""

from collections.abc import Iterator

from sidelight_sidecar.capture.content.canonical import chat, parts
from sidelight_sidecar.capture.content.canonical.finish import finish_reason
from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json

_CALLS = frozenset({
    "function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call",
    "apply_patch_call",
})  # fmt: skip
_ARGUMENTS = ("arguments", "input", "action", "operation")


def inputs(said: Json) -> list[Json]:
    """The messages of a request's input."""
    if isinstance(said, str):
        return [{"role": "user", "parts": [parts.text(said)]}]
    return [found for one in (said if isinstance(said, list) else []) if (found := _input(one))]


def outputs(answer: Object, *, truncated: bool) -> list[Json]:
    """The one message that a response is."""
    items = answer.get("output")
    if not isinstance(items, list):
        return []
    found = [part for one in items if isinstance(one, dict) for part in _parts(one)]
    why = answer.get("incomplete_details")
    status = answer.get("status")
    reason = why.get("reason") if isinstance(why, dict) and status == "incomplete" else None
    if reason is None and status not in ("in_progress", "queued"):
        reason = status
    finish = finish_reason(reason, found, truncated=truncated)
    return [{"role": "assistant", "parts": found, "finish_reason": finish}]


def _input(item: Json) -> Object | None:
    if isinstance(item, str):
        return {"role": "user", "parts": [parts.text(item)]}
    if not isinstance(item, dict):
        return None
    kind = item.get("type")
    if "role" in item or kind in (None, "message"):
        return chat.message(item)
    found = list(_parts(item))
    response = isinstance(kind, str) and kind.endswith("_output")
    return {"role": "tool" if response else "assistant", "parts": found} if found else None


def _parts(item: Object) -> Iterator[Json]:
    kind = item.get("type")
    kind = kind if isinstance(kind, str) else ""
    identity = item.get("call_id") or item.get("id")
    if kind == "message":
        yield from parts.parts_of(item.get("content"))
    elif kind == "reasoning":
        for name in ("summary", "content"):
            yield from parts.parts_of(item.get(name))
    elif kind in _CALLS:
        arguments = next((item[name] for name in _ARGUMENTS if name in item), None)
        yield parts.tool_call(identity, item.get("name") or kind, arguments)
    elif kind.endswith("_output"):
        yield parts.tool_response(identity, item.get("output"))
    elif kind == "image_generation_call":
        result = item.get("result")
        if isinstance(result, str):
            yield parts.media("image", result)
    elif kind:
        yield parts.server_call(identity, item.get("name") or kind, dict(item))
