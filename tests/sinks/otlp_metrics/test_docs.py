"""docs/otlp.md says of metrics what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from sidelight_contract.export import METRICS_DIALECTS, METRICS_SECONDS, OtlpDialect
from sidelight_sidecar.capture.ship.snapshots import DOWN_AFTER
from sidelight_sidecar.capture.sinks.otlp_metrics import convert
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.metrics.gen_ai import GenAiMetrics
from sidelight_sidecar.observer.metrics.labels import Labels

PAGE = (Path(__file__).parents[3] / "docs" / "otlp.md").read_text(encoding="utf-8")
TEXT = PAGE.partition("\n## Metrics\n")[2].partition("\n## ")[0]


def test_the_conventions_metrics_are_all_there():
    """With their units and the label that each has of its own."""
    counts = GenAiMetrics(Labels(1))
    one = Exchange(1, 1)
    one.operation, one.model, one.code, one.stream, one.choices = "chat", "m", 200, True, 1
    one.arrival(2, 1)
    one.arrival(3, 1)
    one.prompt_tokens, one.output_tokens, one.stop_ns = 3, 3, 4
    counts.finished(one)
    counts.counted(one)
    rows = dict(re.findall(r"^\| `(gen_ai\.[a-z_.]+)` \| `([a-z{}]+)` \|", TEXT, re.MULTILINE))
    assert rows == {
        family.name: "{token}" if "token" in family.labels else "s" for family in counts.families()
    }
    assert len(rows) == 4


def test_units_dialects_and_constants_are_those_of_the_code():
    """And no dialect is promised that sends none."""
    for word, unit in convert._UNITS:
        assert f"`{word}` is `{unit}`" in TEXT
    first, *others = convert._OTHERS
    named = [f"`{first}*`", *(f"`{one.removeprefix('sidelight')}*`" for one in others)]
    assert ", ".join(named) in TEXT.replace("\n", " ")
    takes = re.search(r"((?:`\w+`(?: and |, )?)+) take\s+metrics", TEXT)
    assert takes is not None
    assert set(re.findall(r"`(\w+)`", takes[1])) == {str(OtlpDialect(d)) for d in METRICS_DIALECTS}
    assert f"`metricsInterval` ({METRICS_SECONDS:.0f}s)" in TEXT
    assert DOWN_AFTER == 3
    assert "After three that failed in a row" in TEXT
