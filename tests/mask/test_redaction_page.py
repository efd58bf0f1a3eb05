"""docs/redaction.md is what the corpus says of the code, and the corpus is what it claims to be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from benchmarks.redaction.__main__ import document
from benchmarks.redaction.corpus import corpus, parsed
from benchmarks.redaction.handwritten import NOTHING
from benchmarks.redaction.measure import Score, measured
from benchmarks.redaction.page import ABOUT
from benchmarks.redaction.prose import PROSE

from sidelight_sidecar.capture.mask.registry import DETECTORS
from sidelight_sidecar.capture.mask.text import TextMasker

ROOT = Path(__file__).parents[2]
Measured = tuple[dict[str, Score], Counter[str]]


@pytest.fixture(scope="module")
def results() -> Measured:
    """What the detectors make of the corpus."""
    return measured(corpus(), TextMasker())


def test_the_page_is_made_from_the_code(results: Measured) -> None:
    """Run `python -m benchmarks.redaction > docs/redaction.md` after a change of either."""
    assert (ROOT / "docs" / "redaction.md").read_text() == document(*results)


def test_every_detector_is_on_the_page_with_many_values(results: Measured) -> None:
    """A detector without values would have a recall of nothing."""
    assert set(ABOUT) == set(DETECTORS)
    scores, _ = results
    assert set(scores) == set(DETECTORS)
    assert min(score.there for score in scores.values()) >= 200


def test_precision_and_recall_are_at_least_these(results: Measured) -> None:
    """A change that loses more than the hard cases by hand is seen here."""
    scores, _ = results
    for name, score in scores.items():
        assert score.recall >= 0.97, name
        assert score.precision >= 0.96, name


def test_a_mark_is_taken_out_and_its_place_kept() -> None:
    """The labels of the corpus are places in its texts."""
    case = parsed("a <<card|4111>> b <<email|x@y>>")
    assert case.text == "a 4111 b x@y"
    assert case.spans == ((2, 6, "card"), (9, 12, "email"))


def test_every_language_passes_unharmed() -> None:
    """More than thirty languages, code, tables and formulas come back as the same objects."""
    masker = TextMasker()
    for text in PROSE:
        masked = masker.mask(text)
        assert masked.text is text, masked.text


def test_what_is_nothing_is_nearly_all_left() -> None:
    """Each that is not, is on the page under what is wrong."""
    masker = TextMasker()
    page = (ROOT / "docs" / "redaction.md").read_text()
    for text in NOTHING:
        for start, end, _ in masker.findings(text):
            assert f"`{text[start:end]}`" in page
