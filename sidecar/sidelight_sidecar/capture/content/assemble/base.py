"""What puts a stream together: pieces in, the answer that would have come unstreamed out."""

from typing import Protocol

from sidelight_sidecar.capture.content.merge import Merger, Object
from sidelight_sidecar.capture.content.read_json import Json


class Assembler(Protocol):
    """Reads the events of one API."""

    def add(self, event: Object) -> None:
        """Take in an event.

        Raises:
            DroppedError: there is too much of it.
        """
        ...

    def merges(self, event: Object) -> tuple[Merger, Object] | None:
        """What of an event that was just added is merged into what.

        None: `add` does more with it than that, or something else.
        """
        ...

    def whole(self) -> Json:
        """The answer, as far as there is one."""
        ...

    def ended(self) -> bool:
        """The API's end has come: nothing is missing."""
        ...
