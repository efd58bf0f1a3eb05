"""Findings that overlap become one: nothing that any detector found is left standing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sidelight_sidecar.capture.mask.finding import Finding


def merged(findings: Iterable[Finding], rank: Mapping[str, int]) -> list[Finding]:
    """Return findings in the order of the text, none over another.

    Where some overlap, one covers them all, under the name of the longest of them; of equally long
    ones, under the most specific name (the lowest rank).
    """
    order = sorted(findings, key=lambda found: (found.start, -found.end, rank[found.name]))
    result: list[Finding] = []
    best = 0  # the length of the one that gave the last result its name
    for found in order:
        size = found.end - found.start
        if not result or found.start >= result[-1].end:
            result.append(found)
            best = size
            continue
        last = result[-1]
        wins = (-size, rank[found.name]) < (-best, rank[last.name])
        result[-1] = Finding(
            last.start, max(last.end, found.end), found.name if wins else last.name
        )
        best = max(best, size)
    return result
