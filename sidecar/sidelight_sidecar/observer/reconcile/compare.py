"""One span of time, as the sidecar and as the engine saw it: figure by figure, and why they differ.

Pure. A figure agrees when the engine's lies within what it may have counted (`counts`). Where that
leaves too much open, it is not compared, unless the engine's lies outside even so.
"""

from enum import StrEnum
from typing import NamedTuple

from sidelight_contract.names import DifferenceCause
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.reconcile.counts import Counts, Span
from sidelight_sidecar.observer.reconcile.ledger import Between, Mark

LOOSE = 0.5
"""Bounds that are further apart than this share of the figure show nothing by holding it."""
FIRST_TOKEN_EARLIER_NS = 20_000_000
"""For each request: an engine's time begins after it has parsed and tokenized, and ends before it
has detokenized and written."""
FIRST_TOKEN_LATER_NS = 2_000_000
DECODE_NS = 5_000_000
"""For each request: first and last token take their way out, and the ways differ."""
DECODE_TOKENS = 2
"""For each request: what ends an answer is a token without text, and the first may be held back."""
TIME_SHARE = 0.05
"""And this share of the time itself, for clocks that are read at other places."""


class Figure(StrEnum):
    """What is compared."""

    REQUESTS = "requests"
    PROMPT_TOKENS = "prompt_tokens"
    OUTPUT_TOKENS = "output_tokens"
    TIME_TO_FIRST_TOKEN = "time_to_first_token"  # noqa: S105 - a figure
    DECODE_TIME = "decode_time"


class Compared(NamedTuple):
    """One figure; times are sums in nanoseconds, over so many of something."""

    sidecar: int
    engine: int
    low: int
    """What the engine may have, at least."""
    high: int
    sidecar_count: int = 0
    engine_count: int = 0

    @property
    def agrees(self) -> bool:
        """Whether the engine's figure is within the bounds."""
        return self.low <= self.engine <= self.high

    @property
    def loose(self) -> bool:
        """Whether the bounds are so far apart that they show nothing."""
        return self.high - self.low > LOOSE * max(self.sidecar, self.engine, 1)


class Comparison(NamedTuple):
    """A span and what came of it."""

    since_ns: int
    until_ns: int
    straddlers: int
    """Requests that were in flight at an end of it; 0: it is exact."""
    figures: dict[Figure, Compared]
    causes: tuple[DifferenceCause, ...]
    """Why figures differ, and what explains those that differ within the bounds."""

    @property
    def agrees(self) -> bool:
        """Whether all of the figures agree that could be compared."""
        return all(figure.agrees for figure in self.figures.values())


COUNTERS = ("prompt_tokens", "computed_prompt_tokens", "output_tokens", "requests", "ttft_count")
"""Whole numbers alone: a sum of times may fall by its last bit."""


def restarted(before: EngineSample, after: EngineSample) -> bool:
    """Whether the engine began to count anew between two samples: as its process, or within it."""
    starts = before.started_at, after.started_at
    if starts[0] is not None and starts[1] is not None and abs(starts[0] - starts[1]) > 1:
        return True
    for name in COUNTERS:
        earlier, later = getattr(before, name), getattr(after, name)
        if earlier is not None and later is not None and later < earlier:
            return True
    return False


def compare(first: Mark, last: Mark, between: Between) -> Comparison:
    """Compare what lies between two samples of the same run of the engine."""
    engine = _Engine(first.sample, last.sample)
    counts = between.counts
    figures = {
        figure: compared
        for figure, compared in _figures(engine, counts).items()
        if not (compared.agrees and compared.loose)
    }
    unseen = bool(counts.lost or last.unobserved > first.unobserved or first.opaque or last.opaque)
    return Comparison(
        first.sample.at_ns,
        last.sample.at_ns,
        between.straddlers,
        figures,
        _causes(figures, between, unseen=unseen),
    )


class _Engine:
    """What an engine's counters gained between two samples; None where it does not count."""

    def __init__(self, before: EngineSample, after: EngineSample) -> None:
        self._before = before
        self._after = after

    def gained(self, name: str, scale: float = 1.0) -> int | None:
        before: float | None = getattr(self._before, name)
        after: float | None = getattr(self._after, name)
        if after is None:
            return None
        return max(0, round((after - (before or 0.0)) * scale))  # TGI's series begin with use


