"""One text of a body, masked and cut: the only way for a string to get out.

Rules:
1. Every string that is passed on has been through here as it is passed on, and is one that the
   masker would leave as it is.
2. Texts are cut after they were masked, between characters and never within a token; what is left
   of a number that was cut is masked again.
3. The masker is asked so many times for an exchange and no more: asking costs some microseconds
   however short the text.
"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from sidelight_sidecar.capture.content import encoded
from sidelight_sidecar.capture.content.adjacent import mask_adjacent
from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.limits import DEFAULT, Limits
from sidelight_sidecar.capture.content.masker import TextMasker
from sidelight_sidecar.capture.content.remember import Remembering
from sidelight_sidecar.capture.content.rules import Rules
from sidelight_sidecar.capture.content.spans import TOKEN

_SHORT_CHARACTERS = 64
_REMEMBERED = 4096
"""Short texts come again and again in a body: roles, types, keys."""
_NOTHING: Mapping[str, int] = {}


class Texts:
    """Masks the texts of one exchange, and counts what it finds.

    Args:
        masker: None where content is passed on as it is (`Full`).
        rules: the owner's.
        limits: how often the masker is asked.

    Attributes:
        findings: how often each detector found something.
        masking: there is a masker.
        changes: something is done with texts at all.
        known: words that the masker leaves as they are; they grow.
        plain: of those, such as are passed on in full length, too.
    """

    def __init__(self, masker: TextMasker | None, rules: Rules, limits: Limits = DEFAULT) -> None:
        self.findings: Counter[str] = Counter()
        self.masking = masker is not None
        self._masker = masker
        self._inlined = rules.media or self.masking
        self._most = rules.max_characters
        self.changes = self._inlined or self._most > 0
        self._asked = Budget(limits.texts)
        self._words = masker if isinstance(masker, Remembering) else None
        self.known: AbstractSet[str] = self._words.words if self._words else frozenset()
        self.plain = self.known if not self._most else frozenset()
        self._known: dict[str, tuple[str, Mapping[str, int]]] = {}

    def leaf(self, text: str) -> str:
        """A text as it is passed on."""
        return self.cut(self.masked(text))

    def masked(self, text: str) -> str:
        """A text without what is not to be read, in full length.

        Raises:
            DroppedError: the masker was asked too often.
        """
        if self._masker is None:
            return encoded.data_urls(text) if self._inlined else text
        masked, found = self._looked_at(text)
        if found:
            self.findings.update(found)
        return masked

    def adjacent(self, parts: list[str]) -> list[str]:
        """Texts that belong together, each masked, and masked as one."""
        seen: dict[str, str] = {}  # the detectors' names by their tokens

        def look(text: str) -> str:
            masked, found = self._looked_at(text)
            seen.update({f"[{name.upper().replace('-', '_')}]": name for name in found})
            return masked

        masked, tokens = mask_adjacent(parts, self.masked, look)
        self.findings += Counter(seen[token] for token in tokens if token in seen)
        return masked

    def cut(self, text: str) -> str:
        """The beginning of a masked text, and how many characters are left out."""
        if not self._most or len(text) <= self._most or TOKEN.fullmatch(text):
            return text
        head = text[: self._most]
        bracket = head.rfind("[")
        if bracket >= 0 and "]" not in head[bracket:] and TOKEN.match(text, bracket):
            head = head[:bracket]
        left = len(text) - len(head)
        if self._masker is not None:
            head = self._ask(head)[0]
        return f"{head}…[+{left} characters]"

    def clean(self, text: str) -> bool:
        """Whether the masker would leave a text as it is."""
        return self._masker is None or self._ask(text)[0] == text

    def _looked_at(self, text: str) -> tuple[str, Mapping[str, int]]:
        if text in self.known:
            return text, _NOTHING
        if len(text) > _SHORT_CHARACTERS:
            return self._mask(text)
        known = self._known.get(text)
        if known is None:
            known = self._mask(text)
            if self._words is not None and not known[1] and known[0] == text:
                self._words.note(text)
            if len(self._known) < _REMEMBERED:
                self._known[text] = known
        return known

    def _mask(self, text: str) -> tuple[str, Mapping[str, int]]:
        masked, found = self._ask(encoded.data_urls(text))
        within: Counter[str] = Counter()

        def finds(hidden: str) -> bool:
            shown, more = self._ask(hidden)
            within.update(more)
            return shown != hidden

        shown = encoded.hidden(masked, finds)
        if shown != masked:
            masked, more = self._ask(shown)
            within.update(more)
        return masked, within + Counter(found) if within else found

    def _ask(self, text: str) -> tuple[str, Mapping[str, int]]:
        assert self._masker is not None
        self._asked.spend()
        masked = self._masker.mask(text)
        return masked.text, masked.findings
