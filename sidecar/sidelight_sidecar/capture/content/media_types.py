"""What a body is, by its content type and its API."""

import enum
import re

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_NUMBER = re.compile(r"[0-9]{5}")
_LINES = frozenset({
    "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
    "application/stream+json", "application/json-lines",
})  # fmt: skip
_SHAPELESS = frozenset({
    "", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain", "*/*",
})  # fmt: skip
"""Types that say nothing: curl's default, a server's default."""
_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})


class Form(enum.Enum):
    """How a body is read."""

    JSON = enum.auto()
    EVENTS = enum.auto()
    LINES = enum.auto()
    TEXT = enum.auto()
    SHAPELESS = enum.auto()
    """JSON if it is some, else text if it says so."""
    NONE = enum.auto()


def media_type(content_type: str) -> str:
    """The type without parameters; empty if it is none, or could hold something else."""
    plain = content_type.partition(";")[0].strip().lower()
    return plain if _TYPE.fullmatch(plain) and not _NUMBER.search(plain) else ""


def readable_charset(content_type: str) -> bool:
    """Whether the text is in UTF-8, as far as it is said."""
    for parameter in content_type.lower().split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            return value.strip().strip("\"'") in _CHARSETS
    return True


def form_of(content_type: str) -> Form:
    """How a body of this type is read."""
    kind = media_type(content_type)
    if kind == "text/event-stream":
        return Form.EVENTS
    if kind in _LINES:
        return Form.LINES
    if kind in ("application/json", "text/json") or kind.endswith("+json"):
        return Form.JSON
    if kind in _SHAPELESS:
        return Form.SHAPELESS
    return Form.TEXT if kind.startswith("text/") else Form.NONE
