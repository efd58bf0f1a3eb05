"""The built-in detectors by name, the most specific first."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from sidelight_sidecar.capture.mask.addresses import AddressesV4, AddressesV6
from sidelight_sidecar.capture.mask.credentials import Credentials
from sidelight_sidecar.capture.mask.email import Emails
from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.iban import Ibans
from sidelight_sidecar.capture.mask.jwt import WebTokens
from sidelight_sidecar.capture.mask.keys import ProviderKeys
from sidelight_sidecar.capture.mask.numbers.contextual import ContextualNumbers
from sidelight_sidecar.capture.mask.numbers.letters import LetterNumbers
from sidelight_sidecar.capture.mask.numbers.proved import ProvedNumbers
from sidelight_sidecar.capture.mask.phones import Phones
from sidelight_sidecar.capture.mask.private_keys import PrivateKeys
from sidelight_sidecar.capture.mask.together import Patterned, Together


class Finder(Protocol):
    """What searches a text for one or more detectors."""

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings."""
        ...


class Factory(Protocol):
    """What makes a finder of the detectors that are wanted of it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the detectors it can be."""
        ...

    def __call__(self, wanted: Collection[str]) -> Finder:
        """Make it."""
        ...


class PatternedFactory(Factory, Protocol):
    """The same of a finder whose pattern can be searched together with others."""

    def __call__(self, wanted: Collection[str]) -> PatternedFinder:
        """Make it."""
        ...


class PatternedFinder(Finder, Patterned, Protocol):
    """A finder with a pattern."""


_TOGETHER: tuple[PatternedFactory, ...] = (
    PrivateKeys,
    WebTokens,
    ProviderKeys,
    Ibans,
    ProvedNumbers,
    LetterNumbers,
    AddressesV4,
    Phones,
)
# Apart from those above: words and numbers in one automaton would be too many states for it.
_WORDS: tuple[PatternedFactory, ...] = (ContextualNumbers, Emails, Credentials)
# Alone: it has a quicker way to see that there is nothing.
_ALONE: tuple[Factory, ...] = (AddressesV6,)

# The order is that of `overlaps.py`: of two that cover the same, the first gives the name.
_LATE = ("email", "ip-address", "phone", "credential")
_NAMES = dict.fromkeys(name for factory in (*_TOGETHER, *_WORDS, *_ALONE) for name in factory.names)
DETECTORS: tuple[str, ...] = (*(name for name in _NAMES if name not in _LATE), *_LATE)


def finders(wanted: Collection[str]) -> list[Finder]:
    """Make what is needed to find these.

    Raises:
        ValueError: there is no such detector.
    """
    unknown = sorted(set(wanted) - set(DETECTORS))
    if unknown:
        raise ValueError(f"no detector is called {unknown[0]!r}; there are: {', '.join(DETECTORS)}")
    chosen = set(wanted)
    found: list[Finder] = []
    for group in (_TOGETHER, _WORDS):
        together = [make(wanted) for make in group if chosen & set(make.names)]
        found += [Together(together)] if together else []
    return found + [make(wanted) for make in _ALONE if chosen & set(make.names)]
