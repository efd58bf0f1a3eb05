"""National numbers with letters among their digits, which prove themselves.

Tax codes of Italy, NIE of Spain, the French numbers of Corsica, CNPJ as it is printed, and National
Insurance numbers in their pairs (these have no check digit; the writing is the proof).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from sidelight_sidecar.capture.mask.checksums import weighted
from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.numbers.national import is_fr_nir
from sidelight_sidecar.capture.mask.scan import EDGE, WORD, Verdict, compiled, scan, unescaped

_DNI = b"TRWAGMYFPDXBNJZSQVHLCKE"
_NINO_PREFIXES_NEVER = frozenset((b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"))
# The Italian code counts odd places by this table, 0-9 as A-J.
_ODD = (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
)  # fmt: skip
_OMOCODIA = bytes.maketrans(b"LMNPQRSTUV", b"0123456789")
_CNPJ = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
_IT_DIGITS = (6, 7, 9, 10, 12, 13, 14)

_SOURCE = (
    EDGE + rb"(?:"
    rb"[A-Z]{6}[0-9L-V]{2}[A-EHLMPRST][0-9L-V]{2}[A-Z][0-9L-V]{3}[A-Z]"
    rb"|[a-z]{6}[0-9]{2}[a-ehlmprst][0-9]{2}[a-z][0-9]{3}[a-z]"
    rb"|[XYZxyz][ -]?\d{7}[ -]?[A-Za-z]"
    rb"|[A-Z]{2} \d\d \d\d \d\d [A-D]"
    rb"|[12] ?\d\d ?\d\d ?2[AB] ?\d{3} ?\d{3} ?\d\d"
    rb"|[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-\d\d"
    rb")\b"
)
_PATTERN = compiled(_SOURCE)


def dni_letter(digits: bytes) -> int:
    """Return the letter of a Spanish number."""
    return _DNI[int(digits) % 23]


def is_es_nie(text: bytes) -> bool:
    """NIE: X, Y or Z, seven digits, the letter of their rest by 23. 0.5 %."""
    return dni_letter(b"%d" % (text[0] - 88) + text[1:8]) == text[8]


def is_uk_nino(text: bytes) -> bool:
    """National Insurance number: letters and prefixes that are never given are none."""
    return (
        text[0] not in b"DFIQUV"
        and text[1] not in b"DFIOQUV"
        and text[:2] not in _NINO_PREFIXES_NEVER
    )


def is_it_codice_fiscale(text: bytes) -> bool:
    """Codice fiscale: day (women's plus 40) and the letter over all. 0.5 %."""
    digits = bytearray(text)
    for place in _IT_DIGITS:
        digits[place] = text[place : place + 1].translate(_OMOCODIA)[0]
    if not all(48 <= digits[place] <= 57 for place in _IT_DIGITS):
        return False
    day = int(digits[9:11])
    values = [byte - 48 if byte < 58 else byte - 65 for byte in text[:15]]
    total = sum(_ODD[value] for value in values[::2]) + sum(values[1::2])
    return (1 <= day <= 31 or 41 <= day <= 71) and 65 + total % 26 == text[15]


def is_corsican_nir(text: bytes) -> bool:
    """The French number of who was born in 2A or 2B: the key counts these as 19 and 18."""
    return is_fr_nir(text.replace(b"2A", b"19", 1).replace(b"2B", b"18", 1))


def is_br_cnpj(text: bytes) -> bool:
    """CNPJ: two weighted digits; from 2026 on letters among the first twelve."""
    if len(text) != 14 or not text[12:].isdigit() or len(set(text)) == 1:
        return False
    for place in (12, 13):
        rest = weighted(text[:place], _CNPJ[13 - place :]) % 11
        if (0 if rest < 2 else 11 - rest) != text[place] - 48:
            return False
    return True


def _kind(text: bytes) -> tuple[str, Callable[[bytes], bool]]:
    """Return which kind a text of this writing can be."""
    if len(text) == 16:
        return "it-codice-fiscale", is_it_codice_fiscale
    if len(text) == 15:
        return "fr-nir", is_corsican_nir
    if len(text) == 14:
        return "br-cnpj", is_br_cnpj
    if text[1:8].isdigit():
        return "es-nie", is_es_nie
    return "uk-nino", is_uk_nino


class LetterNumbers:
    """Finds national numbers with letters in them."""

    names = ("it-codice-fiscale", "fr-nir", "br-cnpj", "es-nie", "uk-nino")
    pattern = _SOURCE

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = frozenset(wanted)

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_PATTERN, data, self._judge)

    def _judge(self, data: bytes, start: int, end: int) -> Verdict:
        start = unescaped(data, start)
        if start and (data[start - 1] in b"-." and start > 1 and data[start - 2] in WORD):
            return None, end
        text = data[start:end].upper().translate(None, b" ./-")
        name, proof = _kind(text)
        found = Finding(start, end, name) if name in self._wanted and proof(text) else None
        return found, end
