"""Header blocks of one direction of an HTTP/2 connection (HPACK, RFC 7541).

The decoder's state hangs on every block, whatever becomes of its stream: each must pass here, in
order, also those of streams that nobody follows. What it cannot read ends the connection's being
followed.

A passive reader needs not wait for the acknowledgement of a table's size: a sender says in its
blocks what size it uses. It need only know the largest that it may come to use, which is what its
peer has announced, at most `MAX_TABLE_BYTES`. The budget is asked for all of it, and for what its
fields cost beside the bytes that RFC 7541 counts, as they come.
"""

from hpack import Decoder, HPACKError, OversizedHeaderListError

from sidelight_sidecar.observer.budget import Budget, Held
from sidelight_sidecar.observer.dialects.base import Headers
from sidelight_sidecar.observer.flows.opaque import MALFORMED, MEMORY, TOO_LONG, NotFollowedError
from sidelight_sidecar.observer.http.http1_head import MAX_HEAD_BYTES

DEFAULT_TABLE_BYTES = 4096
MAX_TABLE_BYTES = 1 << 16
"""Browsers announce 64 KiB; a sender that uses a larger table cannot be followed."""
FREE_FIELDS = 16
"""Fields in a table that cost next to nothing."""
FIELD_BYTES = 160
"""Objects of a field, beside the 32 bytes that are counted for it, and its name and value."""


class HeaderReader:
    """Decodes the blocks that one side sends."""

    __slots__ = ("_decoder", "_fields", "_held")

    def __init__(self, budget: Budget) -> None:
        self._decoder = Decoder(MAX_HEAD_BYTES)
        self._held = Held(budget)
        self._fields = Held(budget)

    def allow_table(self, size: int) -> None:
        """The other side has announced a table of `size`."""
        size = min(size, MAX_TABLE_BYTES)
        if size > self._decoder.max_allowed_table_size and self._held.set(size):
            self._decoder.max_allowed_table_size = size

    def read(self, block: bytes) -> tuple[Headers, Headers]:
        """Pseudo-headers (without their colon) and headers of a block.

        Raises:
            NotFollowedError: it cannot be read, or is too long.
        """
        if not self._held.size and not self._held.grow(DEFAULT_TABLE_BYTES):
            raise NotFollowedError(MEMORY)
        try:
            fields = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError as error:
            raise NotFollowedError(TOO_LONG) from error
        except (HPACKError, IndexError, ValueError) as error:
            raise NotFollowedError(MALFORMED) from error
        self._weigh()
        pseudo: Headers = {}
        headers: Headers = {}
        for name, value in fields:
            if name.startswith(b":"):
                pseudo[bytes(name[1:])] = bytes(value)
            elif name == b"content-encoding" and name in headers:
                headers[name] += b", " + value
            else:
                headers[bytes(name)] = bytes(value)
        return pseudo, headers

    def _weigh(self) -> None:
        fields = len(self._decoder.header_table.dynamic_entries)
        if fields > FREE_FIELDS and not self._fields.set(FIELD_BYTES * fields):
            raise NotFollowedError(MEMORY)

    def release(self) -> None:
        """Give back what was taken for the table."""
        self._held.release()
        self._fields.release()
