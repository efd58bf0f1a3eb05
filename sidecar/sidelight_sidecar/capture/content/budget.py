"""How many more values may be kept of a body."""

from sidelight_sidecar.capture.content.dropped import Dropped, DroppedError
from sidelight_sidecar.capture.content.read_json import Json


class Budget:
    """Counts down."""

    __slots__ = ("_left",)

    def __init__(self, values: int) -> None:
        self._left = values

    def spend(self, values: int = 1) -> None:
        """Take some values.

        Raises:
            DroppedError: there are too many.
        """
        self._left -= values
        if self._left < 0:
            raise DroppedError(Dropped.TOO_MANY)

    def spend_on(self, value: Json) -> None:
        """Take as many as a value is made of."""
        waiting = [value]
        while waiting:
            self.spend()
            one = waiting.pop()
            if isinstance(one, list):
                waiting += one
            elif isinstance(one, dict):
                waiting += one.values()
