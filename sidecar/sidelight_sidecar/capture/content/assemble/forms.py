"""Log probabilities of a stream, of which nothing is passed on where content is masked.

They are ten times the text, and would only be put together to be left out: with twenty
alternatives a token, a thousand tokens are as many values as a body may have.
"""

from sidelight_sidecar.capture.content import fields, markers
from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json

_WITHIN = ("choices", "delta", "meta_info", "details", "part", "item", "response", "content")


def without_logprobs(event: Object) -> Object:
    """The event with a marker for each list or object of log probabilities."""
    return {name: _value(name, value) for name, value in event.items()}


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
