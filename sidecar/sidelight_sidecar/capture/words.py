"""Words of a record that somebody else chose: a client's `x-request-id`, what an engine makes of
it, the name of a model that an engine repeats, reasons to end.

Rules:
1. They have the form of a name: letters and digits of ASCII and a few signs, no spaces. So no
   sentence is one, and no character that a sink could take for more.
2. But in Full they are searched like any text. One in which something is found is not passed on,
   not even in part: two requests are never told by the same label.
3. What is not passed on is as if it had not been said.
"""

import re

from msgspec.structs import replace

from sidelight_sidecar.capture.content.masker import TextMasker
from sidelight_sidecar.records.record import Record

OTHER = "_other"
MAX_ID_CHARACTERS = 256
"""Of an engine's id: `chatcmpl-`, and the client's own up to its 128."""
_NAME = re.compile(r"[A-Za-z0-9._:/@+,=~-]+")  # one class of characters: linear


class Words:
    """Says which of them are passed on.

    Args:
        masker: None: any that has the form.
    """

    def __init__(self, masker: TextMasker | None) -> None:
        self._masker = masker

    def passed_on(self, record: Record) -> Record:
        """The record without the others."""
        request_id = self.name(record.request_id, MAX_ID_CHARACTERS)
        same = record.response_id == record.request_id
        response_id = request_id if same else self.name(record.response_id, MAX_ID_CHARACTERS)
        return replace(
            record,
            request_id=request_id or response_id or record.id,
            response_id=response_id,
            model=self.name(record.model, 128) or (record.model and OTHER),
            finish_reasons=[self.name(one, 64) or OTHER for one in record.finish_reasons],
        )

    def name(self, word: str, most: int) -> str:
        """The word, if it is one of so many characters at most that is passed on; else nothing."""
        if len(word) > most or not _NAME.fullmatch(word):
            return ""
        if self._masker is None:
            return word
        try:
            behind = word.partition("-")[2]  # engines put `chatcmpl-` before what a client said
            found = self._masker.mask(word).findings or (
                behind and self._masker.mask(behind).findings
            )
        except Exception:  # noqa: BLE001 - what cannot be searched is not passed on
            return ""
        return "" if found else word
