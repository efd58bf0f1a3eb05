"""Log probabilities of a stream, of which nothing is passed on where content is masked.

They are ten times the text, and would only be put together to be left out: with twenty
alternatives a token, a thousand tokens are as many values as a body may have.
"""

from sidelight_sidecar.capture.content import fields, markers
from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json

_WITHIN = frozenset({
    "choices", "delta", "meta_info", "details", "part", "item", "response", "content",
})  # fmt: skip
_NESTED = (list, dict)


def without_logprobs(event: Object) -> Object:
    """The event with a marker for each list or object of log probabilities; it itself, if it has
    none.
    """
    if not _has_some(event):
        return event
    return {name: _value(name, value) for name, value in event.items()}


def _has_some(event: Object) -> bool:
    """Whether there may be any: of most events nothing is to be made anew."""
    for name, value in event.items():
        if not value or type(value) not in _NESTED:
            continue
        if name in fields.LOGPROBS:
            return True
        if name in _WITHIN:
            ones = value if isinstance(value, list) else [value]
            if any(isinstance(one, dict) and _has_some(one) for one in ones):
                return True
    return False


def _value(name: str, value: Json) -> Json:
    if not value or not isinstance(value, list | dict):
        return value
    if name in fields.LOGPROBS and not _is_ids(value):
        return markers.LOGPROBS
    if name not in _WITHIN:
        return value
    if isinstance(value, dict):
        return without_logprobs(value)
    return [without_logprobs(one) if isinstance(one, dict) else one for one in value]


def _is_ids(value: list[Json] | dict[str, Json]) -> bool:
    """Tokens' ids are counted, not marked as probabilities (llama.cpp's `tokens`)."""
    return isinstance(value, list) and isinstance(value[0], int | float)
