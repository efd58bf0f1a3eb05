"""`python -m benchmarks.redaction > docs/redaction.md`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping

from benchmarks.redaction.corpus import VALUES_PER_KIND, corpus
from benchmarks.redaction.keys import FORMS, KEYS_PER_FORM
from benchmarks.redaction.measure import Score, measured
from benchmarks.redaction.page import page

from sidelight_sidecar.capture.mask.text import TextMasker


def document(scores: Mapping[str, Score], totals: Counter[str]) -> str:
    """Return the page of a measurement."""
    return page(scores, totals, VALUES_PER_KIND, KEYS_PER_FORM * sum(map(len, FORMS.values())))


if __name__ == "__main__":
    sys.stdout.write(document(*measured(corpus(), TextMasker())))
