"""The corpus: texts with labelled spans, written with marks: `pay with <<card|4111...>> now`."""

# ruff: noqa: RUF001 - texts stay whole, and as people write them
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from benchmarks.redaction.handwritten import HARD, NOTHING
from benchmarks.redaction.keys import keys
from benchmarks.redaction.near import near_misses
from benchmarks.redaction.prose import PROSE
from benchmarks.redaction.values import KINDS

SEED = 20261124
VALUES_PER_KIND = 200

_MARK = re.compile(r"<<([a-z-]+)\|(.*?)>>", re.DOTALL)

# Where a value may stand. What needs a word beside it has places of its own (`values.py`).
PLACES = (
    "{}", "Here it is: {}", "{} is what they gave me.", "({})", '{{"value": "{}"}}', "[{}]",
    "a;{};b", "id={}&next=1", "<td>{}</td>", "first line\n{}\nlast line", "`{}`", "see {}, please",
    "Bitte prüfen Sie {} noch heute.", "Merci de vérifier {} avant midi.", "请核对{}，谢谢。",
    "{}を確認してください。", "Проверьте, пожалуйста, {} сегодня.", "يرجى التحقق من {} اليوم.",
    "escaped\\n{}\\nin JSON", "12 {}", "{} 34", "2026-11-24 10:15:00 {}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A text and what in it must be found: start, end, detector."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


def parsed(marked: str) -> Case:
    """Take the marks out of a text."""
    pieces: list[str] = []
    spans = []
    size = done = 0
    for mark in _MARK.finditer(marked):
        before = marked[done : mark.start()]
        size += len(before)
        spans.append((size, size + len(mark[2]), mark[1]))
        size += len(mark[2])
        pieces += (before, mark[2])
        done = mark.end()
    pieces.append(marked[done:])
    return Case("".join(pieces), tuple(spans))


def corpus() -> Iterator[Case]:
    """Yield all cases, the same ones each time."""
    random = Random(SEED)
    for kind in KINDS:
        for number in range(VALUES_PER_KIND):
            places = kind.places or PLACES
            value = f"<<{kind.name}|{kind.make(random)}>>"
            yield parsed(places[number % len(places)].format(value))
    for key in keys(random):
        yield parsed(random.choice(PLACES).format(f"<<api-key|{key}>>"))
    for text in (*HARD, *NOTHING, *PROSE, *near_misses(random)):
        yield parsed(text)
