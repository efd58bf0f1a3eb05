"""What goes in: the bodies of an exchange, as the observer has kept them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Body:
    """One body, decoded (no gzip, no chunks).

    Attributes:
        data: its bytes.
        content_type: the header's value, empty if there was none.
        cut: it went on, and the rest was not kept, or never came.
    """

    data: bytes
    content_type: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Bodies:
    """The bodies of an exchange.

    Attributes:
        dialect: the API, by the name that the observer has for it (docs/dialects.md); empty where
            it is not known.
        request: what was asked.
        answer: what was answered.
    """

    dialect: str
    request: Body
    answer: Body
