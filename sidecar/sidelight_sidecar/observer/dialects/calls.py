"""Tool calls of one answer, counted from the pieces that a stream brings.

A call comes as one piece or as many; servers number them by index, by id, by both, by neither, or
give every call index 0 and an id of its own. A piece begins a new call when its index has not been
seen, or when it has a name and an id that has not been seen.
"""

MAX_CALLS = 512
"""Calls that are told apart; an answer with more of them is counted no further."""


class Calls:
    """Counts the calls of one answer."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: set[tuple[object, object]] = set()

    def piece(self, choice: object, index: object, call_id: object, *, named: bool) -> bool:
        """Take a piece of a call; say whether a call begins with it."""
        place = (choice if type(choice) is int else 0, index if type(index) is int else None)
        identity = (place, call_id[:128]) if isinstance(call_id, str) and call_id else None
        seen = self._seen
        if place[1] is None and identity is None:
            return named  # a whole call in one piece: no other kind comes without both
        new = identity is not None and named and identity not in seen
        new |= place[1] is not None and place not in seen
        if len(seen) >= 2 * MAX_CALLS:
            return False
        if new:
            seen.add(place)
            if identity is not None:
                seen.add(identity)
        return new
