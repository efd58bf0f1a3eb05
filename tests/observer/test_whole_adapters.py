"""A whole sidecar in front of a vLLM with adapters, and what the operator makes of its summary."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import fake_vllm
import pytest
from controller_world import pod_body
from prometheus import until
from real_engine import free_port, get, process

from sidelight_contract.config import SidecarConfig, encode_config
from sidelight_contract.slo import SloCount, SloSettings
from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.summary import Summary, SummaryError, decode_counted
from sidelight_operator.controller.adapters import rings_by_version, strata_by_version
from sidelight_operator.controller.autopsies import autopsy_statuses
from sidelight_operator.controller.pods import view_pod
from sidelight_operator.controller.slo_status import DAY, windows_of
from sidelight_operator.controller.versions import versions_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SPEC = ObservedModelSpec.model_validate({"selector": {"matchLabels": {"app": "chat"}}})
POD = view_pod(pod_body("chat-a", labels={"sidelight.dev/version": "v1"}), SPEC.version.labels)


class Sidecar:
    """The relay, its observer, and the engine behind them."""

    def __init__(self, port: int, admin: int) -> None:
        self.port, self.admin = port, admin

    def ask(self, model: str, *, stream: bool = False) -> int:
        """One chat to its end; its status."""
        body = {"model": model, "messages": [{"role": "user", "content": "x"}], "stream": stream}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions", json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                response.read()
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    def summary(self) -> Summary | None:
        """What it tells the operator; None while it does not."""
        with contextlib.suppress(SummaryError):
            return decode_counted(get(self.admin, "/summary?strata=1&slo_history=1"))
        return None


@pytest.fixture
def sidecar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sidecar]:
    """As its container runs it."""
    engine, port, admin = free_port(), free_port(), free_port()
    config = tmp_path / "config.json"
    settings = SloSettings(e2e=20.0, errors=["server_error"])
    config.write_bytes(encode_config(SidecarConfig(version=1, slo=settings)))
    monkeypatch.setenv("SIDELIGHT_ENGINE", "VLLM")
    found = Sidecar(port, admin)
    with (
        process(fake_vllm.__file__, str(engine)),
        process(
            "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
            "--engine", f"127.0.0.1:{engine}", "--admin", f"127.0.0.1:{admin}",
            "--config", str(config),
        ),
    ):  # fmt: skip
        until(lambda: (told := found.summary()) and told.slo.revision, "it judges")
        until(lambda: get(engine, "/version"), "the engine serves")
        yield found


def test_requests_for_an_adapter_are_a_versions_of_their_own(sidecar: Sidecar) -> None:
    """Those before the engine was asked who it is among them; a made-up name is nobody's."""
    for stream in (False, True):
        assert [sidecar.ask(name, stream=stream) for name in ("base", "base", "sql")] == [200] * 3
    assert sidecar.ask("made-up") == 404

    def told() -> Summary | None:
        summary = sidecar.summary()
        known = summary and summary.sidecar.adapters and len(summary.total) == 3
        return summary if known else None

    summary = until(told, "the engine has said who is an adapter")
    assert summary.sidecar.adapters == {"sql": "base"}
    assert summary.sidecar.identity.adapters() == {"sql": "base", "poems": "base"}
    assert summary.sidecar.identity.engine_version == "0.33.0"

    found = versions_of([(POD, summary)])
    assert {v.name: v.requests for v in found.shown} == {"v1": 5, "v1/sql": 2}
    model, adapter = found.shown
    assert (model.streamed, adapter.streamed) == (2, 1)
    assert (model.errors, adapter.errors) == ({"not_found": 1}, {})
    assert adapter.identity.served_models == ["sql"]
    assert (adapter.identity.parent, model.identity.parent) == ("base", "")
    assert (model.finish_reasons, adapter.finish_reasons) == ({"stop": 4}, {"stop": 2})
    assert adapter.tokens.output == 2 * len(fake_vllm.WORDS)
    assert adapter.tokens.prompt == 2 * fake_vllm.PROMPT_TOKENS
    assert (model.coverage, adapter.coverage) == ("100%", "100%")
    assert found.whole.total.requests == 7

    now = datetime.fromtimestamp(summary.generated_at, UTC)
    rings = rings_by_version("v1", summary)
    judged = {name: windows_of([some], now)[DAY]["all"] for name, some in rings.items()}
    assert judged == {"v1": SloCount(4, 0), "v1/sql": SloCount(2, 0)}
    strata = strata_by_version("v1", summary)
    assert {name: {row.model for row in rows} for name, rows in strata.items()} == {
        "v1": {"base", "_unknown"}, "v1/sql": {"base"},
    }  # fmt: skip
    assert sum(row.requests for row in strata["v1/sql"]) == 2
    assert {row.version for row in autopsy_statuses([(POD, summary)])} <= {"v1", "v1/sql"}
