"""One connection: what it speaks, and whether it can still be followed.

Rules:
1. Nothing is decided before the first bytes decide it (`detect`).
2. What cannot be followed is opaque until it closes: counted, never guessed at (`opaque`). An error
   in this code, or in a library, is such a case as well; only want of memory is not caught, since
   the whole process then begins anew.
3. After a gap nothing that came before is trusted. Exchanges under way are dropped (who made the
   gap has counted it), and HTTP/1.1 is picked up at a read of the client that begins with a request
   line and comes after bytes of the engine, or before any others. Until one response to it has come
   to its end it is on trial: bytes that do not fit show that it only looked like a request, and the
   flow is as lost as before. HTTP/2 cannot be picked up: its headers hang on all that came.
"""

import re
from collections.abc import Callable

from sidelight_sidecar.observer.flows.detect import Spoken, is_tls_record, spoken
from sidelight_sidecar.observer.flows.opaque import (
    ENCRYPTED,
    FAULT,
    GAP,
    HTTP1,
    HTTP2,
    NOT_HTTP,
    TLS,
    UNKNOWN,
    NotFollowedError,
    OpaqueFlow,
    OpaqueFlows,
)
from sidelight_sidecar.observer.http.http1 import AdriftError, Http1Connection
from sidelight_sidecar.observer.http.http1_upgrade import UpgradedToHttp2Error
from sidelight_sidecar.observer.http.http2 import Http2Connection
from sidelight_sidecar.observer.http.transaction import Context

MAX_EARLY_BYTES = 2048
"""Kept until it is known what they are: an HTTP/2 engine may greet before its client does."""
MAX_EARLY_READS = 32

_REQUEST_LINE = re.compile(
    rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE) [!-~]{1,8192} HTTP/1\.[01]\r?\n"
)
"""By name: after a gap that took the first byte of a request, what is left begins with `OST `."""

_RESETS = {b"client": "client_disconnect", b"connect": "upstream_connect"}

_Piece = tuple[bool, bytes, int, int]
"""(of the engine, bytes, time, delay)."""


class Surroundings:
    """What all flows of a table share.

    Attributes:
        context: of transactions.
        opaque: the flows that are not read.
        lingering: those that wait for what an engine does about a reset (`Http2Connection`).
        lost: those of which bytes are missing, and that were not picked up again.
    """

    __slots__ = ("context", "lingering", "lost", "opaque")

    def __init__(self, context: Context) -> None:
        self.context = context
        self.opaque = OpaqueFlows()
        self.lingering: set[Flow] = set()
        self.lost: set[Flow] = set()


