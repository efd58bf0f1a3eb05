"""From an engine's metrics, as text, to the few signals that are the same for all engines. Pure.

Rules:
1. Nothing that an engine sends makes it raise: lines that are none are passed over, so are values
   that no count can have (negative, infinite, not a number).
2. It takes bounded time and memory: at most `MAX_BYTES` are read, of a line `MAX_LINE_BYTES`, of a
   row `MAX_SERIES` series; only series that `signal_table` names are looked at.
3. A signal that the engine does not give is None, never 0.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sidelight_sidecar.observer.engine.signal_table import (
    ENGINES,
    REASONS,
    ROWS,
    STARTED_AT,
    Joined,
    Row,
    Signal,
)

MAX_BYTES = 4 << 20
MAX_LINE_BYTES = 16 << 10
"""vLLM's longest, with the names of its adapters in a label, have some hundred bytes."""
MAX_SERIES = 4096
MAX_VALUE = 1e18
MAX_REASONS = 16


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
    reading = _Reading()
    for found in _LINE.finditer(body, 0, MAX_BYTES):
        line = found[0]
        if line[0] == _HASH or len(line) > MAX_LINE_BYTES:
            continue
        rows = _BY_NAME.get(line.partition(b"{")[0].partition(b" ")[0].rstrip(b"\r\t"))
        if rows is not None:
            reading.take(rows, line)
    return reading.signals()


_HASH = ord("#")
_LINE = re.compile(rb"[^\n]+")
_BY_NAME: dict[bytes, list[Row]] = {STARTED_AT.encode(): []}
for _row in ROWS:  # some exporters change the colon, and Dynamo puts one in
    for _spelling in {_row.name, _row.name.replace(":", "_"), _row.name.replace("_", ":", 1)}:
        _BY_NAME.setdefault(_spelling.encode(), []).append(_row)
_LABELS = rb'(?:[^"}]|"(?:[^"\\]|\\.)*+")*+'
_SAMPLE = re.compile(rb"[^{ \t]+[ \t]*(?:\{(" + _LABELS + rb")\})?[ \t]*([^ \t\r]+)", re.DOTALL)
_LABEL = re.compile(rb'(\w+)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*+)"', re.DOTALL)


class _Reading:
    """What was read so far: for each engine, signal and rank the values of its series."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, Signal], dict[int, list[float]]] = {}
        self._joined: dict[tuple[str, Signal], Joined] = {}
        self._finished: dict[str, dict[str, float]] = {}
        self._models: set[bytes] = set()
        self._started_at: float | None = None

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
        labels = dict(_LABEL.findall(match[1] or b"")[:64])
        for row in rows:
            self._add(row, labels, value * row.scale)

    def _add(self, row: Row, labels: dict[bytes, bytes], value: float) -> None:
        label, wanted = row.where
        if label and labels.get(label.encode()) != wanted.encode():
            return
        if row.signal is Signal.FINISHED:
            reasons = self._finished.setdefault(row.engine, {})
            word = labels.get(row.by.encode(), b"").decode(errors="replace").lower()
            reason = REASONS.get(word, "other") if row.by else row.reason
            reasons[reason] = reasons.get(reason, 0.0) + value
            return
        if row.signal is Signal.OUTPUT_TOKENS and len(self._models) < MAX_REASONS:
            self._models.add(labels.get(b"model_name", b""))
        key = (row.engine, row.signal)
        self._joined[key] = row.joined
        values = self._values.setdefault(key, {}).setdefault(row.rank, [])
        if len(values) < MAX_SERIES:
            values.append(value)

    def signals(self) -> EngineSignals | None:
        """All of it, by the names of one engine."""
        spoken = {engine for engine, _ in self._values} | set(self._finished)
        engine = next((engine for engine in ENGINES if engine in spoken), None)
        if engine is None:
            return None
        got = {signal: self._value(engine, signal) for signal in Signal}
        prompt, computed = got[Signal.PROMPT_TOKENS], got[Signal.COMPUTED_PROMPT_TOKENS]
        hits, queries = got[Signal.CACHE_HITS], got[Signal.CACHE_QUERIES]
        if prompt is None and computed is not None and hits is not None:
            prompt = computed + hits  # llama.cpp
            queries = prompt
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
            finished=self._finished.get(engine, {}),
            aborted=got[Signal.ABORTED],
            ttft_seconds=got[Signal.TTFT_SECONDS],
            ttft_count=got[Signal.TTFT_COUNT],
            decode_seconds=got[Signal.DECODE_SECONDS],
            queue_seconds=got[Signal.QUEUE_SECONDS],
            started_at=self._started_at,
            models=len(self._models),
        )

    def _value(self, engine: str, signal: Signal) -> float | None:
        key = (engine, signal)
        if key not in self._values:
            return None
        ranks = self._values[key]
        values = ranks[min(ranks)]
        joined = self._joined[key]
        if joined is Joined.MEAN:
            return sum(values) / len(values)
        return sum(values) if joined is Joined.SUM else max(values)
