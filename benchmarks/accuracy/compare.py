"""One request as its client saw it against the same as the sidecar told it.

Rules:
1. What is counted is equal, or it is wrong.
2. What the sidecar says happened at a byte happened, to the nanosecond, when the relay read that
   byte; the client's own reading says which byte that is.
3. Nothing is earlier at the sidecar than its cause at the client, nor later than its effect there.
4. A figure (TTFT, TPOT, E2E) agrees when both have the same within 1 ms or 1 %, whichever is more.
5. Where they do not, the lateness that was *measured* is taken away: of the client's process (its
   read against its kernel's time), of reads in which the client got several of the relay's at once,
   of the relay's write, of the relay until it read the request (no more than it can have been).
   What then agrees is `accounted`, with the causes; what does not is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.accuracy.client import Seen
from benchmarks.accuracy.recorded import Flow
from benchmarks.accuracy.said import Said, said
from benchmarks.accuracy.wire import Read

from sidelight_sidecar.observer.exchange import CLIENT_LEFT, Exchange

BOUND_NS = 1_000_000
BOUND_SHARE = 0.01
CLOCK_NS = 300_000
"""The kernel's stamp is of another clock, and within the relay's write only as far as the kernel
does not put the delivery off."""
FIGURES = ("TTFT", "TPOT", "E2E", "hang-up")
CLIENT_LATE = "client read late"
MERGED = "client read several at once"
HELD = "relay's write"
SENDING = "client's send"
RELAY_LATE = "relay read the request late"
LEAVING_LATE = "relay saw the hang-up late"
END_LATE = "client saw the end late"


@dataclass(slots=True)
class Figure:
    """One figure of one request, in nanoseconds."""

    name: str
    client: float
    sidecar: float
    causes: dict[str, float] = field(default_factory=dict)
    """Measured lateness that is in the difference (client's less sidecar's)."""

    @property
    def difference(self) -> float:
        """The client's less the sidecar's."""
        return self.client - self.sidecar

    @property
    def bound(self) -> float:
        """What it may differ by."""
        return max(BOUND_NS, BOUND_SHARE * self.client)

    @property
    def verdict(self) -> str:
        """`within`, `accounted` or `wrong`."""
        if abs(self.difference) <= self.bound:
            return "within"
        rest = self.difference - sum(self.causes.values())
        return "accounted" if abs(rest) <= self.bound else "wrong"

    @property
    def cause(self) -> str:
        """The greatest of the causes."""
        return max(self.causes, key=lambda name: abs(self.causes[name]), default="")


@dataclass(slots=True)
class Verdict:
    """What came of one request."""

    kind: str
    figures: list[Figure] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def equal(self, what: str, client: object, sidecar: object) -> None:
        """They have to be."""
        if client != sidecar:
            self.wrong.append(f"{self.kind}: {what}: client {client!r}, sidecar {sidecar!r}")

    def figure(self, name: str, client: float, sidecar: float, causes: dict[str, float]) -> None:
        """They have to be near."""
        figure = Figure(name, client, sidecar, causes)
        self.figures.append(figure)
        if figure.verdict == "wrong":
            shown = {cause: f"{ns / 1e6:.2f} ms" for cause, ns in causes.items()}
            self.wrong.append(
                f"{self.kind}: {name}: client {client / 1e6:.3f} ms, sidecar {sidecar / 1e6:.3f}"
                f" ms; measured lateness: {shown}"
            )


def compare(seen: Seen, flow: Flow, exchange: Exchange) -> Verdict:
    """Compare one request."""
    verdict = Verdict(seen.ask.kind)
    told = said(seen.answer)
    _counts(verdict, seen, told, exchange)
    if verdict.wrong:
        return verdict
    _instants(verdict, seen, told, flow, exchange)
    _order(verdict, seen, flow, exchange)
    _figures(verdict, seen, told, flow, exchange)
    return verdict


def _counts(verdict: Verdict, seen: Seen, told: Said, exchange: Exchange) -> None:
    equal = verdict.equal
    equal("path", seen.ask.path, exchange.path)
    equal("bytes of the request", len(seen.ask.body), exchange.bytes_in)
    if seen.left_ns:
        equal("code", CLIENT_LEFT, exchange.code)
        equal("error", "client_disconnect", exchange.error)
        if len(told.outputs) > exchange.events:  # the last of what was sent may not have come
            equal("output events", len(told.outputs), exchange.events)
        return
    equal("code", seen.answer.status, exchange.code)
    equal("error", "upstream_connect" if seen.ask.in_vain else told.error, exchange.error)
    equal("stream", told.stream, exchange.stream)
    equal("complete", True, bool(told.complete or told.error))
    equal("response id", told.response_id, exchange.response_id)
    equal("model", told.model, exchange.model)
    equal("bytes of the answer", len(seen.answer.body), exchange.bytes_out)
    equal("output events", len(told.outputs), exchange.events)
    equal("prompt tokens", told.prompt_tokens, exchange.prompt_tokens)
    equal("output tokens", told.output_tokens, exchange.output_tokens)
    if told.cached_tokens is not None:
        equal("cached tokens", told.cached_tokens, exchange.cached_tokens)
    equal("finish reasons", told.finishes, exchange.finishes)
    equal("tool calls", len(told.calls), exchange.tool_calls)


def _instants(verdict: Verdict, seen: Seen, told: Said, flow: Flow, exchange: Exchange) -> None:
    """Rule 2: bytes that the client picks, times of the relay, events of the observer."""
    equal = verdict.equal
    if told.outputs:
        brought = [flow.bringing(end).at_ns for _, end in told.outputs]
        equal("first output", brought[0], exchange.first_output_ns)
        if not seen.left_ns:
            equal("last output", brought[-1], exchange.last_output_ns)
            equal("arrivals", len(set(brought)), exchange.arrivals)
    if seen.answer.done:
        equal("end", flow.bringing(seen.answer.ended_at).at_ns, exchange.stop_ns)


def _order(verdict: Verdict, seen: Seen, flow: Flow, exchange: Exchange) -> None:
    """Rule 3, and that the relay's time of each read is when the client's kernel got it."""
    if exchange.start_ns < seen.sending_ns:
        verdict.equal("start, not before it was sent", seen.sending_ns, exchange.start_ns)
    if seen.left_ns and exchange.left_ns < seen.left_ns:
        verdict.equal("hang-up, not before it was", seen.left_ns, exchange.left_ns)
    for read in seen.reads:
        passed = flow.bringing(read.end)
        after_ns = read.kernel_ns - passed.at_ns
        if after_ns < -CLOCK_NS or (after_ns > passed.held_ns + CLOCK_NS and passed.held_ns >= 0):
            verdict.wrong.append(
                f"{verdict.kind}: the relay read byte {read.end} at {passed.at_ns}, held it for "
                f"{passed.held_ns}, and the client's kernel got it {after_ns} ns after the read"
            )
            return


def _lateness(read: Read, end: int, flow: Flow) -> dict[str, float]:
    """Why the client has a byte later than the relay had."""
    last, own = flow.bringing(read.end), flow.bringing(end)
    return {
        CLIENT_LATE: read.user_ns - read.kernel_ns,
        HELD: read.kernel_ns - last.at_ns,
        MERGED: last.at_ns - own.at_ns,
    }


def _start(seen: Seen, exchange: Exchange) -> dict[str, float]:
    """Why the sidecar has the request later than its client: no more than can have been."""
    late = exchange.start_ns - seen.sending_ns
    sending = min(late, seen.sent_ns - seen.sending_ns)
    return {SENDING: sending, RELAY_LATE: min(late - sending, seen.relay_ns)}


def _figures(verdict: Verdict, seen: Seen, told: Said, flow: Flow, exchange: Exchange) -> None:
    start = _start(seen, exchange)
    if told.stream and told.outputs:
        read, end = told.outputs[0]
        ttft = exchange.time_to_first_token
        assert ttft is not None
        causes = start | _lateness(read, end, flow)
        verdict.figure("TTFT", read.user_ns - seen.sending_ns, ttft * 1e9, causes)
        _per_token(verdict, seen, told, flow, exchange)
    else:
        verdict.equal("TTFT", None, None if seen.left_ns else exchange.time_to_first_token)
    if seen.left_ns:
        late = exchange.left_ns - seen.left_ns
        causes = start | {LEAVING_LATE: -min(late, seen.relay_after_ns)}
        client, sidecar = seen.left_ns - seen.sending_ns, exchange.left_ns - exchange.start_ns
        verdict.figure("hang-up", client, sidecar, causes)
        return
    ended = seen.answer.ended
    if ended is None:
        _broken(verdict, seen, exchange, start)
        return
    causes = start | _lateness(ended, seen.answer.ended_at, flow)
    verdict.figure("E2E", ended.user_ns - seen.sending_ns, exchange.duration * 1e9, causes)


def _broken(verdict: Verdict, seen: Seen, exchange: Exchange, start: dict[str, float]) -> None:
    """The connection ended within the answer: the sidecar's end is before the client's, and as near
    as this could see it. Of a request that no byte came for it may have been closed before.
    """
    if exchange.stop_ns > seen.broken_ns:
        verdict.equal("end, not after its client saw it", seen.broken_ns, exchange.stop_ns)
    if not seen.reads:
        return
    late = max(0, seen.broken_ns - exchange.stop_ns)
    causes = start | {END_LATE: min(late, seen.own_ns)}
    verdict.figure("E2E", seen.broken_ns - seen.sending_ns, exchange.duration * 1e9, causes)


def _per_token(verdict: Verdict, seen: Seen, told: Said, flow: Flow, exchange: Exchange) -> None:
    """(c_k - c_1) / (N - 1): streams that ended, of one choice, in two arrivals or more."""
    (first, first_end), (last, last_end) = told.outputs[0], told.outputs[-1]
    tokens = (told.output_tokens or 0) - 1
    arrivals = len({flow.bringing(end).at_ns for _, end in told.outputs})
    tpot = exchange.time_per_output_token
    if seen.left_ns or len(told.finishes) > 1 or tokens < 1 or arrivals < 2:
        verdict.equal("TPOT", None, tpot)
        return
    if tpot is None:
        verdict.equal("TPOT", "one", None)
        return
    early, late = _lateness(first, first_end, flow), _lateness(last, last_end, flow)
    causes = {cause: (late[cause] - early[cause]) / tokens for cause in late}
    verdict.figure("TPOT", (last.user_ns - first.user_ns) / tokens, tpot * 1e9, causes)
