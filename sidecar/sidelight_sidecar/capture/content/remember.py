"""A masker that remembers the words of APIs: half of what it is asked for are their field names.

Only what may be such a word or the name of a model is remembered, and only if nothing was found in
it: letters, digits and a few signs, with no digit in front, and short. A word of somebody's text
may be among them; it is one of some thousand, without the text around it, and never leaves this
memory.
"""

import re

from sidelight_sidecar.capture.content.masker import Masked, TextMasker

WORD_CHARACTERS = 32
"""`meta-llama/Llama-3.1-8B-Instruct`; an id of 32 digits with something before it is longer."""
WORDS = 4096
"""Ten APIs with their fields, roles and types have some hundred."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]*+")


class Remembering:
    """Asks another masker, but not twice for the same word.

    Attributes:
        words: those that were looked at in every way, as texts are (`Texts`), and had nothing.
    """

    def __init__(self, masker: TextMasker) -> None:
        self._masker = masker
        self._known: dict[str, Masked] = {}
        self.words: set[str] = set()

    def note(self, text: str) -> None:
        """A text that was looked at in every way, and has nothing."""
        if _is_word(text):
            if len(self.words) >= WORDS:
                self.words.clear()
            self.words.add(text)

    def mask(self, text: str) -> Masked:
        """As the other one does."""
        if not _is_word(text):
            return self._masker.mask(text)
        known = self._known.get(text)
        if known is not None:
            return known
        masked = self._masker.mask(text)
        if masked.text == text and not masked.findings:
            if len(self._known) >= WORDS:
                self._known.clear()
            self._known[text] = masked
        return masked


def _is_word(text: str) -> bool:
    return len(text) <= WORD_CHARACTERS and _NAME.fullmatch(text) is not None
