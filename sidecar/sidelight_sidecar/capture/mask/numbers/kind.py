"""What a kind of number is to the scanner: the ways it is written, and its proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# Lengths of the groups of digits, and what stands between them: (3, 2, 4) with b"--".
Shape = tuple[tuple[int, ...], bytes]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of number that is found by its digits alone.

    Args:
        name: the detector's.
        shapes: how it is written; nothing else is looked at.
        proof: says of its digits, separators left out, whether it is one.
    """

    name: str
    shapes: tuple[Shape, ...]
    proof: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Contextual:
    """A kind that too many other numbers look like: found only near a word that says what it is.

    Args:
        name: the detector's.
        words: any of these, in lower case; a space stands for a space, dash, underscore or nothing.
        pattern: how it is written, without its borders.
        proof: says of its letters and digits, in upper case, whether it is one.
    """

    name: str
    words: tuple[str, ...]
    pattern: bytes
    proof: Callable[[bytes], bool]
