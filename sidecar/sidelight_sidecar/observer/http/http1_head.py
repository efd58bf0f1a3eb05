"""Heads of HTTP/1.x messages: where they end, what they say, how bodies are framed (RFC 9112).

Rules:
1. What two implementations may read in two ways is refused, not guessed at: length and chunks
   together, two lengths, a folded framing field, a space before a colon.
2. Legal oddities pass: lines that end in a bare LF, empty lines before the start line, folded
   fields, repeated fields, targets in any form and of any length.
3. A head that is not whole is kept up to `MAX_HEAD_BYTES`, past `FREE_BYTES` within the budget.
"""

import re
from typing import NamedTuple

from sidelight_sidecar.observer.budget import Budget, Held
from sidelight_sidecar.observer.dialects.base import Headers
from sidelight_sidecar.observer.flows.opaque import (
    AMBIGUOUS,
    MALFORMED,
    MEMORY,
    NOT_HTTP,
    TOO_LONG,
    NotFollowedError,
)

MAX_HEAD_BYTES = 256 * 1024
"""Servers allow 8 to 64 KiB."""
MAX_LIST_BYTES = 1024
"""The values of a repeated field, joined; only framing and coding fields are."""
MAX_FOLDS = 64
"""Folded lines in one head; they went out of use in 2014."""
FREE_BYTES = 1024
"""What may be kept of a head without asking the budget: nearly all come in one read anyway."""

CHUNKED = -1
NOT_FRAMED = -2
"""Neither length nor chunks: no body in a request; in a response until the connection ends."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
REQUEST_LINE = re.compile(rb"(%s{1,32}) ([^\0- \x7f]+) HTTP/1\.([0-9])\r?\n" % _TOKEN)
STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [^\0\r\n]*)?\r?\n")
_FIELD = re.compile(rb"(%s+):([^\0\r\n]*)\r?\n" % _TOKEN)
_FOLD = re.compile(rb"[ \t]([^\0\r\n]*)\r?\n")
_SPACE_BEFORE_COLON = re.compile(rb"%s+[ \t]+:" % _TOKEN)
_END = re.compile(rb"\n\r?\n")
_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_LISTS = _FRAMING | {b"content-encoding", b"connection", b"upgrade"}


class RequestHead(NamedTuple):
    """What a request's head says."""

    method: str
    target: str
    """In origin form, where it came in absolute form: dialects are found by paths."""
    headers: Headers
    length: int
    """Of the body, `CHUNKED` or `NOT_FRAMED`."""


class ResponseHead(NamedTuple):
    """What a response's head says."""

    status: int
    headers: Headers
    version: int
    """The minor one."""


class HeadBuffer:
    """Collects bytes until an empty line.

    Attributes:
        pending: bytes of a head that is not whole yet.
        since_ns: when the first byte of the present or last head came.
    """

    __slots__ = ("_budget", "_buffer", "_held", "_start_line", "_wrong_start", "since_ns")

    def __init__(
        self, budget: Budget, start_line: re.Pattern[bytes] | None = None, wrong_start: str = ""
    ) -> None:
        self._budget = budget
        self._start_line = start_line
        self._wrong_start = wrong_start
        self._buffer: bytearray | None = None
        self._held: Held | None = None
        self.since_ns = 0

    @property
    def pending(self) -> bool:
        """Whether a part of a head is kept."""
        return self._buffer is not None

    def take(self, data: bytes, at_ns: int) -> tuple[bytes, bytes] | None:
        """Return the head and what came after it; None when it is not whole yet.

        Raises:
            NotFollowedError: it is too long, or does not begin as it should.
        """
        buffer = self._buffer
        if buffer is None:
            data = data.lstrip(b"\r\n")
            if not data:
                return None
            self.since_ns = at_ns
            found = _END.search(data)
            if found is not None and found.end() <= MAX_HEAD_BYTES:
                return data[: found.end()], data[found.end() :]
            buffer = self._buffer = bytearray()
        before = len(buffer)
        buffer += data
        found = _END.search(buffer, max(0, before - 2))
        if (found.end() if found is not None else len(buffer)) > MAX_HEAD_BYTES:
            raise NotFollowedError(TOO_LONG)
        if found is None:
            self._keep(buffer, before)
            return None
        self.release()
        return bytes(buffer[: found.end()]), bytes(buffer[found.end() :])

    def release(self) -> None:
        """Forget what is kept."""
        self._buffer = None
        if self._held is not None:
            self._held.release()
            self._held = None

    def _keep(self, buffer: bytearray, before: int) -> None:
        start_line = self._start_line
        if (
            start_line is not None
            and buffer.find(b"\n", before) >= 0 > buffer.find(b"\n", 0, before)
            and start_line.match(buffer) is None
        ):  # the first line is whole now, and no such line: do not wait for the end of a head
            raise NotFollowedError(self._wrong_start)
        if len(buffer) > FREE_BYTES:
            if self._held is None:
                self._held = Held(self._budget)
            if not self._held.set(len(buffer)):
                raise NotFollowedError(MEMORY)


