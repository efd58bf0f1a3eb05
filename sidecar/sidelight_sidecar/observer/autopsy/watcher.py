"""Follows exchanges, and keeps of the slowest and the failed what an autopsy needs.

A consumer. Causes are looked for when somebody asks: by then the engine has said more. Rules:
1. Only inference; an error that is the client's own (a refused request) is no case.
2. A neighbour is an exchange that was under way at the same time: of those still in flight, or
   among the last `RECENT` that ended. At most `MAX_FLYING` in flight are followed.
3. It costs a comparison for each batch of gaps; a record is made only of what will be kept, and of
   failures of one kind at most one each `SPACING_NS`: an engine that is full refuses hundreds a
   second, and each record looks at all in flight.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from sidelight_contract.autopsy import Autopsy, worst
from sidelight_contract.failures import is_failure
from sidelight_sidecar.observer.accelerators.history import Held
from sidelight_sidecar.observer.autopsy.causes import find
from sidelight_sidecar.observer.autopsy.pressure import ClientPressure
from sidelight_sidecar.observer.autopsy.reservoir import Record, Reservoirs
from sidelight_sidecar.observer.autopsy.timeline import Neighbour, Stall, Timeline
from sidelight_sidecar.observer.autopsy.told import autopsy_of
from sidelight_sidecar.observer.autopsy.usual import UsualSizes, times_usual
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.engine.history import EngineHistory
from sidelight_sidecar.observer.exchange import OTHER, Exchange
from sidelight_sidecar.observer.metrics.labels import Labels

PAUSE_SECONDS = 0.25
MAX_STALLS = 8
MAX_NEIGHBOURS = 8
MAX_HELD = 16
MAX_SAMPLES = 8
MAX_FLYING = 1024
RECENT = 64
ALIKE_NS = 1_000_000_000
SPACING_NS = 250_000_000
FRESH_NS = 15_000_000_000
"""An older word of the engine says nothing of now: it is read every 5 s while there is traffic."""


class _Beside(NamedTuple):
    """What matters of another exchange; none of what it may hold is kept alive."""

    request_end_ns: int
    first_output_ns: int
    last_output_ns: int
    stop_ns: int
    bytes_in: int
    prompt_tokens: int | None
    error: str
    longest_gap: float


class Autopsies(Consumer):
    """See the module.

    Args:
        labels: names of models.
        history: what the engine said.
        pressure: which connections the relay had to wait for.
        window_seconds: what it covers.
        clocks: what held the devices' clocks from one time to another, and whether all of that
            time is known.
    """

    def __init__(
        self,
        labels: Labels,
        history: EngineHistory,
        pressure: ClientPressure,
        window_seconds: int,
        *,
        clocks: Callable[[int, int], tuple[Held | None, bool]],
    ) -> None:
        self._labels = labels
        self._history = history
        self._pressure = pressure
        self._clocks = clocks
        self._flying: dict[int, tuple[Exchange, list[Stall]]] = {}
        self._recent: deque[_Beside] = deque(maxlen=RECENT)
        self._usual = UsualSizes()
        self._kept = Reservoirs(window_seconds)

    def resize(self, window_seconds: int) -> None:
        """Let the window be of another length."""
        self._kept.resize(window_seconds)

    def started(self, exchange: Exchange) -> None:
        """Follow it."""
        if exchange.operation != OTHER and len(self._flying) < MAX_FLYING:
            self._flying[id(exchange)] = (exchange, [])

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Note its pauses; the last gap ends at its last output."""
        if max(gaps) < PAUSE_SECONDS or (entry := self._flying.get(id(exchange))) is None:
            return
        until_ns, after, stalls = exchange.last_output_ns, exchange.arrivals, entry[1]
        for gap in reversed(gaps):
            after -= 1
            since_ns = until_ns - int(gap * 1e9)
            if gap >= PAUSE_SECONDS:
                stalls.append(Stall(since_ns, until_ns, after))
            until_ns = since_ns
        stalls.sort(key=lambda stall: stall.since_ns - stall.until_ns)
        del stalls[MAX_STALLS:]

    def dropped(self, exchange: Exchange) -> None:
        """It was lost sight of."""
        self._flying.pop(id(exchange), None)

    def finished(self, exchange: Exchange) -> None:
        """Keep a record of it if it stands out, and learn from it."""
        entry = self._flying.pop(id(exchange), None)
        if exchange.operation == OTHER:
            return
        model = self._labels.model(exchange)
        if not exchange.error:
            usual = self._usual.of(model, exchange)
            score = times_usual(exchange, usual)
            whole_ns = max(0, exchange.stop_ns - exchange.start_ns)
            if self._kept.wants(model, exchange.stop_ns, score, whole_ns):
                self._keep(model, exchange, entry, score)
            self._usual.learn(model, exchange)
        elif self._wants_failed(model, exchange):
            self._keep(model, exchange, entry, 1.0)
        self._recent.append(_beside(exchange))

    def _wants_failed(self, model: str, exchange: Exchange) -> bool:
        error = exchange.error
        if not is_failure(error) and error != "client_disconnect":
            return False
        return self._kept.wants_failed(model, error, exchange.stop_ns, SPACING_NS)

    def _keep(
        self,
        model: str,
        exchange: Exchange,
        entry: tuple[Exchange, list[Stall]] | None,
        score: float,
    ) -> None:
        timeline = _timeline(exchange)
        timeline.usual = self._usual.of(model, exchange)
        others = [*(_beside(other) for other, _ in self._flying.values()), *self._recent]
        timeline.neighbours = _neighbours(exchange, others)
        stalls = entry[1] if entry is not None else []
        timeline.stalls = tuple(_with_others(stall, others) for stall in stalls)
        if exchange.protocol == "http/1.1":  # of several streams none knows who was waited for
            held = self._pressure.between(exchange.flow, exchange.start_ns, exchange.stop_ns)
            held.sort(key=lambda span: span[0] - span[1])
            timeline.held = tuple(sorted(held[:MAX_HELD]))
        timeline.ended_alike = sum(
            other.error == exchange.error and abs(other.stop_ns - exchange.stop_ns) < ALIKE_NS
            for other in self._recent
        )
        before = self._history.at(exchange.start_ns)
        if before is not None and exchange.start_ns - before.at_ns <= FRESH_NS:
            timeline.before = before
        self._kept.add(Record(model, exchange.operation, timeline, score))

    def told(self, now_ns: int, offset_ns: int) -> list[Autopsy]:
        """The worst of the window; `offset_ns` leads from the frames' clock to the time of day."""
        self._kept.forget(now_ns)
        found = []
        for record in self._kept:
            self._engine_meanwhile(record.timeline)
            self._devices_meanwhile(record.timeline)
            found.append(autopsy_of(record, find(record.timeline), offset_ns))
        return worst(found)

    def _engine_meanwhile(self, timeline: Timeline) -> None:
        """What the engine said from its start to its end, and first after it; once and for all."""
        if timeline.after is not None:
            return
        newest = self._history.newest
        if newest is None:
            return
        samples = self._history.between(timeline.start_ns, newest.at_ns)
        timeline.during = tuple(s for s in samples if s.at_ns <= timeline.stop_ns)[:MAX_SAMPLES]
        timeline.after = next((s for s in samples if s.asked_ns > timeline.stop_ns), None)

    def _devices_meanwhile(self, timeline: Timeline) -> None:
        """What held their clocks, as far as is known; not again once all of its time is."""
        if not timeline.clocks_settled:
            found = self._clocks(timeline.start_ns, timeline.stop_ns)
            timeline.clocks, timeline.clocks_settled = found


