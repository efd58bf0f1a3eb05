"""Structural rules at work: parts of a body that are left out before anything else happens.

Strings become a marker, lists of tools become empty, so that the body keeps its shape. The rules
go by roles, types and names of fields, which the APIs that have them spell alike; the names that
mean something at the top of a body alone are looked for there alone.
"""

from sidelight_sidecar.capture.content import markers
from sidelight_sidecar.capture.content.read_json import Json
from sidelight_sidecar.capture.content.rules import Rules

_SYSTEM_ROLES = frozenset({"system", "developer"})
_SYSTEM_FIELDS = frozenset({
    "system", "instructions", "system_prompt", "system_instruction", "systemInstruction",
    "preamble",
})  # fmt: skip
_TOOL_ROLES = frozenset({"tool", "function", "ipython"})
_CONTENT = frozenset({"content", "parts", "text", "output"})
_RESULT_ENDS = ("_output", "tool_result", "_response")
_RESULT_FACTS = frozenset({
    "type", "id", "call_id", "tool_use_id", "tool_call_id", "status", "name", "is_error", "role",
})  # fmt: skip
_RESULTS_OF_CALLS = frozenset({"output", "outputs", "results"})
_TOOL_FIELDS = frozenset({"tools", "functions"})
_MODALITIES = {
    "image_url": "image", "input_image": "image", "image": "image", "output_image": "image",
    "input_audio": "audio", "audio": "audio", "audio_url": "audio", "output_audio": "audio",
    "video_url": "video", "video": "video", "input_video": "video",
    "file": "file", "input_file": "file", "document": "file",
}  # fmt: skip
_MEDIA_FIELDS = {
    "images": "image", "image_data": "image", "b64_json": "image", "inlineData": "file",
    "inline_data": "file", "fileData": "file", "audio_data": "audio", "video_data": "video",
    "audio": "audio",
}  # fmt: skip
_MEDIA_FACTS = frozenset({
    "type", "detail", "format", "media_type", "mime_type", "mimeType", "mediaType", "voice",
})  # fmt: skip


def left_out(body: Json, rules: Rules) -> Json:
    """The body without what the rules leave out."""
    if not (rules.system_prompts or rules.tool_results or rules.tool_definitions or rules.media):
        return body
    return _value(body, rules, top=True)


def _value(value: Json, rules: Rules, *, top: bool = False) -> Json:
    if isinstance(value, list):
        return [_value(one, rules) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    kind = kind if isinstance(kind, str) else ""
    role = value.get("role")
    role = role if isinstance(role, str) else ""
    if rules.media and kind in _MODALITIES:
        return _media(value, _MODALITIES[kind])
    return {
        name: _field(name, one, role, kind, rules, top=top) if one is not None else None
        for name, one in value.items()
    }


def _field(name: str, value: Json, role: str, kind: str, rules: Rules, *, top: bool) -> Json:
    if rules.system_prompts and (
        (role in _SYSTEM_ROLES and name in _CONTENT) or (top and name in _SYSTEM_FIELDS)
    ):
        return markers.SYSTEM
    if rules.tool_results and _is_result(name, role, kind):
        return markers.TOOL_RESULT
    if rules.tool_definitions and _is_tools(name, value, kind, top=top):
        return []
    if rules.media:
        if name in _MEDIA_FIELDS:
            return _media(value, _MEDIA_FIELDS[name])
        if kind == "image_generation_call" and name == "result":
            return markers.dropped("image")
    return _value(value, rules)


def _is_tools(name: str, value: Json, kind: str, *, top: bool) -> bool:
    return name in _TOOL_FIELDS and isinstance(value, list) and (top or kind == "mcp_list_tools")


def _is_result(name: str, role: str, kind: str) -> bool:
    if role in _TOOL_ROLES and name in _CONTENT:
        return True
    if kind.endswith(_RESULT_ENDS):
        return name not in _RESULT_FACTS
    return name == "functionResponse" or (kind.endswith("_call") and name in _RESULTS_OF_CALLS)


def _media(value: Json, modality: str) -> Json:
    """Every string becomes the marker, but those that say what it is."""
    if isinstance(value, str):
        return markers.dropped(modality)
    if isinstance(value, list):
        return [_media(one, modality) for one in value]
    if isinstance(value, dict):
        return {
            name: one if name in _MEDIA_FACTS and isinstance(one, str) else _media(one, modality)
            for name, one in value.items()
        }
    return value
