"""docs/capture.md: its settings are all that there are, its record is one that is made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml
from controller_world import model_body
from observed import Script, answer, request, usage

from sidelight_contract.config import SidecarConfig, decode_config
from sidelight_contract.spec_capture import Capture, Export, Keep, Redaction, Spool
from sidelight_operator.controller.models import parse_model
from sidelight_operator.controller.objects import sidecar_config
from sidelight_sidecar.capture.content.dropped import Dropped
from sidelight_sidecar.capture.recorder import FAULT, SPOOL_FULL
from sidelight_sidecar.capture.redact import SETTINGS_REFUSED
from sidelight_sidecar.frames.file import file_header
from sidelight_sidecar.replay_capture import CaptureReplay

PAGE = (Path(__file__).parents[2] / "docs/capture.md").read_text()
ASKED = {
    "messages": [{"role": "user", "content": "Where is order 4711? I am ada.lovelace@example.org"}],
}  # fmt: skip
ANSWER = {
    "id": "chatcmpl-9", "object": "chat.completion", "model": "smollm2", "usage": usage(21, 5),
    "choices": [
        {"index": 0, "finish_reason": "stop",
         "message": {"role": "assistant", "content": "On its way, Ada."}}
    ],
}  # fmt: skip
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def block(kind: str) -> str:
    """The one block of code of this kind."""
    (found,) = re.findall(rf"^```{kind}\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def config() -> SidecarConfig:
    """What the page's settings become."""
    model = parse_model(model_body(**yaml.safe_load(block("yaml"))["spec"]))
    assert model.spec is not None, model.spec_error
    return sidecar_config(model)


def made(tmp_path: Path) -> dict[str, Any]:
    """The record of a chat by these settings."""
    path = tmp_path / "frames"
    head = request(json.dumps(ASKED).encode()).replace(
        b"Host: x\r\n", f"Host: x\r\nX-Request-Id: r-7\r\ntraceparent: {TRACE}\r\n".encode()
    )
    script = Script().client(head, after_ms=1).engine(answer(ANSWER), after_ms=12_000).close()
    path.write_bytes(file_header(0, 1_764_000_000_000_000_000) + script.encoded())
    (line,) = CaptureReplay(path, config())
    assert isinstance(line, bytes)
    record: dict[str, Any] = json.loads(line)
    return record


def test_the_settings_are_all_that_there_are() -> None:
    """A new one is on the page; each is one that the schema knows."""
    spec = yaml.safe_load(block("yaml"))["spec"]
    capture, export = spec["capture"], spec["export"]
    for kind, said in (
        (Capture, capture), (Keep, capture["keep"]), (Redaction, capture["redaction"]),
        (Export, export), (Spool, export["spool"]),
    ):  # fmt: skip
        known = {field.alias or name for name, field in kind.model_fields.items()}
        assert said.keys() == known
    assert decode_config(msgspec.json.encode(config())) == config()


def test_the_record_is_one_that_is_made(tmp_path: Path) -> None:
    """By the page's settings, but for where it was."""
    told, real = json.loads(block("json")), made(tmp_path)
    where = {"namespace": "llm", "pod": "chat-7c9d8-x2x5k", "version": "2026-11-01"}
    real["origin"] |= where | {"engine": "LlamaCpp", "release": told["origin"]["release"]}
    assert told == real


def test_the_reasons_are_those_that_there_are() -> None:
    """Of bodies without content, and of records that are not made."""
    table = PAGE[PAGE.index("| word | because |") :].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(rows) == sorted([*(reason.value for reason in Dropped), FAULT, SETTINGS_REFUSED])
    assert f"`{SPOOL_FULL}`" in PAGE
