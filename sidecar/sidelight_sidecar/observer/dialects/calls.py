"""Tool calls of one answer, counted from the pieces that a stream brings.

A call comes as one piece or as many; servers number them by index, by id, by both, by neither, or
give every call index 0 and an id of its own. A piece begins a new call when its index has not been
seen, or when it has a name and an id that has not been seen.
"""

from sidelight_sidecar.observer.exchange import MAX_CALLS


class Calls:
    """Counts the calls of one answer. Hashes are all that it keeps: an id can be long."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def piece(self, choice: object, index: object, call_id: object, *, named: bool) -> bool:
        """Take a piece of a call; say whether a call begins with it."""
        indexed = type(index) is int
        place = (choice if type(choice) is int else 0, index if indexed else None)
        identity = hash((place, call_id)) if isinstance(call_id, str) and call_id else None
        if not indexed and identity is None:
            return named  # a whole call in one piece: no other kind comes without both
        seen, spot = self._seen, hash(place)
        new = identity is not None and named and identity not in seen
        new |= indexed and spot not in seen
        if len(seen) >= 2 * MAX_CALLS:
            return False
        if new:
            seen.add(spot)
            if identity is not None:
                seen.add(identity)
        return new
