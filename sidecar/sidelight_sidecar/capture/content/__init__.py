"""From whole bodies to masked bodies and canonical messages. Pure, bounded, linear.

    bytes -> reading    (JSON; a stream is put together: assemble/, merge; text)
          -> drop       (structural rules)
          -> walk       (every string through `text`, and that through the masker; `encoded` looks
                         into base64, `adjacent` at parts that belong together)
          -> content    (what may be passed on, or why nothing is)
          -> canonical/ (messages, of what was masked alone)

It knows the APIs' formats by itself, from whole bodies: the observer, which reads the same bytes
as they arrive, is neither needed nor imported.
"""

from sidelight_sidecar.capture.content.canonical import Messages
from sidelight_sidecar.capture.content.content import Captured, Content, Kind, capture
from sidelight_sidecar.capture.content.dropped import Dropped
from sidelight_sidecar.capture.content.exchange import Bodies, Body
from sidelight_sidecar.capture.content.limits import Limits
from sidelight_sidecar.capture.content.masker import Masked, TextMasker
from sidelight_sidecar.capture.content.rules import Rules

__all__ = [
    "Bodies",
    "Body",
    "Captured",
    "Content",
    "Dropped",
    "Kind",
    "Limits",
    "Masked",
    "Messages",
    "Rules",
    "TextMasker",
    "capture",
]
