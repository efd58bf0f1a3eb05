"""From an engine's metrics, as text, to the few signals that are the same for all engines. Pure.

Rules:
1. Nothing that an engine sends makes it raise: lines that are none are passed over, so are values
   that no count can have (negative, infinite, not a number).
2. It takes bounded time and memory: at most `MAX_BYTES` are read, of a line `MAX_LINE_BYTES`, of a
   row `MAX_SERIES` series; only series that `signal_table` names are looked at, `MAX_LOOKED_AT`.
3. A signal that the engine does not give is None, never 0.
4. A series counts once: said twice, its last value; by ranks that compute the same requests
   together, the highest; and a part not beside its total (SGLang says its queue in all, and by
   priority). A part is what has one label more than another series, and is else the same. Triton
   counts a request in each model that has a part in it: with several, its requests are not told.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sidelight_sidecar.observer.engine.signal_table import (
    ENGINES,
    INFOS,
    REASONS,
    ROWS,
    STARTED_AT,
    TRITON,
    Joined,
    Row,
    Signal,
)

MAX_BYTES = 4 << 20
MAX_LINE_BYTES = 16 << 10
"""vLLM's longest, with the names of its adapters in a label, have some hundred bytes."""
MAX_SERIES = 4096
MAX_LOOKED_AT = 10_000
"""vLLM with 64 engines has some 1,500; a page that is made of them would take seconds."""
MAX_VALUE = 1e18
MAX_REASONS = 16
MAX_SETTING = 128


@dataclass(frozen=True, slots=True)
class EngineSignals:
    """What an engine said of itself at one instant; None: it does not say. Counts are its own,
    since it started.
    """

    engine: str = ""
    """By whose names it spoke: a row of `ENGINES`."""
    running: float | None = None
    """Requests that are computed."""
    waiting: float | None = None
    """Requests that wait to be."""
    kv_cache_usage: float | None = None
    """0 to 1; the mean over engine cores."""
    prompt_tokens: float | None = None
    """All tokens of prompts, those that came from a cache included."""
    computed_prompt_tokens: float | None = None
    """Those that did not, where the engine counts them apart."""
    output_tokens: float | None = None
    cache_queries: float | None = None
    """Prompt tokens that could have come from the prefix cache."""
    cache_hits: float | None = None
    """Of them, those that did."""
    preemptions: float | None = None
    finished: Mapping[str, float] = field(default_factory=dict)
    """Requests that ended, by reason: `stop`, `length`, `abort`, `error`, `success`, `other`."""
    aborted: float | None = None
    """Requests that ended because nobody waited, where they are in no reason of `finished`."""
    ttft_seconds: float | None = None
    """Sum over `ttft_count` requests."""
    ttft_count: float | None = None
    decode_seconds: float | None = None
    """Sum of the times from first token to last."""
    queue_seconds: float | None = None
    """Sum of the times in the queue."""
    started_at: float | None = None
    """Unix seconds at which the process began, if it says so."""
    models: int = 0
    """Names in the label `model_name` of its token counts."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What its metrics tell of how it is set up, where that changes outputs."""

    @property
    def requests(self) -> float | None:
        """Requests that ended, for whatever reason; None: the engine counts none."""
        return sum(self.finished.values()) if self.finished else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSample(EngineSignals):
    """Signals and when they were taken, on the frames' clock: not before one, not after the other.

    An engine's counts are those of some instant between the two.
    """

    asked_ns: int
    at_ns: int
    """When the answer was there."""


def sample_of(signals: EngineSignals, asked_ns: int, at_ns: int) -> EngineSample:
    """`signals` with their time."""
    values = {name: getattr(signals, name) for name in EngineSignals.__slots__}
    return EngineSample(asked_ns=asked_ns, at_ns=at_ns, **values)


