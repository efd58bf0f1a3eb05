"""The built-in detectors by name, the most specific first."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from sidelight_sidecar.capture.mask.addresses import Addresses
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


class Finder(Protocol):
    """What searches a text for one or more detectors, in one pass."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the detectors it can be."""
        ...

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


_FINDERS: tuple[Factory, ...] = (
    PrivateKeys,
    WebTokens,
    ProviderKeys,
    Ibans,
    ProvedNumbers,
    LetterNumbers,
    ContextualNumbers,
    Emails,
    Addresses,
    Phones,
    Credentials,
)

# The order is that of `overlaps.py`: of two that cover the same, the first gives the name.
DETECTORS: tuple[str, ...] = tuple(
    dict.fromkeys(name for finder in _FINDERS for name in finder.names if name != "phone")
)
DETECTORS = (*DETECTORS[:-1], "phone", DETECTORS[-1])


def finders(wanted: Collection[str]) -> list[Finder]:
    """Make what is needed to find these.

    Raises:
        ValueError: there is no such detector.
    """
    unknown = sorted(set(wanted) - set(DETECTORS))
    if unknown:
        raise ValueError(f"no detector is called {unknown[0]!r}; there are: {', '.join(DETECTORS)}")
    return [finder(wanted) for finder in _FINDERS if set(finder.names) & set(wanted)]