def parse_request(head: bytes) -> RequestHead:
    """Read the head of a request.

    Raises:
        NotFollowedError: it is none, or ambiguous.
    """
    found = REQUEST_LINE.match(head)
    if found is None:
        raise NotFollowedError(NOT_HTTP)
    headers = parse_fields(head, found.end())
    method, target, version = found.groups()
    if target[0] != 0x2F and method != b"CONNECT":  # "/"
        authority = _AUTHORITY.match(target)
        if authority is not None:
            target = target[authority.end() :]
            target = target if target.startswith(b"/") else b"/" + target
    length = _length(headers, version)
    return RequestHead(method.decode("ascii"), target.decode("latin-1"), headers, length)


def parse_response(head: bytes) -> ResponseHead:
    """Read the head of a response.

    Raises:
        NotFollowedError: it is none.
    """
    found = STATUS_LINE.match(head)
    if found is None:
        raise NotFollowedError(MALFORMED)
    version, status = found.groups()
    return ResponseHead(int(status), parse_fields(head, found.end()), int(version))


def response_length(head: ResponseHead, method: str) -> int:
    """Length of a response's body, `CHUNKED` or `NOT_FRAMED`.

    Raises:
        NotFollowedError: it is ambiguous.
    """
    status = head.status
    if method == "HEAD" or status in (204, 304) or status < 200:
        return 0
    return _length(head.headers, b"%d" % head.version)


def closes(headers: Headers, version: int) -> bool:
    """Whether a message is the last one of its sender on the connection."""
    options = tokens(headers.get(b"connection", b""))
    return b"close" in options or (version == 0 and b"keep-alive" not in options)


def tokens(value: bytes) -> list[bytes]:
    """The members of a list, in lower case."""
    return [token.strip() for token in value.lower().split(b",")]


def parse_fields(block: bytes, position: int) -> Headers:
    """Read fields from `position` to the end of the block, which is an empty line.

    Raises:
        NotFollowedError: they are no fields, or ambiguous.
    """
    headers: Headers = {}
    name = b""
    folds = 0
    end = len(block) - (2 if block.endswith(b"\r\n") else 1)
    match = _FIELD.match
    while position < end:
        found = match(block, position)
        if found is None:
            found = _fold(block, position, name)
            folds += 1
            if folds > MAX_FOLDS:
                raise NotFollowedError(MALFORMED)
            headers[name] = (headers[name] + b" " + found[1].strip(b" \t")).strip(b" ")
        else:
            name, value = found.groups()
            name, value = name.lower(), value.strip(b" \t")
            if name in _LISTS and name in headers:
                value = headers[name] + b", " + value
                if len(value) > MAX_LIST_BYTES:
                    raise NotFollowedError(MALFORMED)
            headers[name] = value
        position = found.end()
    return headers


def _fold(block: bytes, position: int, name: bytes) -> re.Match[bytes]:
    """The continuation of field `name` (RFC 9112, 5.2)."""
    if _SPACE_BEFORE_COLON.match(block, position) or name in _FRAMING:
        raise NotFollowedError(AMBIGUOUS)
    found = _FOLD.match(block, position)
    if found is None or not name:
        raise NotFollowedError(MALFORMED)
    return found


def _length(headers: Headers, version: bytes) -> int:
    """Length of the body by RFC 9112, 6.3, without what is ambiguous."""
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if coding is not None:
        if length is not None or version == b"0" or coding.lower() != b"chunked":
            raise NotFollowedError(AMBIGUOUS)
        return CHUNKED
    if length is None:
        return NOT_FRAMED
    if not length.isdigit():
        same = set(tokens(length))  # a list of the same length is legal, if odd
        length = same.pop()
        if same or not length.isdigit():
            raise NotFollowedError(AMBIGUOUS)
    if len(length) > 18:
        raise NotFollowedError(AMBIGUOUS)
    return int(length)
