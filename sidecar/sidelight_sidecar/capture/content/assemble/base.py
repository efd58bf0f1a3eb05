"""What puts a stream together: pieces in, the answer that would have come unstreamed out."""

from typing import Protocol

from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json


class Assembler(Protocol):
    """Reads the events of one API."""

    def add(self, event: Object) -> None:
        """Take in an event.

        Raises:
            DroppedError: there is too much of it.
        """
        ...

    def whole(self) -> Json:
        """The answer, as far as there is one."""
        ...

    def ended(self) -> bool:
        """The API's end has come: nothing is missing."""
        ...