class Flow:
    """Feed it in the order of the frames; nothing it is fed makes it raise."""

    __slots__ = (
        "_around", "_client_left", "_connection", "_early", "_engine_left", "_in_request", "_known",
        "_lost", "_number", "_opaque", "_trial",
    )  # fmt: skip

    def __init__(self, number: int, around: Surroundings) -> None:
        self._number = number
        self._around = around
        self._connection: Http1Connection | Http2Connection | None = None
        self._opaque: OpaqueFlow | None = None
        self._early: list[_Piece] | None = None
        self._known = False  # what it speaks
        self._lost = False
        self._in_request = False  # lost, and the last bytes were the client's
        self._trial = False
        self._client_left = False
        self._engine_left = False

    # --- bytes ------------------------------------------------------------------------------
    def from_engine(self, data: bytes, at_ns: int) -> None:
        """Bytes that the engine sent."""
        connection = self._connection
        if connection is not None:
            try:
                connection.from_engine(data, at_ns)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - rule 2
                self._trouble(error, (True, data, at_ns, -1))
        elif self._opaque is not None:
            self._opaque.kind.engine_bytes += len(data)
        elif self._lost:
            self._in_request = False
        else:
            self._keep((True, data, at_ns, -1))

    def from_client(self, data: bytes, at_ns: int, delay_ns: int) -> None:
        """Bytes that the client sent."""
        connection = self._connection
        if connection is not None:
            try:
                connection.from_client(data, at_ns, delay_ns)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - rule 2
                self._trouble(error, (False, data, at_ns, delay_ns))
            if self._trial:
                self._try(at_ns)
        elif self._opaque is not None:
            self._opaque.kind.client_bytes += len(data)
        elif self._lost:
            self._pick_up(data, at_ns, delay_ns)
        else:
            self._begin(data, at_ns, delay_ns)

    def _feed(self, pieces: list[_Piece]) -> None:
        for of_engine, data, at_ns, delay_ns in pieces:
            if of_engine:
                self.from_engine(data, at_ns)
            else:
                self.from_client(data, at_ns, delay_ns)

    # --- the first bytes --------------------------------------------------------------------
    def _begin(self, data: bytes, at_ns: int, delay_ns: int) -> None:
        early = self._early or []
        sent = b"".join([piece[1] for piece in early if not piece[0]]) + data
        what = spoken(sent)
        piece = (False, data, at_ns, delay_ns)
        if what is Spoken.UNDECIDED:
            if sent.strip(b"\r\n"):
                self._keep(piece)
            return
        self._known = True
        greeting = b"".join([piece[1] for piece in early if piece[0]])[:5]
        if what is Spoken.HTTP1 and b"HTTP/".startswith(greeting):
            self._connection = Http1Connection(self._number, self._around.context)
        elif what is Spoken.HTTP2:
            self._connection = self._http2()
        elif what is Spoken.TLS:
            self._give_up(TLS, ENCRYPTED, at_ns)
        else:
            self._give_up(UNKNOWN, NOT_HTTP, at_ns)
        self._early = None
        self._feed([*early, piece])

    def _keep(self, piece: _Piece) -> None:
        early = self._early = self._early or []
        early.append(piece)
        if len(early) > MAX_EARLY_READS or sum([len(one[1]) for one in early]) > MAX_EARLY_BYTES:
            self._early = None
            self._give_up(UNKNOWN, NOT_HTTP, piece[2])
            self._feed(early)

    def _http2(self) -> Http2Connection:
        return Http2Connection(self._number, self._around.context, self._linger)

    # --- after a gap ------------------------------------------------------------------------
    def gap(self, at_ns: int) -> None:
        """Bytes of this flow are missing."""
        self._early = None
        if isinstance(self._connection, Http2Connection):
            self._give_up(HTTP2, GAP, at_ns)
        elif self._opaque is None:
            self._get_lost(at_ns)

    def _get_lost(self, at_ns: int) -> None:
        connection, self._connection = self._connection, None
        self._lost = True
        self._around.lost.add(self)
        self._in_request = False
        if connection is not None:
            self._tell(at_ns, connection.lose)

    def _pick_up(self, data: bytes, at_ns: int, delay_ns: int) -> None:
        """Begin anew with these bytes, if they are what one can begin with."""
        if not self._in_request and _REQUEST_LINE.match(data):
            self._connection = Http1Connection(self._number, self._around.context)
            self._trial = True
        elif not self._known and spoken(data) is Spoken.HTTP2:
            self._connection = self._http2()
        elif not self._known and is_tls_record(data):
            self._give_up(TLS, ENCRYPTED, at_ns)
        else:
            self._in_request = True
            return
        self._known = True
        self._lost = False
        self._around.lost.discard(self)
        self.from_client(data, at_ns, delay_ns)

    def _try(self, at_ns: int) -> None:
        """On trial a client does not send more before it has its answer: that would be a body."""
        connection = self._connection
        if isinstance(connection, Http1Connection) and not connection.answered:
            if connection.ahead:
                self._get_lost(at_ns)
                self._in_request = True
        else:
            self._trial = False

    # --- what cannot be followed ------------------------------------------------------------
    def _trouble(self, error: Exception, piece: _Piece) -> None:
        """Go on after an error that these bytes brought."""
        of_engine, data, at_ns, _ = piece
        if isinstance(error, UpgradedToHttp2Error):
            self._upgrade(error, at_ns)
        elif isinstance(error, AdriftError):
            self._get_lost(at_ns)
            self._feed([piece])
        elif not isinstance(error, NotFollowedError):
            self._give_up("", FAULT, at_ns)
            self._feed([piece])
        elif self._on_trial:
            self._get_lost(at_ns)
            self._in_request = not of_engine
        else:
            self._give_up(error.kind, error.reason, at_ns)
            excess = len(data) if error.excess is None else error.excess
            self._feed([(of_engine, data[len(data) - excess :], *piece[2:])])

    @property
    def _on_trial(self) -> bool:
        connection = self._connection
        return self._trial and isinstance(connection, Http1Connection) and not connection.answered

    def _upgrade(self, upgraded: UpgradedToHttp2Error, at_ns: int) -> None:
        self._connection = connection = self._http2()
        self._trial = False
        self._tell(at_ns, connection.adopt, upgraded.transaction, upgraded.settings)
        self._feed([(True, upgraded.rest, at_ns, -1)])
        self._feed([(False, *piece) for piece in upgraded.waiting])

    def _give_up(self, kind: str, reason: str, at_ns: int) -> None:
        connection, self._connection = self._connection, None
        if not kind:
            kind = connection.kind if connection is not None else HTTP1
        if kind == UNKNOWN and reason != NOT_HTTP:
            kind = HTTP1  # its first request began well
        self._opaque = self._around.opaque.begin(kind, reason, at_ns)
        if connection is not None:
            self._tell(at_ns, connection.lose)

    # --- the end ----------------------------------------------------------------------------
    def client_ended(self, at_ns: int) -> None:
        """The client sends no more."""
        self._client_left = True
        if self._connection is not None:
            self._tell(at_ns, self._connection.client_ended, at_ns)

    def engine_ended(self, at_ns: int) -> None:
        """The engine sends no more: what is asked from here on gets no answer."""
        self._engine_left = True
        if self._connection is not None:
            self._tell(at_ns, self._connection.engine_ended, at_ns, self._client_left)

    def reset(self, at_ns: int, by: bytes) -> None:
        """The connection was broken off: by the client, the engine, or before it was made."""
        error = _RESETS.get(by, "upstream_reset")
        if self._connection is not None:
            if self._engine_left:
                error = "upstream_reset"
            elif self._client_left:
                error = "client_disconnect"
            self._tell(at_ns, self._connection.broke, at_ns, error)

    def closed(self, at_ns: int) -> None:
        """Nothing more will come."""
        if self._connection is not None:
            error = "upstream_reset" if self._engine_left else "client_disconnect"
            self._tell(at_ns, self._connection.broke, at_ns, error)
        self._end(at_ns)

    def replaced(self, at_ns: int) -> None:
        """Its number is that of another connection from now on: how it ended was not seen."""
        self._get_lost(at_ns)
        self._end(at_ns)

    def _linger(self) -> None:
        self._around.lingering.add(self)

    def expire(self, now_ns: int) -> None:
        """Time has passed: wait no longer for what has lingered for too long."""
        self._around.lingering.discard(self)
        if isinstance(self._connection, Http2Connection):
            self._tell(now_ns, self._connection.expire, now_ns)

    def _end(self, at_ns: int) -> None:
        self._around.lost.discard(self)
        if self._opaque is not None:
            self._opaque.end(at_ns)

    def _tell(self, at_ns: int, what: Callable[..., None], *arguments: object) -> None:
        """Call `what`, and survive it."""
        try:
            what(*arguments)
        except MemoryError:
            raise
        except NotFollowedError as error:
            self._give_up(error.kind, error.reason, at_ns)
        except Exception:  # noqa: BLE001 - rule 2
            if self._opaque is None:
                self._give_up("", FAULT, at_ns)
