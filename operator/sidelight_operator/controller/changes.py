"""The smallest merge patch (RFC 7396) that turns one JSON object into another."""

from typing import Any

Json = dict[str, Any]


def merge_patch(before: Json, after: Json) -> Json:
    """What to send so that `before` becomes `after`; `{}` when they are equal.

    A plain dump of `after` would leave behind what `before` had and `after` has not.
    """
    patch: Json = {key: None for key in before if key not in after}
    for key, value in after.items():
        known = before.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            if inner := merge_patch(known, value):
                patch[key] = inner
        elif key not in before or known != value:
            patch[key] = value
    return patch
