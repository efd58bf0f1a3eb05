"""How much of a body is read: bounds against bombs, not against long prompts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one body.

    Attributes:
        body_bytes: a longer body is dropped. 4 MiB is what the observer reads of an answer.
        values: JSON values in a body, or in all that a stream is put together from. A chat of a
            thousand messages has some ten thousand; vectors of 1,536 numbers for 170 texts fit.
        texts: times that the masker is asked for an exchange, of which a short text costs some
            15 us: 0.5 s. Texts of up to 64 characters that come again are not asked for again.
        depth: nesting of lists and objects. Schemas of tools reach 20.
        out_bytes: a masked body that would be larger is dropped; tokens can be longer than what
            they stand for.
    """

    body_bytes: int = 4 << 20
    values: int = 1 << 18
    texts: int = 1 << 15
    depth: int = 64
    out_bytes: int = 8 << 20


DEFAULT = Limits()