def _figures(engine: _Engine, counts: Counts) -> dict[Figure, Compared]:
    figures = {}
    if (requests := engine.gained("requests")) is not None:
        figures[Figure.REQUESTS] = _compared(requests, counts.requests)
    if (prompt := engine.gained("prompt_tokens")) is not None:
        figures[Figure.PROMPT_TOKENS] = _compared(prompt, counts.prompt_tokens)
    elif (computed := engine.gained("computed_prompt_tokens")) is not None:
        rest = max(0, counts.prompt_tokens.seen - counts.cached_tokens)
        span = Span(0, rest, counts.prompt_tokens.high)
        figures[Figure.PROMPT_TOKENS] = _compared(computed, span)
    output = engine.gained("output_tokens")
    if output is not None:
        figures[Figure.OUTPUT_TOKENS] = _compared(output, counts.output_tokens)
    first = _first_token(engine, counts)
    if first is not None:
        figures[Figure.TIME_TO_FIRST_TOKEN] = first
    decode_ns = engine.gained("decode_seconds", 1e9)
    if decode_ns is not None and output and figures[Figure.OUTPUT_TOKENS].agrees:
        figures[Figure.DECODE_TIME] = decode_compared(decode_ns, output, counts)
    return figures


def decode_compared(decode_ns: int, output: int, counts: Counts) -> Compared:
    """The time that the engine took for so many tokens, against when they came."""
    token_ns = DECODE_TOKENS * decode_ns // output
    slack = (DECODE_NS + token_ns) * counts.exchanges + int(TIME_SHARE * decode_ns)
    span = _wider(counts.decode_ns, slack, slack)
    return _compared(decode_ns, span, counts.output_tokens.seen, output)


def _first_token(engine: _Engine, counts: Counts) -> Compared | None:
    """None where another number of requests is in it: then requests differ, and say so."""
    seconds_ns, count = engine.gained("ttft_seconds", 1e9), engine.gained("ttft_count")
    times = counts.first_tokens
    if seconds_ns is None or count is None or not times.low <= count <= times.high:
        return None
    share = int(TIME_SHARE * seconds_ns)
    span = _wider(
        counts.first_token_ns,
        FIRST_TOKEN_EARLIER_NS * count + share,
        FIRST_TOKEN_LATER_NS * count + share,
    )
    return _compared(seconds_ns, span, times.seen, count)


def _compared(engine: int, span: Span, *count: int) -> Compared:
    return Compared(span.seen, engine, span.low, span.high, *count)


def _wider(span: Span, below: int, above: int) -> Span:
    return Span(max(0, span.low - below), span.seen, span.high + above)


_COUNTED = (Figure.REQUESTS, Figure.PROMPT_TOKENS, Figure.OUTPUT_TOKENS)


def _causes(
    figures: dict[Figure, Compared], between: Between, *, unseen: bool
) -> tuple[DifferenceCause, ...]:
    counts = between.counts
    causes: set[DifferenceCause] = set()
    differ = {figure for figure in figures if not figures[figure].agrees}
    for figure in differ:
        compared = figures[figure]
        if figure not in _COUNTED:
            causes.add(DifferenceCause.TIMES_DIFFER)
        elif compared.engine > compared.high:
            ran_on = counts.left > 0 and differ == {Figure.OUTPUT_TOKENS}
            causes.add(
                DifferenceCause.NOT_OBSERVED if unseen
                else DifferenceCause.ENGINE_RAN_ON if ran_on
                else DifferenceCause.NOT_THROUGH_SIDECAR
            )  # fmt: skip
        elif figure is Figure.PROMPT_TOKENS and _only_computed(compared, counts):
            causes.add(DifferenceCause.CACHED_NOT_COUNTED)
        else:
            causes.add(DifferenceCause.ENGINE_COUNTS_LESS)
    if any(figures[f].sidecar != figures[f].engine for f in _COUNTED if f in figures):
        causes |= _explained(between)
    return tuple(sorted(causes))


def _only_computed(compared: Compared, counts: Counts) -> bool:
    """Whether what is missing is what came from a cache."""
    missing = compared.low - compared.engine
    return 0 < missing <= counts.cached_tokens


def _explained(between: Between) -> set[DifferenceCause]:
    """What of the traffic an engine may count otherwise."""
    counts = between.counts
    there = {
        DifferenceCause.IN_FLIGHT_AT_ENDS: between.straddlers,
        DifferenceCause.CLIENTS_LEFT: counts.left,
        DifferenceCause.REQUESTS_FAILED: counts.failed,
        DifferenceCause.SEVERAL_CHOICES: counts.several,
        DifferenceCause.WITHOUT_USAGE: counts.without_usage,
        DifferenceCause.OTHER_PATHS: counts.unread,
    }
    return {cause for cause, count in there.items() if count}