def _timeline(exchange: Exchange) -> Timeline:
    return Timeline(
        start_ns=exchange.start_ns,
        stop_ns=exchange.stop_ns,
        request_end_ns=exchange.request_end_ns,
        response_start_ns=exchange.response_start_ns,
        first_output_ns=exchange.first_output_ns,
        last_output_ns=exchange.last_output_ns,
        left_ns=exchange.left_ns,
        stream=exchange.stream or exchange.stream_asked,
        code=exchange.code,
        error=exchange.error,
        bytes_in=exchange.bytes_in,
        bytes_out=exchange.bytes_out,
        prompt_tokens=exchange.prompt_tokens,
        output_tokens=exchange.output_tokens,
        cached_tokens=exchange.cached_tokens,
        arrivals=exchange.arrivals,
        concurrency=max(1, exchange.concurrency),
        typical_gap=exchange.gaps.quantile(0.5),
        time_per_output_token=exchange.time_per_output_token,
        relay_ns=exchange.overhead_ns,
        engine_times=exchange.engine_times,
        energy=exchange.energy,
    )


def _beside(exchange: Exchange) -> _Beside:
    longest = exchange.gaps.quantile(1.0)
    return _Beside(
        exchange.request_end_ns if exchange.generating else 0,
        exchange.first_output_ns,
        exchange.last_output_ns,
        exchange.stop_ns,
        exchange.bytes_in,
        exchange.prompt_tokens,
        exchange.error,
        longest if longest is not None else float("inf"),
    )


def _neighbours(exchange: Exchange, others: Sequence[_Beside]) -> tuple[Neighbour, ...]:
    """Those whose prompt may have been computed meanwhile: the largest."""
    found = []
    for other in others:
        until_ns = other.first_output_ns or other.stop_ns or exchange.stop_ns
        meanwhile = other.request_end_ns < exchange.stop_ns and until_ns > exchange.start_ns
        if other.request_end_ns and meanwhile:
            found.append(
                Neighbour(other.request_end_ns, until_ns, other.bytes_in, other.prompt_tokens)
            )
    found.sort(key=lambda neighbour: -neighbour.bytes_in)
    return tuple(found[:MAX_NEIGHBOURS])


def _with_others(stall: Stall, others: Sequence[_Beside]) -> Stall:
    """The stall, with when another exchange had output in the midst of it."""
    tenth = (stall.until_ns - stall.since_ns) // 10
    begin, end = stall.since_ns + tenth, stall.until_ns - tenth
    for other in others:
        for at_ns in (other.first_output_ns, other.last_output_ns):
            if begin < at_ns < end:
                return replace(stall, others_ns=at_ns)
        within = other.first_output_ns and other.first_output_ns <= begin
        if within and other.last_output_ns >= end and other.longest_gap * 1e9 < end - begin:
            return replace(stall, others_ns=begin)
    return stall
