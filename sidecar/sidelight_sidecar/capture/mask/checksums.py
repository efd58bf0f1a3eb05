"""The check digits that numbers carry. Each takes ASCII digits, and is a few additions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
# Verhoeff: multiplication in the dihedral group D5, and its permutations by position.
_D5 = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def luhn(digits: bytes) -> bool:
    """Say whether the last digit is right by Luhn (ISO/IEC 7812-1)."""
    plain = sum(digits[-1::-2]) - 48 * len(digits[-1::-2])
    return (plain + sum(_DOUBLED[byte - 48] for byte in digits[-2::-2])) % 10 == 0


def weighted(digits: bytes, weights: Sequence[int]) -> int:
    """Return the sum of the digits, each times its weight; the weights repeat."""
    return sum((byte - 48) * weight for byte, weight in zip(digits, cycle(weights), strict=False))


def mod97(text: bytes) -> int:
    """Return the rest by 97 of upper-case letters and digits, A as 10 (ISO 7064, IBAN)."""
    rest = 0
    for byte in text:
        rest = (rest * 10 + byte - 48 if byte < 58 else rest * 100 + byte - 55) % 97
    return rest


def mod11_10(digits: bytes) -> bool:
    """Say whether the last digit is right by ISO 7064 MOD 11,10."""
    product = 10
    for byte in digits[:-1]:
        product = ((byte - 48 + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == digits[-1] - 48


def verhoeff(digits: bytes) -> bool:
    """Say whether the last digit is right by Verhoeff."""
    check = 0
    for place, byte in enumerate(reversed(digits)):
        check = int(_D5[check][int(_PERMUTED[place % 8][byte - 48])])
    return check == 0


def is_date(day: bytes, month: bytes) -> bool:
    """Say whether two digits each can be a day and a month."""
    return b"01" <= day <= b"31" and b"01" <= month <= b"12"
