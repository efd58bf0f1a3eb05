"""The tables of docs/accuracy.md."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

from benchmarks.accuracy.compare import FIGURES, Figure, Verdict
from benchmarks.accuracy.run import Outcome


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def kinds(verdicts: Sequence[Verdict]) -> Iterable[str]:
    """Requests by kind."""
    by_kind: dict[str, list[Verdict]] = collections.defaultdict(list)
    for verdict in verdicts:
        by_kind[verdict.kind].append(verdict)
    yield _row("requests", "number", "all counts equal", *FIGURES)
    yield "|---" * (3 + len(FIGURES)) + "|"
    for kind, group in [*sorted(by_kind.items()), ("**all**", list(verdicts))]:
        cells = []
        for name in FIGURES:
            figures = [figure for verdict in group for figure in verdict.figures]
            mine = [figure.verdict for figure in figures if figure.name == name]
            cells.append(f"{mine.count('within')} of {len(mine)}" if mine else "")
        good = sum(not verdict.wrong for verdict in group)
        yield _row(kind, len(group), good, *cells)


def spreads(figures: Sequence[Figure]) -> Iterable[str]:
    """How far apart client and sidecar are, in milliseconds."""
    yield _row("figure", "number", "median", "its difference: median", "95 %", "greatest",
               "within 1 ms or 1 %", "accounted for", "wrong")  # fmt: skip
    yield "|---" * 9 + "|"
    for name in FIGURES:
        mine = [figure for figure in figures if figure.name == name]
        if not mine:
            continue
        apart = [abs(figure.difference) / 1e6 for figure in mine]
        verdicts = collections.Counter(figure.verdict for figure in mine)
        yield _row(
            name, len(mine), f"{quantile([figure.client / 1e6 for figure in mine], 0.5):.1f}",
            f"{quantile(apart, 0.5):.3f}", f"{quantile(apart, 0.95):.3f}", f"{max(apart):.3f}",
            f"{verdicts['within']} ({verdicts['within'] / len(mine):.1%})", verdicts["accounted"],
            verdicts["wrong"],
        )  # fmt: skip


def causes(figures: Sequence[Figure]) -> Iterable[str]:
    """What the differences beyond the bound are made of."""
    beyond = [figure for figure in figures if figure.verdict == "accounted"]
    counted = collections.Counter((figure.name, figure.cause) for figure in beyond)
    for (name, cause), count in counted.most_common():
        most = max(abs(figure.causes[cause]) for figure in beyond if figure.cause == cause)
        yield f"* {name}: {count} times {cause} (up to {most / 1e6:.1f} ms)"


def report(outcome: Outcome) -> str:
    """All of it."""
    figures = [figure for verdict in outcome.verdicts for figure in verdict.figures]
    lines = [*kinds(outcome.verdicts), "", *spreads(figures), ""]
    explained = list(causes(figures))
    if explained:
        lines += ["Beyond the bound, and the greatest measured lateness in it:", "", *explained, ""]
    wrong = outcome.all_wrong
    lines += [f"WRONG {line}" for line in wrong] or ["Nothing is wrong."]
    return "\n".join(lines)
