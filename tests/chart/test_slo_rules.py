"""The chart's rules about objectives, by Prometheus' own promtool."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prometheus import promtool

from sidelight_contract.config import SidecarConfig
from sidelight_contract.slo import SloSettings
from sidelight_sidecar.observer.pipeline import Pipeline

Render = Callable[..., dict[tuple[str, str], dict[str, Any]]]
ROOT = Path(__file__).resolve().parents[2]
SERIES = (
    'sidelight_slo_requests_total{namespace="llm",inference_service="chat",pod="%s",model="m",'
    'operation="chat",slo="all",result="%s"}'
)
OBJECTIVE = 'sidelight_slo_objective_ratio{namespace="llm",inference_service="chat",pod="a"}'


@cache
def groups(render: Render, *values: str) -> list[dict[str, Any]]:
    rule = render("prometheusRule.enabled=true", *values)["PrometheusRule", "sidelight-slo"]
    found: list[dict[str, Any]] = rule["spec"]["groups"]
    return found


def fires(
    render: Render,
    folder: Path,
    series: dict[str, str],
    at: str,
    expected: list[tuple[str, str]],
) -> tuple[int, str]:
    """Promtool's word on which alerts, by severity and long window, there are at a time."""
    rules = groups(render)
    (folder / "rules.yaml").write_text(json.dumps({"groups": rules}))
    alerts = {
        (rule["labels"]["severity"], rule["labels"]["long"]): rule for rule in rules[1]["rules"]
    }
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": "count by (severity, long) (ALERTS{alertstate='firing'}) or "
                        "vector(0)",
                        "eval_time": at,
                        "exp_samples": [
                            *(
                                {"labels": f'{{severity="{s}", long="{long}"}}', "value": 1}
                                for s, long in expected
                            ),
                            {"labels": "{}", "value": 0},
                        ],
                    }
                ],
            }
        ],
    }
    assert set(expected) <= set(alerts)
    (folder / "test.yaml").write_text(json.dumps(test))
    return promtool("test", "rules", str(folder / "test.yaml"))


def traffic(good: int, bad: int, objective: float, minutes: int = 600) -> dict[str, str]:
    """So many requests a minute, at each of two pods."""
    return {
        **{SERIES % (pod, "good"): f"0+{good}x{minutes}" for pod in "ab"},
        **{SERIES % (pod, "bad"): f"0+{bad}x{minutes}" for pod in "ab"},
        OBJECTIVE: f"{objective}x{minutes}",
    }


def restarts(gain: int, minutes: int = 15, lives: int = 8) -> str:
    """A counter that begins anew so often."""
    return " ".join([f"{gain}+{gain}x{minutes - 2}"] * lives)


def test_rules_are_valid(render: Render, tmp_path: Path) -> None:
    """By promtool, which names what it does not understand."""
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": groups(render)}))
    status, said = promtool("check", "rules", str(tmp_path / "rules.yaml"))
    assert status == 0, said
    assert "12 rules found" in said


def test_rules_ask_for_metrics_and_labels_that_a_sidecar_has(render: Render) -> None:
    """A name that changed would make an alert silent."""
    pipeline = Pipeline(0, 0, SidecarConfig(version=1, slo=SloSettings(e2e=1.0)))
    exported = pipeline.exposition().decode()
    recorded = {rule["record"] for rule in groups(render)[0]["rules"]}
    for group in groups(render):
        for rule in group["rules"]:
            for name in re.findall(r"(?<![\w:])(?:\w+:)?sidelight_\w+(?::\w+)?", rule["expr"]):
                assert name in recorded or f"# TYPE {name.removesuffix('_total')}" in exported


