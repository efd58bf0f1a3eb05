"""JSON within a limit of bytes, that is JSON still: long texts are cut first, then lists and
objects lose elements. Pure; each try costs a pass, and there are some twenty at most.

Of a list the last elements stay: of a conversation that is what was asked.
"""

from typing import NamedTuple

import msgspec

from sidelight_sidecar.capture.content.read_json import Json

CUT = "… [cut]"
_FEWEST_CHARACTERS = 32
_MOST_ELEMENTS = 256


class Fitted(NamedTuple):
    """A value as JSON."""

    text: str
    cut: bool
    """Something is missing."""


def fit(value: Json, limit: int) -> Fitted:
    """`value` as JSON of so many bytes at most."""
    text = msgspec.json.encode(value)
    if len(text) <= limit:
        return Fitted(text.decode(), cut=False)
    characters, elements = limit, _MOST_ELEMENTS
    while elements:
        text = msgspec.json.encode(_shortened(value, characters, elements))
        if len(text) <= limit:
            return Fitted(text.decode(), cut=True)
        if characters > _FEWEST_CHARACTERS:
            characters //= 2
        else:
            elements //= 2
    return Fitted("[]" if isinstance(value, list) else "{}", cut=True)


def _shortened(value: Json, characters: int, elements: int) -> Json:
    if isinstance(value, str):
        return value if len(value) <= characters else value[:characters] + CUT
    if isinstance(value, list):
        kept = value if len(value) <= elements else value[-elements:]
        return [_shortened(one, characters, elements) for one in kept]
    if isinstance(value, dict):
        names = value if len(value) <= elements else list(value)[:elements]
        return {name: _shortened(value[name], characters, elements) for name in names}
    return value
