"""docs/controller.md and the metrics say the same."""

import re
from pathlib import Path

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from sidelight_operator.controller.metrics import Metrics

DOC = Path(__file__).resolve().parents[2] / "docs" / "controller.md"


def test_every_metric_of_the_controller_has_its_row() -> None:
    """With its labels, in order, and its help, word for word; no row is of none."""
    rows = {
        name: (labels, text)
        for name, labels, text in re.findall(
            r"^\| `(sidelight_controller_\w+)` \| ([\w, ]*)\| (.+) \|$",
            DOC.read_text(),
            re.MULTILINE,
        )
    }
    made = [item for item in vars(Metrics()).values() if isinstance(item, MetricWrapperBase)]
    for metric in made:
        name = metric._name + ("_total" if isinstance(metric, Counter) else "")
        labels, text = rows.pop(name)
        assert labels.strip() == ", ".join(metric._labelnames)
        assert text == metric._documentation
    assert rows == {}
