"""The chart's recording rules for dashboards, by Prometheus' own promtool."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus import promtool

from sidelight_contract.config import SidecarConfig
from sidelight_contract.failures import NOT_FAILURES
from sidelight_sidecar.observer.pipeline import Pipeline

Render = Callable[..., dict[tuple[str, str], dict[str, Any]]]
ROOT = Path(__file__).resolve().parents[2]
PREFIX = "namespace_inference_service_model:sidelight_"
LABELS = 'namespace="llm",inference_service="chat",model="m"'


@pytest.fixture
def rules(render: Render) -> list[dict[str, Any]]:
    """All of them."""
    rule = render("prometheusRule.enabled=true")["PrometheusRule", "sidelight-records"]
    found: list[dict[str, Any]] = rule["spec"]["groups"][0]["rules"]
    return found


def series(name: str, values: str, pod: str = "a", operation: str = "chat", **labels: str) -> Any:
    """One of a sidecar."""
    more = "".join(f',{key}="{value}"' for key, value in labels.items())
    text = f'sidelight_{name}{{{LABELS},pod="{pod}",operation="{operation}"{more}}}'
    return {"series": text, "values": values}


def recorded(
    rules: list[dict[str, Any]], folder: Path, given: list[Any], expected: dict[str, float]
) -> tuple[int, str]:
    """Promtool's word on what is recorded after half an hour; what is not expected must not be."""
    group = {"name": "records", "rules": rules}
    (folder / "rules.yaml").write_text(json.dumps({"groups": [group]}))
    asked = []
    for rule in rules:
        value = expected.get(rule["record"].removeprefix(PREFIX))
        samples = [{"labels": f"{{{LABELS}}}", "value": value}]
        asked.append(
            {
                "expr": f"round({rule['record']}, 0.001)",
                "eval_time": "30m",
                "exp_samples": [] if value is None else samples,
            }
        )
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": given, "promql_expr_test": asked}],
    }
    (folder / "test.yaml").write_text(json.dumps(test))
    return promtool("test", "rules", str(folder / "test.yaml"))


def test_figures_are_of_inference_over_all_pods(
    rules: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A second pod, a pod that restarts, health checks, and errors that are the clients' own."""
    given = [
        series("requests_total", "0+60x60", code="200", stream="true"),
        series("requests_total", "60+60x14 60+60x60", pod="b", code="200", stream="false"),
        series("requests_total", "0+600x60", operation="other", code="200", stream="false"),
        series("request_errors_total", "0+6x60", error_type="server_error"),
        *(series("request_errors_total", "0+9x60", error_type=kind) for kind in NOT_FAILURES),
        series("output_tokens_total", "0+1200x60"),
        *(
            series("time_to_first_token_seconds_bucket", f"0+{count}x60", le=bound)
            for bound, count in (("0.25", 54), ("0.5", 60), ("+Inf", 60))
        ),
    ]
    status, said = recorded(
        rules, tmp_path, given,
        {
            "requests:rate5m": 2, "request_errors:ratio_rate5m": 0.05,
            "time_to_first_token_seconds:p95_5m": 0.375, "output_tokens:rate5m": 20,
        },
    )  # fmt: skip
    assert status == 0, said


def test_without_errors_their_share_is_nothing_and_without_requests_there_is_none(
    rules: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A series of errors comes into being with the first one."""
    quiet = [series("requests_total", "0+60x60", code="200", stream="true")]
    wanted = {"requests:rate5m": 1.0, "request_errors:ratio_rate5m": 0.0}
    status, said = recorded(rules, tmp_path, quiet, wanted)
    assert status == 0, said
    stopped = [series("requests_total", "0+60x10 600x50", code="200", stream="true")]
    status, said = recorded(rules, tmp_path, stopped, {"requests:rate5m": 0.0})
    assert status == 0, said
    status, said = recorded(rules, tmp_path, stopped, wanted)
    assert status != 0


def test_rules_ask_for_what_a_sidecar_has_and_are_in_the_docs(
    rules: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Valid by promtool; a metric that got another name would leave an empty panel."""
    (tmp_path / "rules.yaml").write_text(
        json.dumps({"groups": [{"name": "records", "rules": rules}]})
    )
    status, said = promtool("check", "rules", str(tmp_path / "rules.yaml"))
    assert status == 0, said
    exported = Pipeline(0, 0, SidecarConfig(version=1)).exposition().decode()
    docs = (ROOT / "docs" / "slo.md").read_text(encoding="utf-8")
    for rule in rules:
        assert f"`{rule['record']}`" in docs
        for name in re.findall(r"(?<![\w:])sidelight_\w+", rule["expr"]):
            family = name.removesuffix("_total").removesuffix("_bucket")
            assert f"# TYPE {family}" in exported
