"""Server-sent events, cut anywhere (WHATWG HTML, 9.2.6 "Interpreting an event stream").

Lines end at LF, CRLF or CR; never at U+2028 or the like, which are legal inside JSON. Comments
(`:`) are no events. Unlike a browser, `flush` gives out an event that the end of the stream cut
short of its blank line: some servers end so.
"""

import re

MAX_EVENT_BYTES = 1 << 20
"""Tool calls and images come in events of some hundred kilobytes; a longer one is not read."""
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CR = 13

Event = tuple[bytes, bytes]


class EventTooLongError(ValueError):
    """One event exceeds `MAX_EVENT_BYTES`."""


class EventStream:
    """Bytes in, `(event, data)` out; `event` is empty for the default type.

    However small the pieces are that it comes in, an event costs its own size to keep, and time in
    proportion to it.

    Attributes:
        pending: bytes of an event that is not whole yet.
    """

    __slots__ = ("_after_cr", "_data", "_event", "_rest", "pending")

    def __init__(self) -> None:
        self._rest = bytearray()  # a line that has no end yet
        self._data: bytearray | None = None  # the lines of the present event's data
        self._event = b""
        self._after_cr = False
        self.pending = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that are whole now.

        Raises:
            EventTooLongError: an event is longer than anything that is one.
        """
        if (
            data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and data.count(b"\n") == 2
            and data[-3] != _CR
            and not (self.pending or self._event)
        ):  # one whole event in one read: nearly all are
            return [(b"", data[6:-2])]
        if self._after_cr and data:
            self._after_cr = False
            if data.startswith(b"\n"):
                data = data[1:]
        if b"\n" not in data and b"\r" not in data:
            self._keep(data)
            return []
        self._after_cr = data.endswith(b"\r")
        if self._rest:
            data = bytes(self._rest) + data
            self._rest.clear()
        lines = _LINE_END.split(data) if b"\r" in data else data.split(b"\n")
        rest = lines.pop()
        events: list[Event] = []
        for line in lines:
            self._line(line, events)
        self.pending = len(self._data) if self._data is not None else 0
        self._keep(rest)
        return events

    def flush(self) -> list[Event]:
        """The event that the end of the stream cut short, if there is one."""
        events: list[Event] = []
        if self._rest:
            self._line(bytes(self._rest), events)
            self._rest.clear()
        self._line(b"", events)
        return events

    def _keep(self, part: bytes) -> None:
        self._rest += part
        self.pending += len(part)
        if self.pending > MAX_EVENT_BYTES:
            raise EventTooLongError

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data is not None:
                events.append((self._event, bytes(self._data)))
                self._data = None
            self._event = b""
            return
        name, _, value = line.removeprefix(_BYTE_ORDER_MARK).partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value[:64]
        elif name == b"error":  # llama.cpp of 2024 and TGI put an error there
            self._event = b"error"
            self._add(value)

    def _add(self, value: bytes) -> None:
        if self._data is None:
            self._data = bytearray(value)
        else:
            self._data += b"\n" + value
