"""One step of a comparison: the status of the minute before and what came since make the next."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sidelight_contract.spec import Compare
from sidelight_contract.status import CompareStatus, FigureStatus
from sidelight_contract.strata import Stratum
from sidelight_contract.versions import parted
from sidelight_operator.verdict.choice import Pair, choose
from sidelight_operator.verdict.evidence import Evidence, evidence_of
from sidelight_operator.verdict.judge import Judged, Seen, Verdict, judge, judge_figures, shown
from sidelight_operator.verdict.matched import Figure, blocks
from sidelight_operator.verdict.settings import Settings, settings_of

MAX_REASONS = 8
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_FIGURES = frozenset(figure.value for figure in Figure)


def proceed(
    compare: Compare,
    before: CompareStatus | None,
    versions: Mapping[str, datetime],
    block: Mapping[str, Sequence[Stratum]] | None,
    now: datetime,
) -> CompareStatus:
    """The comparison's status after this round.

    Args:
        compare: what is asked for.
        before: the status of the round before, None for none.
        versions: those with pods, by name, and the creation of each one's oldest pod.
        block: what came in the block that has just ended, by version; None where none has ended.
        now: the time of day.
    """
    settings = settings_of(compare)
    if before is not None and before.settings != settings.mark:
        before = None
    known = Pair(before.baseline, before.candidate) if before else Pair("", "")
    pair = choose(compare, versions, known)
    if pair.missing and before is not None and _has_traffic(before):
        return _ended(before, pair)
    fresh = _begun(pair, settings, now)
    if before is None or known != Pair(pair.baseline, pair.candidate):
        before = fresh
    if not _has_traffic(before) and before.reasons != fresh.reasons:
        before = fresh
    if block is None or pair.missing:
        return before
    return _judged(before, block, settings, now)


def _begun(pair: Pair, settings: Settings, now: datetime) -> CompareStatus:
    why = pair.missing or f"{pair.candidate} is compared with {pair.baseline}; nothing is known yet"
    return CompareStatus(
        baseline=pair.baseline,
        candidate=pair.candidate,
        verdict=Verdict.NEED_MORE_DATA.value,
        reasons=[why],
        since=now.strftime(_TIME),
        settings=settings.mark,
    )


def _has_traffic(compare: CompareStatus) -> bool:
    return compare.baseline_requests + compare.candidate_requests > 0


def _ended(before: CompareStatus, pair: Pair) -> CompareStatus:
    """One of the two has no pods any more: what was decided stands, what was not is not to be."""
    if before.verdict != "NeedMoreData":
        return before
    why = f"{pair.missing} any more; until then nothing was decided"
    return before.model_copy(update={"verdict": Verdict.HOLD.value, "reasons": [why]})


def _judged(
    before: CompareStatus,
    block: Mapping[str, Sequence[Stratum]],
    settings: Settings,
    now: datetime,
) -> CompareStatus:
    adapters = bool(parted(before.baseline)[1] or parted(before.candidate)[1])
    baseline, candidate = (
        list(block.get(name, ())) if adapters else _with_adapters(block, name)
        for name in (before.baseline, before.candidate)
    )
    if not _has_traffic(before):
        if not (baseline or candidate):
            return before
        before = before.model_copy(update={"since": now.strftime(_TIME)})
    evidence = {
        Figure(told.name): evidence_of(told.evidence)
        for told in before.figures
        if told.name in _FIGURES
    }
    for figure, matched in blocks(baseline, candidate).items():
        evidence.setdefault(figure, Evidence()).add(matched)
    seen = Seen(
        before.baseline,
        before.candidate,
        before.baseline_requests + sum(row.requests for row in baseline),
        before.candidate_requests + sum(row.requests for row in candidate),
        now - datetime.fromisoformat(before.since),
    )
    figures = judge_figures(evidence, settings)
    verdict, reasons = judge(figures, seen, settings, before.verdict)
    return before.model_copy(
        update={
            "verdict": verdict.value,
            "reasons": reasons[:MAX_REASONS],
            "figures": [_told(item, evidence[item.figure], settings) for item in figures],
            "baseline_requests": seen.baseline_requests,
            "candidate_requests": seen.candidate_requests,
        }
    )


def _with_adapters(block: Mapping[str, Sequence[Stratum]], version: str) -> list[Stratum]:
    """All that pods of a version had. An adapter's rows bear their parent's name in a block; here
    they get the adapter's, for it is compared with itself.
    """
    found = list(block.get(version, ()))
    for name, rows in block.items():
        pods, adapter = parted(name)
        if pods == version and adapter:
            found += [row.called(adapter) for row in rows]
    return found


def _told(judged: Judged, evidence: Evidence, settings: Settings) -> FigureStatus:
    figure, found = judged.figure, judged.interval
    return FigureStatus(
        name=figure.value,
        effect=shown(figure, found.effect),
        low=shown(figure, found.low),
        high=shown(figure, found.high),
        tolerance=settings.shown[figure],
        requests=judged.requests,
        baseline_requests=judged.baseline_requests,
        evidence=evidence.told(),
    )
