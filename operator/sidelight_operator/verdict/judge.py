"""From evidence to a verdict, and the reasons that a person would give.

Rules:
1. Rollback when the interval of any figure lies beyond its tolerance; Promote when that of every
   figure that can be measured lies within, and enough was seen. Nothing else decides.
2. Rollback is the last word on a comparison. Promote stays while nothing speaks against it.
3. What more traffic of the same kind will not decide is Hold: nothing matched, or patience ended.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sidelight_operator.verdict.evidence import Evidence
from sidelight_operator.verdict.matched import Figure
from sidelight_operator.verdict.sequential import Interval, interval
from sidelight_operator.verdict.settings import Settings


class Verdict(StrEnum):
    """What to do with the candidate."""

    PROMOTE = "Promote"
    HOLD = "Hold"
    ROLLBACK = "Rollback"
    NEED_MORE_DATA = "NeedMoreData"


class Standing(StrEnum):
    """Where one figure's interval lies."""

    BEYOND = "beyond"
    WITHIN = "within"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Judged:
    """One figure: what the difference may be, and where that lies."""

    figure: Figure
    interval: Interval
    standing: Standing
    requests: int
    baseline_requests: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What both versions had since the comparison began, matched or not."""

    baseline: str
    candidate: str
    baseline_requests: int
    candidate_requests: int
    lasted: timedelta


_WORDS = {
    Figure.TIME_TO_FIRST_TOKEN: "time to first token",
    Figure.TIME_PER_OUTPUT_TOKEN: "time per output token",
    Figure.DURATION: "duration",
    Figure.ERRORS: "share of failed requests",
}


def judge_figures(evidence: Mapping[Figure, Evidence], settings: Settings) -> list[Judged]:
    """Each figure that something is known of."""
    judged = []
    for figure in Figure:
        sums = evidence.get(figure)
        if sums is None or (found := interval(sums, figure, settings.alpha)) is None:
            continue
        tolerated = settings.tolerance[figure]
        standing = Standing.OPEN
        if found.low is not None and found.low > tolerated:
            standing = Standing.BEYOND
        elif found.high is not None and found.high < tolerated:
            standing = Standing.WITHIN
        requests = int(sums.candidate_requests), int(sums.baseline_requests)
        judged.append(Judged(figure, found, standing, *requests))
    return judged


def judge(
    figures: Sequence[Judged], seen: Seen, settings: Settings, before: str
) -> tuple[Verdict, list[str]]:
    """The verdict and its reasons.

    Args:
        figures: those that something is known of.
        seen: the traffic there was.
        settings: what is tolerated.
        before: the verdict of the minute before, "" for none.
    """
    beyond = [item for item in figures if item.standing is Standing.BEYOND]
    undecided = [item for item in figures if item.standing is Standing.OPEN]
    said = [sentence(item, settings) for item in (*beyond, *undecided)]
    if beyond:
        return Verdict.ROLLBACK, said[: len(beyond)]
    if before == Verdict.ROLLBACK:
        was = (
            "it was beyond tolerance before, and that stands until versions or spec.compare change"
        )
        return Verdict.ROLLBACK, [was, *(sentence(item, settings) for item in figures)]
    if not figures:
        return _nothing_matched(seen, settings)
    enough = max(item.requests for item in figures) >= settings.min_requests
    if (not undecided and enough) or before == Verdict.PROMOTE:
        reasons = [sentence(item, settings) for item in figures]
        if undecided:
            reasons.insert(0, "it was within tolerance before, and nothing speaks against that")
        return Verdict.PROMOTE, [*reasons, *_not_compared(figures)]
    if not undecided:
        said = [
            f"all is within tolerance on {_count(figures[-1].requests)} matched requests of "
            f"{seen.candidate}; at least {_count(settings.min_requests)} are asked for"
        ]
    if seen.lasted >= settings.patience:
        hours = f"{seen.lasted.total_seconds() / 3600:.0f} h"
        return Verdict.HOLD, [f"undecided after {hours}, which is all the patience there is", *said]
    return Verdict.NEED_MORE_DATA, said


def _nothing_matched(seen: Seen, settings: Settings) -> tuple[Verdict, list[str]]:
    fewest = min(seen.baseline_requests, seen.candidate_requests)
    counts = (
        f"{_count(seen.baseline_requests)} requests of {seen.baseline} and "
        f"{_count(seen.candidate_requests)} of {seen.candidate}"
    )
    if fewest >= settings.min_requests:
        never = f"{counts}, and none alike in the same minute: they do not serve the same traffic"
        return Verdict.HOLD, [never]
    if seen.lasted >= settings.patience:
        return Verdict.HOLD, [f"no more than {counts} in all the patience there is"]
    return Verdict.NEED_MORE_DATA, [f"{counts} so far, none of them alike in the same minute"]


def _not_compared(figures: Sequence[Judged]) -> list[str]:
    absent = [_WORDS[figure] for figure in Figure if figure not in {f.figure for f in figures}]
    if not absent:
        return []
    return [f"not compared, for want of requests that have it: {', '.join(absent)}"]


def sentence(judged: Judged, settings: Settings) -> str:
    """What is known of one figure, as a person would say it."""
    figure, found = judged.figure, judged.interval
    about = f"{_count(judged.requests)} matched requests"
    tolerated = f"tolerated are {_plain(settings.shown[figure])}"
    if figure is Figure.ERRORS:
        tolerated += " points"
    if judged.standing is Standing.OPEN:
        low = shown(figure, found.low) or "anything"
        high = shown(figure, found.high) or "anything"
        return (
            f"{_WORDS[figure]} is not decided yet: {shown(figure, found.effect)} (between {low} "
            f"and {high}) on {about}; {tolerated}"
        )
    return f"{_WORDS[figure]} is {_compared(figure, found)} on {about}; {tolerated}"


def _compared(figure: Figure, found: Interval) -> str:
    """`11.2 % slower (between 8.00 % and 14.1 %)`; with signs where the bounds have two."""
    more, less = ("higher", "lower") if figure is Figure.ERRORS else ("slower", "faster")
    low, high = found.low, found.high
    size = shown(figure, abs(found.effect)).removeprefix("+")
    word = more if found.effect >= 0 else less
    if low is None or high is None:
        bound = f"at least {shown(figure, low)}" if low is not None else ""
        bound = bound or f"at most {shown(figure, high)}"
        return f"{size} {word} ({bound})"
    if low >= 0:
        bounds = f"{shown(figure, low)} and {shown(figure, high)}".replace("+", "")
    else:
        bounds = f"{shown(figure, low)} and {shown(figure, high)}"
    return f"{size} {word} (between {bounds})"


def shown(figure: Figure, difference: float | None) -> str:
    """`+11.2 %` of a logarithm, `+1.20 points` of errors' share; "" for None."""
    if difference is None:
        return ""
    value = 100 * (difference if figure is Figure.ERRORS else math.expm1(difference))
    digits = 1 if abs(value) >= 9.95 else 2
    unit = "points" if figure is Figure.ERRORS else "%"
    return f"{value:+.{digits}f} {unit}"


def _plain(percent: str) -> str:
    return f"{percent.removesuffix('%')} %"


def _count(requests: int) -> str:
    return f"{requests:,}"
