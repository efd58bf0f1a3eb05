"""What this package needs of a masker of text, whoever made it.

A masker has to
 * replace each finding by a token in brackets, such as `[EMAIL]` (`TOKEN` in `spans`), and leave
   the rest of the text as it is;
 * be deterministic, and change nothing in a text that it has masked.
"""

from collections.abc import Mapping
from typing import Protocol


class Masked(Protocol):
    """What became of a text."""

    @property
    def text(self) -> str:
        """The text without its findings."""
        ...

    @property
    def findings(self) -> Mapping[str, int]:
        """How often each detector found something."""
        ...


class TextMasker(Protocol):
    """Takes out of a text what nobody is to read."""

    def mask(self, text: str) -> Masked:
        """The text with a token for each finding."""
        ...
