"""Payment cards: the issuers' ranges, each with its lengths, and Luhn.

Ranges are those of ISO/IEC 7812 as the networks publish them: American Express, Diners Club,
Discover, JCB, Maestro, Mastercard, Mir, RuPay, Troy, UnionPay, Verve, Visa. Visa's old numbers of
13 digits are left out: none is in use, and a time in milliseconds has 13.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from sidelight_sidecar.capture.mask.checksums import luhn
from sidelight_sidecar.capture.mask.numbers.kind import Kind, Shape

# First and last prefix (of six digits), lengths.
_ISSUERS = (
    (220000, 220499, (16, 17, 18, 19)),  # Mir
    (222100, 272099, (16,)),  # Mastercard
    (300000, 305999, (14, 16)),  # Diners Club
    (309500, 309599, (14, 16)),
    (340000, 349999, (15,)),  # American Express
    (352800, 358999, (16, 19)),  # JCB
    (360000, 369999, (14, 16)),  # Diners Club
    (370000, 379999, (15,)),  # American Express
    (380000, 399999, (14, 16)),  # Diners Club
    (400000, 499999, (16, 19)),  # Visa
    (500000, 509999, (16, 18, 19)),  # Maestro, Verve
    (510000, 559999, (16,)),  # Mastercard
    (560000, 589999, (16, 18, 19)),  # Maestro
    (601100, 601199, (16, 19)),  # Discover
    (620000, 629999, (16, 17, 18, 19)),  # UnionPay
    (644000, 659999, (16, 19)),  # Discover, RuPay
    (639000, 639099, (16, 18, 19)),  # Maestro
    (670000, 679999, (16, 18, 19)),
    (810000, 829999, (16,)),  # RuPay, UnionPay
    (979200, 979299, (16,)),  # Troy
)

_BY_TWO_DIGITS = {
    b"%d" % two: tuple(
        issuer for issuer in _ISSUERS if issuer[0] // 10_000 <= two <= issuer[1] // 10_000
    )
    for two in range(20, 100)
}


def is_card(digits: bytes) -> bool:
    """Say whether these digits are a card's."""
    prefix, size = int(digits[:6]), len(digits)
    ranges = _BY_TWO_DIGITS.get(digits[:2], ())
    return (
        any(first <= prefix <= last and size in sizes for first, last, sizes in ranges)
        and luhn(digits)
        and len(set(digits)) > 1
    )


def _shapes(*sizes: int) -> Iterator[Shape]:
    """Yield the printed groups, and those where a separator was left out between some."""
    yield (sum(sizes),), b""
    for places in range(1, len(sizes)):
        for cuts in combinations(range(1, len(sizes)), places):
            bounds = (0, *cuts, len(sizes))
            groups = tuple(sum(sizes[first:last]) for first, last in pairwise(bounds))
            for separator in (b" ", b"-") if groups == sizes else (b" ",):
                yield groups, separator * places


_PRINTED = (
    *((4, 4, 4, 4), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3)),
    *((4, 6, 5), (4, 6, 4)),  # American Express, Diners Club
)

CARD = Kind("card", tuple(shape for sizes in _PRINTED for shape in _shapes(*sizes)), is_card)