@pytest.mark.parametrize(
    ("series", "at", "expected"),
    [
        pytest.param(traffic(100, 0, 0.99), "70m", [], id="all is well"),
        pytest.param(traffic(80, 20, 0.99), "70m",
                     [("critical", "1h"), ("critical", "6h"), ("warning", "1d")],
                     id="20 % bad of 1 % burns twenty times too fast"),
        pytest.param(traffic(90, 10, 0.99), "70m", [("critical", "6h"), ("warning", "1d")],
                     id="ten times too fast"),
        pytest.param(traffic(98, 2, 0.99), "5h", [("warning", "3d")], id="slowly"),
        pytest.param(traffic(98, 2, 0.99), "100m", [], id="slowly, and not long yet"),
        pytest.param(traffic(80, 20, 0.5), "70m", [], id="the same against a lower objective"),
        pytest.param(traffic(0, 100, 0.9), "20m", [("critical", "1h"), ("critical", "6h")],
                     id="an outage under an objective that nothing else could burn as fast"),
        pytest.param(traffic(0, 1, 0.99, 40), "40m", [], id="too few requests to tell"),
        pytest.param({**traffic(80, 20, 0.99), SERIES % ("a", "bad"): "0+20x60 1200x540",
                      SERIES % ("b", "bad"): "0+20x60 1200x540"}, "80m",
                     [("critical", "6h"), ("warning", "1d")], id="over: the fast one ends first"),
        pytest.param({**traffic(100, 0, 0.99), SERIES % ("a", "good"): restarts(100),
                      SERIES % ("a", "bad"): restarts(0)}, "100m", [],
                     id="a sidecar that is restarted again and again, and all is well"),
        pytest.param({**{SERIES % (pod, "good"): restarts(80) for pod in "ab"},
                      **{SERIES % (pod, "bad"): restarts(20) for pod in "ab"},
                      OBJECTIVE: "0.99x600"}, "100m",
                     [("critical", "1h"), ("critical", "6h"), ("warning", "1d")],
                     id="bad requests of sidecars that are restarted are not lost"),
        pytest.param({**traffic(100, 0, 0.99), SERIES % ("b", "good"): "0x60 stale",
                      SERIES % ("b", "bad"): "0+100x60 stale"}, "64m",
                     [("critical", "1h"), ("critical", "6h"), ("warning", "1d")],
                     id="a bad pod that has just ended"),
        pytest.param({**traffic(100, 0, 0.99), SERIES % ("b", "good"): "0x60 stale",
                      SERIES % ("b", "bad"): "0+100x60 stale"}, "80m",
                     [("critical", "6h"), ("warning", "1d")],
                     id="a bad pod that ended: the fast one ends first"),
        pytest.param({**traffic(80, 20, 0.99), OBJECTIVE: "0.99x60 stale",
                      OBJECTIVE.replace('pod="a"', 'pod="b"'): "0.99x600",
                      SERIES % ("a", "good"): "0+80x60 stale",
                      SERIES % ("a", "bad"): "0+20x60 stale"}, "80m",
                     [("critical", "1h"), ("critical", "6h"), ("warning", "1d")],
                     id="the objective is there as long as any pod is"),
    ],
)  # fmt: skip
def test_alerts_ring_when_they_should(
    render: Render, tmp_path: Path, series: dict[str, str], at: str, expected: list[Any]
) -> None:
    """Several windows and burn rates, the objective as the sidecars export it."""
    status, said = fires(render, tmp_path, series, at, expected)
    assert status == 0, said


def test_a_test_of_alerts_can_fail(render: Render, tmp_path: Path) -> None:
    """Promtool is not asked in vain."""
    status, said = fires(render, tmp_path, traffic(80, 20, 0.99), "70m", [])
    assert status != 0
    assert "FAILED" in said


def test_each_alert_is_in_the_table_of_its_docs(render: Render) -> None:
    """Severity, windows, factor and patience as they are rendered."""
    text = (ROOT / "docs" / "slo.md").read_text(encoding="utf-8")
    for rule in groups(render)[1]["rules"]:
        labels = rule["labels"]
        factor = re.search(r"clamp_max\(([\d.]+)", rule["expr"])
        assert factor is not None
        row = f"| {labels['severity']} | {labels['long']} | {labels['short']} | {factor[1]} "
        assert f"{row}| {rule['for']} |" in text
        assert "docs/slo.md" in rule["annotations"]["runbook"]
    assert "## SidelightErrorBudgetBurn" in text