def signals_in(body: bytes) -> EngineSignals | None:
    """What an exposition says; None: nothing that is known."""
    reading, looked_at = _Reading(), 0
    for found in _LINE.finditer(body, 0, MAX_BYTES):
        line = found[0]
        if line[0] == _HASH or len(line) > MAX_LINE_BYTES:
            continue
        name = line.partition(b"{")[0].partition(b" ")[0].rstrip(b"\r\t")
        rows, wanted = _BY_NAME.get(name), _INFOS.get(name)
        if rows is None and wanted is None:
            continue
        looked_at += 1
        if looked_at > MAX_LOOKED_AT:
            break
        if rows is not None:
            reading.take(rows, line)
        elif wanted is not None:
            reading.take_info(wanted, line)
    return reading.signals()


_HASH = ord("#")
_LINE = re.compile(rb"[^\n]+")
_BY_NAME: dict[bytes, list[Row]] = {STARTED_AT.encode(): []}
for _row in ROWS:  # some exporters change the colon, and Dynamo puts one in
    for _spelling in {_row.name, _row.name.replace(":", "_"), _row.name.replace("_", ":", 1)}:
        _BY_NAME.setdefault(_spelling.encode(), []).append(_row)
_INFOS = {name.encode(): wanted for name, wanted in INFOS.items()}
_LABELS = rb'(?:[^"}]|"(?:[^"\\]|\\.)*+")*+'
_SAMPLE = re.compile(rb"[^{ \t]+[ \t]*(?:\{(" + _LABELS + rb")\})?[ \t]*([^ \t\r]+)", re.DOTALL)
_LABEL = re.compile(rb'(\w+)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*+)"', re.DOTALL)


Labels = frozenset[tuple[bytes, bytes]]
_SAME_REQUESTS = frozenset({b"tp_rank", b"pp_rank", b"moe_ep_rank"})
"""Labels of ranks that all see every request; those of `dp_rank` and `engine` share them out."""
_MAX_LABELS = 64


