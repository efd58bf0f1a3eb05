"""An attached tap as a process: with nothing but arguments and environment, until it is told."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from namespaces import SERVER, Program, namespaces, program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and packet sockets need root"),
]

TOKEN = "a token"
ASK = """
import sys, urllib.request
for line in sys.stdin:
    method, path, *body = line.split()
    data = (body or ["gone"])[0].encode()
    request = urllib.request.Request("http://127.0.0.1:15020" + path, method=method, data=data)
    request.add_header("Authorization", "Bearer " + sys.argv[1])
    with urllib.request.urlopen(request, timeout=10) as answer:
        print(answer.read().decode().strip(), flush=True)
"""


def until(tapping: Program, event: str) -> dict[str, object]:
    """Its first line of log about `event`."""
    while (line := tapping.logged())["event"] != event:
        pass
    return line


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def start(server: str, lease_seconds: int) -> tuple[str, ...]:
    known = hashlib.sha256(TOKEN.encode()).hexdigest()
    return (
        server, "-m", "sidelight_sidecar", "tap", "--interface", "auto", "--port", "8000",
        "--admin", "127.0.0.1:15020", "--token-sha256", known,
        "--lease-seconds", str(lease_seconds),
    )  # fmt: skip


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDELIGHT_POD_IP", SERVER)
    monkeypatch.setenv("SIDELIGHT_CONFIG", '{"version":1,"revision":"r1","model":"chat"}')


def test_it_observes_until_the_controller_says_that_it_is_over(environment: None) -> None:
    """The configuration is that of the environment until it is told another; told to end, both
    processes do, with status 0 and the reason in the log. When memory is short, they go before the
    pod's own processes.
    """
    with (
        namespaces() as both,
        program(*start(both.server, 3600)) as tapping,
        program(both.server, "-c", ASK, TOKEN) as asking,
    ):
        until(tapping, "admin_listening")
        summary = json.loads(asking.ask("GET /summary"))
        assert (summary["sidecar"]["model"], summary["sidecar"]["config_revision"]) == (
            "chat",
            "r1",
        )
        assert asking.ask('PUT /config {"version":1,"revision":"r2","slo":{"e2e":2}}') == "ok"
        state = json.loads(asking.ask("GET /summary"))["sidecar"]
        assert (state["config_revision"], state.get("config_error", "")) == ("r2", "")
        for pid in (tapping.process.pid, *children_of(tapping.process.pid)):
            assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"
        assert asking.ask("POST /end") == "ending"
        assert until(tapping, "ends")["why"] == "gone"
        status, last = tapping.ended()
    assert (status, last["event"]) == (0, "stopped")


def test_it_ends_when_nobody_asks_any_more(environment: None) -> None:
    """As when everything of Sidelight was removed from the cluster."""
    started = time.monotonic()
    with namespaces() as both, program(*start(both.server, 2)) as tapping:
        assert until(tapping, "ends")["why"] == "nobody asked for the summary for 2 s"
        status, _ = tapping.ended()
    assert status == 0
    assert time.monotonic() - started >= 2
