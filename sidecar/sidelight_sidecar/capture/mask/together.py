"""Several finders behind one search: most texts have nothing for any of them.

One pass for all patterns at once costs about what one of them does. Only a text in which it finds
something is searched by each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.scan import compiled

# The patterns together compile in a third of this.
MEMORY_BYTES = 8 << 20


class Patterned(Protocol):
    """A finder that finds nothing where its pattern matches nothing."""

    @property
    def pattern(self) -> bytes:
        """Return the pattern's source."""
        ...

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings."""
        ...


class Together:
    """Finds what any of these finds."""

    def __init__(self, finders: Sequence[Patterned]) -> None:
        self._finders = finders
        source = b"|".join(b"(?:" + finder.pattern + b")" for finder in finders)
        self._any = compiled(source, MEMORY_BYTES)

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        if self._any.search(data) is not None:
            for finder in self._finders:
                yield from finder.find(data)
