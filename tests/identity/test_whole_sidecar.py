"""A whole sidecar in front of an engine that counts what it is asked, and by whom."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from engine_answers import TGI
from real_engine import free_port, get, process
from relay_harness import wait_for

from sidelight_contract.identity import RuntimeIdentity
from sidelight_contract.summary import Summary, decode_summary

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


class Counting(ThreadingHTTPServer):
    """A TGI whose `/info` may want a key.

    Attributes:
        asked: the paths it was asked for.
        status: of `/info`.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Tgi)
        self.asked: list[str] = []
        self.status = 200


class Tgi(BaseHTTPRequestHandler):
    """One connection."""

    server: Counting

    def do_GET(self) -> None:
        """Who it is, and that it is well."""
        self.server.asked.append(self.path)
        known = self.path in {"/health", "/info"}
        status = self.server.status if self.path == "/info" else 200
        self._answer(status if known else 404, TGI["/info"] if self.path == "/info" else {})

    def do_POST(self) -> None:
        """A text."""
        self.server.asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, {"generated_text": "Rain."})

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def engine() -> Iterator[Counting]:
    """Serving."""
    with Counting() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Sidecar:
    """Its ports."""

    def __init__(self, port: int, admin: int) -> None:
        self.port, self.admin = port, admin

    def generate(self) -> None:
        """One request through it."""
        url = f"http://127.0.0.1:{self.port}/generate"
        body = b'{"inputs":"x","parameters":{"details":true}}'
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
            answer.read()

    def summary(self) -> Summary:
        """What it tells the operator."""
        return decode_summary(get(self.admin, "/summary"))

    @property
    def identity(self) -> RuntimeIdentity:
        """Of the engine."""
        return self.summary().sidecar.identity


@pytest.fixture
def sidecar(engine: Counting, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sidecar]:
    """As its container runs it."""
    port, admin = free_port(), free_port()
    monkeypatch.setenv("SIDELIGHT_ENGINE", "TGI")
    with process(
        "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
        "--engine", f"127.0.0.1:{engine.server_port}", "--admin", f"127.0.0.1:{admin}",
    ):  # fmt: skip
        wait_for(lambda: get(admin, "/healthz"), "the sidecar is healthy")
        yield Sidecar(port, admin)


def test_identity_is_told_after_the_first_good_answer(engine: Counting, sidecar: Sidecar) -> None:
    """A readiness probe through the relay is one. The questions pass no relay: it saw one
    connection, and the summary has one request, which is no inference.
    """
    assert engine.asked == []
    assert sidecar.identity == RuntimeIdentity()
    assert get(sidecar.port, "/health") == b"{}"
    wait_for(lambda: sidecar.identity.read_at, "it is known")
    identity = sidecar.identity
    assert (identity.engine_version, identity.weights_from) == ("3.3.6", "engine")
    assert identity.settings == {"max_input_len": "4095", "max_model_len": "4096"}
    wait_for(lambda: sidecar.summary().relay.flows_opened, "the relay has counted")
    summary = sidecar.summary()
    assert summary.relay.flows_opened == 1
    assert [(one.operation, one.requests) for one in summary.total] == [("other", 1)]
    assert engine.asked.count("/info") == 1
    metrics = get(sidecar.admin, "/metrics").decode()
    assert 'sidelight_backend_info{backend="TGI",backend_version="3.3.6"} 1.0' in metrics
    assert 'sidelight_engine_questions_total{kind="identity"} 1.0' in metrics


def test_an_engine_that_wants_a_key_tells_nothing(engine: Counting, sidecar: Sidecar) -> None:
    """It is asked once, and traffic goes on."""
    engine.status = 401
    sidecar.generate()
    wait_for(lambda: sidecar.identity.read_at, "it was asked")
    sidecar.generate()
    told = sidecar.identity
    assert (told.engine_version, told.models, told.settings, told.weights) == ("", [], {}, "")
    assert engine.asked.count("/info") == 1
    assert engine.asked.count("/generate") == 2
