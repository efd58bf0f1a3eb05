"""The masker: a text in, the text without what the detectors found out, and how often each did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidelight_sidecar.capture.mask.custom import custom_patterns
from sidelight_sidecar.capture.mask.finding import Finding, label
from sidelight_sidecar.capture.mask.folding import fold
from sidelight_sidecar.capture.mask.overlaps import merged
from sidelight_sidecar.capture.mask.registry import DETECTORS, finders
from sidelight_sidecar.capture.mask.scan import compiled

# A label may part what was glued together, and so prove something that was none before: the masked
# text is searched again. Two rounds do for any text that was not made to need more.
MAX_ROUNDS = 8

_LABEL = compiled(rb"\[[A-Z][A-Z0-9_]{0,40}\]")
_NOTHING: Mapping[str, int] = {}


class MaskError(Exception):
    """A text that could not be masked. It is not passed on."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A masked text, and the findings by detector."""

    text: str
    findings: Mapping[str, int]


class TextMasker:
    """Masks texts. The caller bounds their length; time is linear in it.

    Args:
        detectors: names of built-in ones; all of them by default.
        patterns: the user's own, as name and RE2 syntax.

    Raises:
        ValueError: there is no such detector, or (PatternError) a pattern cannot be used.
    """

    def __init__(
        self,
        detectors: Collection[str] = DETECTORS,
        patterns: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._finders = finders(detectors)
        self._custom = custom_patterns(patterns, frozenset(DETECTORS))
        names = [*(name for name, _ in patterns), *DETECTORS]
        self._rank = {name: rank for rank, name in enumerate(names)}
        self._labels = {name: label(name).encode() for name in names}
        self._known = frozenset(self._labels.values())

    def mask(self, text: str) -> Masked:
        """Mask a text; without findings the same object comes back.

        Raises:
            MaskError: it was made so that masking it does not end.
        """
        data = text.encode("utf-8", "surrogatepass")
        findings = self._find(text, data)
        if not findings:
            return Masked(text, _NOTHING)
        counts: Counter[str] = Counter()
        for _ in range(MAX_ROUNDS):
            counts.update(found.name for found in findings)
            data = self._replaced(data, findings)
            text = data.decode("utf-8", "surrogatepass")
            findings = self._find(text, data)
            if not findings:
                return Masked(text, dict(counts))
        raise MaskError(f"still something to mask after {MAX_ROUNDS} rounds")

    def findings(self, text: str) -> list[Finding]:
        """Return where the first round of masking finds something, in characters of the text."""
        data = text.encode("utf-8", "surrogatepass")
        result = []
        done = characters = 0
        for start, end, name in self._find(text, data):
            characters += _characters(data[done:start])
            size = _characters(data[start:end])
            result.append(Finding(characters, characters + size, name))
            characters += size
            done = end
        return result

    def _find(self, text: str, data: bytes) -> list[Finding]:
        """Return the findings in the bytes of a text, in its order, none over another."""
        found: list[Finding] = []
        folded = fold(text, data)
        for finder in self._finders:
            for start, end, name in finder.find(folded.data):
                found.append(Finding(*folded.span(start, end), name))
            if folded.joined:  # it may have stood between two words as well as in a number
                found += finder.find(data)
        for custom in self._custom:
            found += custom.find(data)
        if found and b"[" in data:
            found = self._outside_labels(data, found)
        return merged(found, self._rank) if found else found

    def _outside_labels(self, data: bytes, found: Iterable[Finding]) -> list[Finding]:
        """Leave out what lies in a label of ours or holds a part of one."""
        spans = [
            match.span()
            for match in _LABEL.finditer(data)
            if data[match.start() : match.end()] in self._known
        ]
        result = []
        place = 0
        for finding in sorted(found):
            while place < len(spans) and spans[place][1] <= finding.start:
                place += 1
            if not _touches(spans, place, finding):
                result.append(finding)
        return result

    def _replaced(self, data: bytes, findings: Iterable[Finding]) -> bytes:
        pieces: list[bytes] = []
        done = 0
        for finding in findings:
            pieces += (data[done : finding.start], self._labels[finding.name])
            done = finding.end
        pieces.append(data[done:])
        return b"".join(pieces)


def _characters(data: bytes) -> int:
    return len(data.decode("utf-8", "surrogatepass"))


def _touches(spans: Sequence[tuple[int, int]], place: int, finding: Finding) -> bool:
    """Say whether a finding cuts a label or lies in it, instead of holding it whole."""
    while place < len(spans) and spans[place][0] < finding.end:
        start, end = spans[place]
        inside = start <= finding.start and finding.end <= end
        cut = start < finding.start < end or start < finding.end < end
        if inside or cut:
            return True
        place += 1
    return False
