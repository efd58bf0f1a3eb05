"""Server-sent events, cut anywhere (WHATWG HTML, "Event stream interpretation").

Lines end at LF, CRLF or CR... of which LF and CRLF occur; never at U+2028 or the like, which are
legal inside JSON. Comments (`:`) are no events.
"""

MAX_EVENT_BYTES = 1 << 20
_CR = 13


class EventTooLongError(ValueError):
    """One event exceeds `MAX_EVENT_BYTES`."""


class EventStream:
    """Bytes in, `(event, data)` out; `event` is empty for the default type."""

    __slots__ = ("_data", "_event", "_rest", "_size")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._event = b""
        self._size = 0

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The events that are whole now.

        Raises:
            EventTooLongError: an event is longer than anything that is one.
        """
        if (
            data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and data.count(b"\n") == 2
            and data[-3] != _CR
            and not (self._rest or self._data or self._event)
        ):  # one whole event in one read: nearly all are
            return [(b"", data[6:-2])]
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        events = []
        for line in lines:
            if line.endswith(b"\r"):
                line = line[:-1]  # noqa: PLW2901 - the line without its end
            if not line:
                if self._data:
                    events.append((self._event, b"\n".join(self._data)))
                self._data, self._event, self._size = [], b"", 0
            else:
                self._field(line)
        if len(self._rest) + self._size > MAX_EVENT_BYTES:
            raise EventTooLongError
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"event":
            self._event = value
        elif name == b"error":  # llama.cpp of 2024 and TGI put an error there
            self._event = b"error"
            self._data.append(value)
