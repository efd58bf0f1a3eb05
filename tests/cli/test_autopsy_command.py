"""`sidelight autopsy`: what the ObservedModel's status says of slow requests, for people."""

import copy
from typing import Any

import pytest

from sidelight_operator.cli import autopsy as command
from sidelight_operator.cli import main
from sidelight_operator.cli.autopsy import autopsy
from sidelight_operator.kube import KubeError

PATH = "/apis/sidelight.dev/v1alpha1/namespaces/llm/observedmodels/chat"
ROW = {
    "pod": "chat-a", "at": "2026-11-24T10:00:00Z", "model": "m", "duration": "12.3s",
    "cause": "queued", "message": "it waited 9.1s before the engine began with it",
}  # fmt: skip


class Cluster:
    """What there is, by path."""

    def __init__(self, **there: Any) -> None:
        self.there = there

    async def read(self, path: str) -> Any:
        return copy.deepcopy(self.there.get(path))

    async def read_all(self, path: str, selector: str = "") -> Any:
        raise AssertionError("one object is enough")


async def test_each_request_is_printed_with_time_pod_cause_and_sentence() -> None:
    """Two lines for each, in the order of the status."""
    second = ROW | {"pod": "chat-b", "cause": "unknown", "energy": "105J"}
    cluster = Cluster(**{PATH: {"status": {"autopsy": [ROW, second]}}})
    told = await autopsy(cluster, "llm", "chat")
    assert told is not None
    lines = told.splitlines()
    assert lines[0] == "2026-11-24T10:00:00Z  chat-a  12.3s  queued"
    assert lines[1].strip() == ROW["message"]
    assert lines[2] == "2026-11-24T10:00:00Z  chat-b  12.3s  unknown  105J"
    assert len(lines) == 4


@pytest.mark.parametrize("body", [{}, {"status": {}}, {"status": {"autopsy": []}}])
async def test_nothing_to_tell_is_said(body: dict[str, Any]) -> None:
    """A model that no round has been at, and one whose requests were well."""
    assert "no request" in str(await autopsy(Cluster(**{PATH: body}), "llm", "chat"))


async def test_model_that_is_not_there_is_none() -> None:
    """A wrong name or namespace."""
    assert await autopsy(Cluster(), "llm", "chat") is None


def test_exit_status_tells_what_there_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 printed, 1 no such model, 2 no cluster; `observedmodel/chat` is understood."""
    asked: list[tuple[str, str]] = []
    results: list[Any] = ["all of it", None, KubeError("the ObservedModel", "cannot be reached")]

    async def fake(cluster: Any, namespace: str, model: str) -> str | None:
        asked.append((namespace, model))
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]

    class Connected:
        async def __aenter__(self) -> None:
            return None

        async def __aexit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr("sidelight_operator.kube.api.connect", lambda _: Connected())
    monkeypatch.setattr(command, "autopsy", fake)
    arguments = ["autopsy", "observedmodel/chat", "-n", "llm"]
    assert [main(arguments) for _ in range(3)] == [0, 1, 2]
    assert asked == [("llm", "chat")] * 3
    shown = capsys.readouterr()
    assert shown.out == "all of it\n"
    assert "no ObservedModel chat in namespace llm" in shown.err
    assert "cannot be reached" in shown.err
