"""A whole sidecar beside an engine: the digest of the files is in its summary, and its metrics say
what came of reading them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import fake_vllm
import msgspec
import pytest
from prometheus import until
from real_engine import free_port, get, process
from weight_files import a_model

from sidelight_contract.identity import RuntimeIdentity
from sidelight_contract.summary import SummaryError, decode_counted
from sidelight_contract.weights import WeightsPlan
from sidelight_sidecar.weights.__main__ import answer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@contextlib.contextmanager
def sidecar(monkeypatch: pytest.MonkeyPatch, plan: WeightsPlan | None) -> Iterator[tuple[int, int]]:
    """The relay's port and the admin port, with an engine that serves."""
    engine, port, admin = free_port(), free_port(), free_port()
    monkeypatch.delenv("SIDELIGHT_WEIGHTS", raising=False)
    if plan is not None:
        monkeypatch.setenv("SIDELIGHT_WEIGHTS", msgspec.json.encode(plan).decode())
    with (
        process(fake_vllm.__file__, str(engine)),
        process(
            "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}", "--engine",
            f"127.0.0.1:{engine}", "--admin", f"127.0.0.1:{admin}", "--engine-type", "VLLM",
        ),
    ):  # fmt: skip
        until(lambda: get(engine, "/version"), "the engine serves")
        until(lambda: get(admin, "/readyz"), "the sidecar serves")
        yield port, admin


def identity(admin: int) -> RuntimeIdentity:
    with contextlib.suppress(SummaryError):
        return decode_counted(get(admin, "/summary")).sidecar.identity
    return RuntimeIdentity()


def state(admin: int) -> str:
    """The state whose series is 1."""
    (line,) = (
        line
        for line in get(admin, "/metrics").decode().splitlines()
        if line.startswith("sidelight_weights_state{") and line.endswith(" 1.0")
    )
    return line.partition('"')[2].partition('"')[0]


def test_the_digest_is_told_once_the_engine_has_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting at first; a pipe among the files holds nobody up."""
    model = a_model(tmp_path / "model")
    os.mkfifo(model / "params.json")
    plan = WeightsPlan([str(model)], root=str(tmp_path))
    with sidecar(monkeypatch, plan) as (port, admin):
        until(lambda: identity(admin).weights_state == "waiting", "it waits for the engine")
        assert state(admin) == "waiting"
        until(lambda: get(port, "/v1/models"), "the engine answers through the sidecar")
        until(lambda: identity(admin).weights_state == "read", "the files were read")
        told = identity(admin)
        assert state(admin) == "read"
    assert told.weights == answer(tmp_path, [model], "")["digest"]
    assert told.weights_from == "files"


def test_who_did_not_ask_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was refused at injection is told at once."""
    with sidecar(monkeypatch, None) as (port, admin):
        until(lambda: get(port, "/v1/models"), "the engine answers through the sidecar")
        until(lambda: identity(admin).read_at, "the engine was asked")
        assert identity(admin).weights_state == ""
        assert state(admin) == "not_asked"
    with sidecar(monkeypatch, WeightsPlan(state="path_unknown")) as (_, admin):
        until(lambda: identity(admin).weights_state, "it is told")
        assert identity(admin).weights_state == state(admin) == "path_unknown"
