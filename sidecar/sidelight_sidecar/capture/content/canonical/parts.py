"""Parts of messages: what any API's piece of content is in OpenTelemetry's schema.

Types of pieces mean the same wherever they are used, so one table does for all APIs. What is not
known stays as it is: the schema lets a part have any type. Media that were left out are blobs
without content, with what their marker says of them.
"""

from collections.abc import Iterator

import msgspec

from sidelight_sidecar.capture.content import markers
from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json

_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_REASONING = {
    "thinking": "thinking", "reasoning": "text", "reasoning_text": "text", "summary_text": "text",
    "redacted_thinking": "data",
}  # fmt: skip
_MODALITIES = {
    "image_url": "image", "input_image": "image", "image": "image", "input_audio": "audio",
    "audio": "audio", "audio_url": "audio", "video_url": "video", "video": "video",
    "file": "file", "input_file": "file", "document": "file",
}  # fmt: skip
_SOURCES = ("source", "image_url", "audio_url", "video_url", "input_audio", "file", "audio")
_VALUES = ("url", "uri", "data", "file_data", "file_url", "image_url", "image", "base64")
_RESERVED = frozenset({
    "tool_call", "tool_call_response", "blob", "uri", "server_tool_call",
    "server_tool_call_response",
})  # fmt: skip
"""Types of the schema that no API has; a piece that says it is one is not."""
_WHERE = ("http://", "https://", "gs://", "s3://", "file://")


def as_text(value: Json) -> str:
    """A string as it is, nothing as an empty one, and anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def text(content: Json) -> Object:
    """A text."""
    return {"type": "text", "content": as_text(content)}


def reasoning(content: Json) -> Object:
    """What a model thought."""
    return {"type": "reasoning", "content": as_text(content)}


def tool_call(identity: Json, name: Json, arguments: Json) -> Object:
    """A call that the client is to make; arguments that are JSON are an object."""
    part: Object = {"type": "tool_call", "name": as_text(name)}
    if identity:
        part["id"] = as_text(identity)
    part["arguments"] = unpacked(arguments)
    return part


def tool_response(identity: Json, response: Json) -> Object:
    """What a tool answered."""
    part: Object = {"type": "tool_call_response", "response": response}
    if identity:
        part["id"] = as_text(identity)
    return part


def server_call(identity: Json, name: Json, call: Object) -> Object:
    """A call that the server made itself; what it called has a type."""
    part: Object = {"type": "server_tool_call", "name": as_text(name), "server_tool_call": call}
    if identity:
        part["id"] = as_text(identity)
    return part


def unpacked(arguments: Json) -> Json:
    """JSON in a string as what it says."""
    if isinstance(arguments, str):
        try:
            value: Json = msgspec.json.decode(arguments)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return arguments
        return value
    return arguments


def parts_of(content: Json) -> list[Json]:
    """The parts of a message's content: a string, a piece, or a list of either."""
    if isinstance(content, list):
        return [part for one in content for part in _of(one)]
    return list(_of(content))


def media(modality: str, value: str, media_type: str = "") -> Object:
    """An image or the like: inlined, left out, or somewhere else."""
    if value.startswith(_WHERE):
        return {"type": "uri", "modality": modality, "uri": value}
    part: Object = {"type": "blob", "modality": modality}
    known = markers.read_media(value)
    if value.startswith("data:"):
        head, _, value = value.partition(",")
        media_type = media_type or head[5:].partition(";")[0]
    elif known is not None:
        media_type = media_type or known.media_type
    if media_type:
        part["mime_type"] = media_type
    if known is not None:
        part |= {"content": "", "size_bytes": known.size_bytes}
        if known.sha256:
            part["sha256"] = known.sha256
    else:
        part["content"] = "" if value.startswith("[") else value
    return part


def _of(piece: Json) -> Iterator[Json]:
    if isinstance(piece, str):
        if piece:
            yield text(piece)
        return
    if not isinstance(piece, dict):
        return
    kind = piece.get("type")
    kind = kind if isinstance(kind, str) else ""
    if kind in _TEXTS:
        yield text(piece.get(_TEXTS[kind], ""))
    elif kind in _REASONING:
        yield from _reasoning(piece.get(_REASONING[kind], ""))
    elif kind in _MODALITIES:
        yield _media_of(piece, _MODALITIES[kind])
    elif kind:
        yield _tool(piece, kind)
    elif isinstance(piece.get("text"), str):
        yield text(piece["text"])


def _tool(piece: Object, kind: str) -> Object:
    """A call, what came of one, or something that nobody knows."""
    if kind == "tool_use":
        return tool_call(piece.get("id"), piece.get("name"), piece.get("input"))
    if kind == "tool_result":
        return tool_response(piece.get("tool_use_id"), piece.get("content"))
    if kind in ("server_tool_use", "mcp_tool_use"):
        name = as_text(piece.get("name"))
        return server_call(piece.get("id"), name, {"type": name, "input": piece.get("input")})
    if kind.endswith("_tool_result"):
        return {
            "type": "server_tool_call_response",
            "id": as_text(piece.get("tool_use_id")),
            "server_tool_call_response": {"type": kind, "content": piece.get("content")},
        }
    return {"type": f"other_{kind}" if kind in _RESERVED else kind, **_but_type(piece)}


def _but_type(piece: Object) -> Object:
    return {name: value for name, value in piece.items() if name != "type"}


def _reasoning(content: Json) -> Iterator[Json]:
    """Thinking may be a list of texts (Mistral)."""
    if not isinstance(content, list):
        yield reasoning(content)
        return
    for one in content:
        yield reasoning(one.get("text", "") if isinstance(one, dict) else one)


def _media_of(piece: Object, modality: str) -> Object:
    """The media of a part, wherever its API has them."""
    source: Object = piece
    for name in _SOURCES:
        inner = piece.get(name)
        if isinstance(inner, dict):
            source = inner
            break
    declared = source.get("media_type") or source.get("mime_type")
    identity = source.get("file_id")
    if isinstance(identity, str) and identity:
        return {"type": "file", "modality": modality, "file_id": identity}
    for name in _VALUES:
        value = source.get(name)
        if isinstance(value, str):
            return media(modality, value, declared if isinstance(declared, str) else "")
    return {"type": "blob", "modality": modality, "content": ""}