class _Series:
    """The series of one row."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self._values: dict[Labels, dict[Labels, float]] = {}
        """By the labels that count, and by those that do not."""
        self._count = 0

    def take(self, labels: dict[bytes, bytes], value: float) -> None:
        """One of them; an empty label is none."""
        given = frozenset((name, said) for name, said in labels.items() if said)
        ranks = frozenset(pair for pair in given if pair[0] in _SAME_REQUESTS)
        of_ranks = self._values.get(given - ranks)
        if self._count >= MAX_SERIES and (of_ranks is None or ranks not in of_ranks):
            return
        if of_ranks is None:
            of_ranks = self._values[given - ranks] = {}
        self._count += ranks not in of_ranks
        of_ranks[ranks] = value

    def values(self) -> dict[Labels, float]:
        """What is to be joined."""
        return {
            labels: max(of_ranks.values())
            for labels, of_ranks in self._values.items()
            if not any(labels - {pair} in self._values for pair in labels)
        }


class _Reading:
    """What was read so far: for each row its series."""

    def __init__(self) -> None:
        self._series: dict[Row, _Series] = {}
        self._models: set[bytes] = set()
        self._started_at: float | None = None
        self._settings: dict[str, str] = {}

    def take_info(self, wanted: dict[str, str], line: bytes) -> None:
        """Read a series whose labels are settings; those of several engine cores are the same."""
        match = _SAMPLE.match(line)
        labels = dict(_LABEL.findall(match[1] or b"")[:256]) if match is not None else {}
        for label, setting in wanted.items():
            value = labels.get(label.encode(), b"").decode(errors="replace")
            if value and value != "None" and len(value) <= MAX_SETTING:
                self._settings.setdefault(setting, value)

    def take(self, rows: list[Row], line: bytes) -> None:
        """Read one line, whose name is that of these rows."""
        match = _SAMPLE.match(line)
        if match is None:
            return
        try:
            value = float(match[2])
        except ValueError:
            return
        if not 0 <= value < MAX_VALUE:  # what is not a number is neither
            return
        if not rows:
            self._started_at = value
            return
        labels = dict(_LABEL.findall(match[1] or b"")[:_MAX_LABELS])
        for row in rows:
            label, wanted = row.where
            if not label or labels.get(label.encode()) == wanted.encode():
                self._series.setdefault(row, _Series(row)).take(labels, value * row.scale)
                if row.signal is Signal.OUTPUT_TOKENS and len(self._models) < MAX_REASONS:
                    self._models.add(labels.get(b"model_name", b""))

    def signals(self) -> EngineSignals | None:
        """All of it, by the names of one engine."""
        spoken = {row.engine for row in self._series}
        engine = next((engine for engine in ENGINES if engine in spoken), None)
        if engine is None:
            return None
        got = {signal: self._value(engine, signal) for signal in Signal}
        prompt, computed = got[Signal.PROMPT_TOKENS], got[Signal.COMPUTED_PROMPT_TOKENS]
        hits, queries = got[Signal.CACHE_HITS], got[Signal.CACHE_QUERIES]
        if prompt is None and computed is not None and hits is not None:
            prompt = computed + hits  # llama.cpp
            queries = prompt
        finished = self._finished(engine)
        if engine == TRITON and self._used_models() > 1:
            finished, got[Signal.TTFT_SECONDS], got[Signal.TTFT_COUNT] = {}, None, None
        usage, used, blocks = (
            got[Signal.KV_CACHE_USAGE], got[Signal.KV_BLOCKS_USED], got[Signal.KV_BLOCKS_ALL],
        )  # fmt: skip
        if usage is None and used is not None and blocks:
            usage = used / blocks
        return EngineSignals(
            engine=engine,
            running=got[Signal.RUNNING],
            waiting=got[Signal.WAITING],
            kv_cache_usage=min(usage, 1.0) if usage is not None else None,
            prompt_tokens=prompt,
            computed_prompt_tokens=computed,
            output_tokens=got[Signal.OUTPUT_TOKENS],
            cache_queries=queries,
            cache_hits=hits,
            preemptions=got[Signal.PREEMPTIONS],
            finished=finished,
            aborted=got[Signal.ABORTED],
            ttft_seconds=got[Signal.TTFT_SECONDS],
            ttft_count=got[Signal.TTFT_COUNT],
            decode_seconds=got[Signal.DECODE_SECONDS],
            queue_seconds=got[Signal.QUEUE_SECONDS],
            started_at=self._started_at,
            models=len(self._models),
            settings=self._settings,
        )

    def _of(self, engine: str, signal: Signal) -> list[_Series]:
        """The series that tell a signal: those of the lowest rank."""
        mine = [
            series
            for row, series in self._series.items()
            if row.engine == engine and row.signal is signal
        ]
        lowest = min((series.row.rank for series in mine), default=0)
        return [series for series in mine if series.row.rank == lowest]

    def _value(self, engine: str, signal: Signal) -> float | None:
        if signal is Signal.FINISHED or not (mine := self._of(engine, signal)):
            return None
        values = [value for series in mine for value in series.values().values()]
        if mine[0].row.joined is Joined.MEAN:
            return sum(values) / len(values)
        return sum(values)

    def _used_models(self) -> int:
        """Triton's models that had requests."""
        return len(
            {
                value
                for series in self._of(TRITON, Signal.FINISHED)
                for labels, count in series.values().items()
                for name, value in labels
                if count and name == b"model"
            }
        )

    def _finished(self, engine: str) -> dict[str, float]:
        """Requests that ended, by why."""
        reasons: dict[str, float] = {}
        for series in self._of(engine, Signal.FINISHED):
            row = series.row
            for labels, value in series.values().items():
                word = dict(labels).get(row.by.encode(), b"").decode(errors="replace").lower()
                reason = REASONS.get(word, "other") if row.by else row.reason
                reasons[reason] = reasons.get(reason, 0.0) + value
        return reasons
