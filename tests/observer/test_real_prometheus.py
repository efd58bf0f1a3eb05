"""A real Prometheus beside a real sidecar: what it reads, keeps and computes."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import chat_engine
import pytest
from prometheus import prometheus, promtool, until

from sidelight_contract.config import SidecarConfig, encode_config
from sidelight_contract.slo import FAULTS, SloSettings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TRACE = "0af7651916cd43dd8448eb211c80319c"
SERIES_FOR_A_MODEL = 250
"""Of one model and operation, and those of the sidecar itself; the most there can be of all are in
test_series_budget."""
RULES = json.dumps(
    {
        "groups": [
            {
                "name": "slo",
                "rules": [
                    {
                        "record": "slo:errors:ratio",
                        "expr": "sum by (namespace, inference_service, slo) "
                        '(rate(sidelight_slo_requests_total{result="bad"}[1m])) / '
                        "sum by (namespace, inference_service, slo) "
                        "(rate(sidelight_slo_requests_total[1m]))",
                    }
                ],
            }
        ]
    }
)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[None]:
    """A process that ends with the test."""
    with subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL) as running:
        try:
            yield
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()


class Sidecar:
    """One in front of an engine whose streams have a chunk every 10 ms."""

    def __init__(self, port: int, admin: int, config: Path) -> None:
        self.port, self.admin, self._config = port, admin, config

    def ask(self, chunks: int) -> None:
        """One stream, to its end."""
        body = {"id": 7, "stream": True, "chunks": chunks}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions",
            json.dumps(body).encode(),
            {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()

    def metrics(self, accept: str = "text/plain") -> str:
        """Its exposition."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin}/metrics", headers={"Accept": accept}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return bytes(response.read()).decode()

    def judge_by(self, slo: SloSettings | None) -> None:
        """Change its configuration, as the kubelet does: by another file in its place."""
        new = self._config.with_suffix(".new")
        new.write_bytes(encode_config(SidecarConfig(version=1, slo=slo)))
        new.replace(self._config)


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    """As its container runs it."""
    engine, port, admin = free_port(), free_port(), free_port()
    found = Sidecar(port, admin, tmp_path / "config.json")
    found.judge_by(SloSettings(e2e=1.0, errors=list(FAULTS)))
    with (
        process(chat_engine.__file__, "::1", str(engine)),
        process(
            "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
            "--engine", f"[::1]:{engine}", "--admin", f"127.0.0.1:{admin}",
            "--config", str(tmp_path / "config.json"),
        ),
    ):  # fmt: skip
        until(lambda: "sidelight_slo_objective_ratio" in found.metrics(), "it judges")
        until(lambda: [found.ask(2)] if _listens(engine) else [], "the engine serves")
        yield found


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("::1", port), timeout=1):
        return True
    return False


def test_prometheus_reads_a_sidecar_keeps_its_exemplars_and_records_its_objectives(
    sidecar: Sidecar, tmp_path: Path
) -> None:
    """Half of the requests are made to last too long, and half of them are bad."""
    with prometheus(tmp_path, f"127.0.0.1:{sidecar.admin}", RULES) as server:
        good = 'sidelight_slo_requests_total{slo="all",result="good"} > 0'
        assert server.until(good)[0]["metric"]["model"] == "m7"
        for _ in range(3):
            sidecar.ask(2)
            sidecar.ask(120)
        (record,) = server.until('slo:errors:ratio{slo="e2e"} > 0')
        assert record["metric"] == {
            "__name__": "slo:errors:ratio", "namespace": "llm", "inference_service": "chat",
            "slo": "e2e",
        }  # fmt: skip
        (bad,) = server.until('sidelight_slo_requests_total{slo="all",result="bad"} == 3')
        (ok,) = server.until('sidelight_slo_requests_total{slo="all",result="good"} == 4')
        assert (bad["value"][1], ok["value"][1]) == ("3", "4")
        (objective,) = server.until("sidelight_slo_objective_ratio")
        assert objective["value"][1] == "0.99"

        def exemplars() -> object:
            return server.get(
                "/api/v1/query_exemplars", query="sidelight_request_duration_seconds_bucket",
                start="0", end="4000000000",
            )  # fmt: skip

        found = until(exemplars, "exemplars are kept")
        assert found[0]["exemplars"][0]["labels"] == {"trace_id": TRACE}
        (scraped,) = server.until("scrape_samples_scraped > 0")
        assert 100 < int(scraped["value"][1]) < SERIES_FOR_A_MODEL + 200
        assert server.until("up == 1")


def test_exposition_is_valid_and_its_series_are_bounded(sidecar: Sidecar) -> None:
    """By promtool's linter, whose every complaint counts."""
    for chunks in (1, 5):
        sidecar.ask(chunks)
    text = sidecar.metrics()
    status, said = promtool("check", "metrics", given=text.encode())
    assert (status, said) == (0, "")
    of_model = re.findall(r'^\w+\{[^}]*model="m7"', text, re.MULTILINE)
    assert 100 < len(of_model) < SERIES_FOR_A_MODEL
    assert f'trace_id="{TRACE}"' in sidecar.metrics("application/openmetrics-text; version=1.0.0")


def test_thresholds_change_while_it_runs(sidecar: Sidecar) -> None:
    """No restart: other requests are good from then on, and none where nothing is judged."""
    until(lambda: 'result="good",slo="all"} 1.0' in sidecar.metrics(), "a good one")
    sidecar.judge_by(SloSettings(ttft=0.000001))
    until(lambda: 'threshold_seconds{slo="ttft"} 1e-06' in sidecar.metrics(), "the new one")
    sidecar.ask(2)
    until(lambda: 'result="bad",slo="ttft"} 1.0' in sidecar.metrics(), "a bad one")
    assert 'slo="e2e"' not in sidecar.metrics()
    sidecar.judge_by(None)
    until(lambda: "\nsidelight_slo_" not in sidecar.metrics(), "none")
